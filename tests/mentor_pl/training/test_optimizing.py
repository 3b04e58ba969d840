"""An optimizer that could not train the policy is refused before weights are loaded."""

import math
from functools import partial

import lightning.pytorch as L
import pytest
import torch
from torch import nn

from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.optimizing import lr_factor, make_optimizer, try_optimizer

BAD = {
    "a closure": (torch.optim.LBFGS, {}, "LBFGS takes no step from dense gradients alone"),
    "sparse gradients": (torch.optim.SparseAdam, {}, "SparseAdam takes no step from dense gradients alone"),
    "negative lr": (torch.optim.AdamW, {"lr": -1.0}, "cannot be made: Invalid learning rate: -1.0"),
    "lr that is no number": (torch.optim.SGD, {"lr": math.nan}, "SGD with lr nan makes weights that are no numbers"),
    "infinite lr": (torch.optim.AdamW, {"lr": math.inf}, "AdamW with lr inf makes weights that are no numbers"),
    "betas": (torch.optim.AdamW, {"betas": (0.9, 1.5)}, "cannot be made: Invalid beta parameter"),
    "an unknown argument": (torch.optim.AdamW, {"lrr": 1.0}, "cannot be made: "),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_train_is_one_line_with_the_remedy(name):
    kind, options, line = BAD[name]
    with pytest.raises(UsageError, match=r"^model.optimizer .*: take one such as torch.optim.AdamW") as refusal:
        try_optimizer(partial(kind, **options))
    assert line in str(refusal.value)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.Adafactor, torch.optim.RMSprop])
def test_what_can_train_passes_and_touches_no_weight_of_the_models(kind):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    try_optimizer(partial(kind, lr=1e-3))
    assert torch.equal(torch.rand(2), expected)


def test_weights_that_an_optimizer_does_not_take_are_a_usage_error_too():
    with pytest.raises(UsageError, match="cannot be made"):
        make_optimizer(torch.optim.AdamW, [])
    assert make_optimizer(torch.optim.AdamW, [nn.Parameter(torch.zeros(1))]).param_groups


def test_a_run_refuses_it_before_weights_are_loaded(run, monkeypatch):
    job = run(module_options={"optimizer": torch.optim.LBFGS})
    monkeypatch.setattr(job.module, "configure_model", lambda: pytest.fail("weights were loaded"))
    with pytest.raises(UsageError, match="LBFGS"):
        job.fit()


@pytest.mark.parametrize(
    ("step", "options", "expected"),
    [
        (0, (0, 1.0, 10), 1.0),
        (0, (4, 1.0, 10), 0.2),  # the first of four steps of warm-up, and of five parts
        (3, (4, 1.0, 10), 0.8),
        (5, (0, 0.0, 10), 0.5),  # half way down a cosine
        (5, (0, 0.2, 10), 0.6),  # half way from 1 to 0.2
        (10, (0, 0.2, 10), 0.2),
        (15, (0, 0.2, 10), 0.2),  # a run that was made longer and then shorter
        (2, (3, 0.0, 4), 0.375),  # ¾ of warm-up, ½ of the cosine
        (0, (0, 0.0, math.inf), 1.0),  # before the loader is there
    ],
)
def test_the_learning_rate_rises_over_the_warm_up_and_falls_by_a_cosine_to_what_is_left(step, options, expected):
    assert lr_factor(step, *options) == pytest.approx(expected)


def test_in_a_run_the_last_update_has_nearly_what_is_left(run):
    rates = []

    class Rates(L.Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            rates.append(optimizer.param_groups[0]["lr"])

    run(steps=2, callbacks=[Rates()], module_options={"final_lr": 0.1, "warmup_steps": 1}).fit()
    # four updates at 1e-2: warm-up ½, then 1 · (0.1 + 0.9 · ½(1 + cos(π k / 4)))
    fall = [0.1 + 0.45 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    assert rates == pytest.approx([1e-2 * f * w for f, w in zip(fall, (0.5, 1, 1, 1), strict=True)])
