import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from mentor_pl.runtime.errors import DivergenceError
from mentor_pl.training.finite_steps import MOST_SKIPPED, FiniteSteps


@pytest.fixture
def parts():
    model = torch.nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return model, optimizer, LambdaLR(optimizer, lambda step: 1.0)


def take(steps: FiniteSteps, parts, gradient: float, loss: float = 0.0):
    parts[0].weight.grad = torch.full((1, 2), gradient)
    return steps(*parts, {"loss": torch.tensor(loss)}, 7)


def test_gradients_are_clipped_and_their_norm_is_that_before(parts):
    before = parts[0].weight.detach().clone()
    seen = take(FiniteSteps(max_grad_norm=1.0), parts, 3.0)
    assert seen["grad_norm"] == pytest.approx(18**0.5)
    assert seen["skipped_updates"] == 0
    torch.testing.assert_close(before - parts[0].weight, torch.full((1, 2), 0.5**0.5))


@pytest.mark.parametrize(("gradient", "loss"), [(float("nan"), 0.0), (float("inf"), 0.0), (1.0, float("nan"))])
def test_what_is_no_number_moves_nothing(parts, gradient, loss):
    before, steps = parts[0].weight.detach().clone(), FiniteSteps(1.0)
    with pytest.warns(match=r"step 7: .* this update is skipped"):
        seen = take(steps, parts, gradient, loss)
    assert torch.equal(parts[0].weight, before)
    assert seen["skipped_updates"] == 1 and parts[0].weight.grad is None
    assert parts[2].last_epoch == 0


@pytest.mark.filterwarnings("ignore:step 7")
def test_ten_in_a_row_end_the_run_and_nine_do_not(parts):
    steps = FiniteSteps(1.0)
    for _ in range(2):
        for _ in range(MOST_SKIPPED - 1):
            take(steps, parts, float("nan"))
        take(steps, parts, 1.0)
    for _ in range(MOST_SKIPPED - 1):
        take(steps, parts, float("nan"))
    with pytest.raises(DivergenceError, match=r"step 7: .* 10 updates in a row .*grad_norm nan.*--resume auto"):
        take(steps, parts, float("nan"))
