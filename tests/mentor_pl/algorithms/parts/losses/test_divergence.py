"""The divergence's sum and weight, with numbers worked out by hand."""

import pytest
import torch

from mentor_pl.algorithms.parts.losses.base import Need
from mentor_pl.algorithms.parts.losses.divergence import Divergence
from mentor_pl.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("kind", "total", "need"), [("reverse", 3.5, Need.REVERSE_KL), ("forward", 70.0, Need.FORWARD_KL)]
)
def test_the_sum_runs_over_trained_tokens_of_the_kind_and_asks_for_no_other(kind, total, need, loss_inputs):
    reverse = torch.tensor([[0.5, 1.0, torch.inf], [2.0, 4.0, 8.0]], requires_grad=True)
    known = {"reverse_kl": reverse, "forward_kl": 20 * reverse}
    inputs = loss_inputs([[0.5] * 3] * 2, mask=[[1, 1, 0], [1, 0, 0]], **known)  # .5 + 1 + 2
    term = Divergence(kind)
    assert term(inputs).total.item() == total
    assert term.weight(inputs).item() == 3
    assert term.needs == {need}
    assert term.name == f"{kind}_kl"


def test_its_gradient_is_one_at_trained_tokens_and_nothing_elsewhere_whatever_the_advantages(loss_inputs):
    reverse = torch.tensor([[0.5, torch.inf]], requires_grad=True)
    Divergence()(loss_inputs([[0.5] * 2], mask=[[1, 0]], reverse_kl=reverse)).total.backward()
    assert reverse.grad.tolist() == [[1.0, 0.0]]
    assert not Divergence().skips_zero_advantage


def test_a_coefficient_counts_and_is_not_negative():
    assert Divergence(coefficient=0.002).coefficient == 0.002
    with pytest.raises(UsageError, match="coefficient is -1"):
        Divergence(coefficient=-1)
