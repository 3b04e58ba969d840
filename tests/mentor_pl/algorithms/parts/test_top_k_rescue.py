"""SKD's law with numbers worked out by hand."""

import pytest
import torch

from mentor_pl.algorithms.parts.gates import Scored
from mentor_pl.algorithms.parts.top_k_rescue import TopKRescue, top
from mentor_pl.runtime.errors import UsageError

POLICY, EXPERT = torch.tensor([0.4, 0.3, 0.2, 0.1]), torch.tensor([0.1, 0.2, 0.3, 0.4])


def scored(policy, expert):
    rows, zeros = len(policy), torch.zeros(len(policy))
    return Scored(zeros, torch.arange(rows), torch.arange(rows), policy.log(), expert.log(), zeros, zeros)


@pytest.mark.parametrize(
    ("values", "k", "expected"),
    [
        ([0.1, 0.4, 0.3, 0.2], 1, [1]),
        ([0.1, 0.4, 0.3, 0.2], 3, [1, 2, 3]),
        ([0.25, 0.25, 0.25, 0.25], 2, [0, 1]),  # ties: the lowest ids
        ([0.2, 0.4, 0.2, 0.2], 3, [0, 1, 2]),
        ([0.0, 1.0, 0.0, 0.0], 2, [0, 1]),
        ([0.1, 0.4, 0.3, 0.2], 9, [0, 1, 2, 3]),
    ],
)
def test_the_k_greatest_are_exactly_k(values, k, expected):
    assert top(torch.tensor([values]), k)[0].nonzero().flatten().tolist() == expected


def test_the_weight_is_the_policys_mass_outside_the_experts_top_k():
    # K = {2, 3}: π_θ has .2 + .1 there
    assert TopKRescue(2).informed(scored(POLICY[None], EXPERT[None])).tolist() == [pytest.approx(0.7)]


def test_the_mixture_keeps_the_policy_within_and_spends_the_rest_by_the_expert():
    got = TopKRescue(2).mixture(POLICY[None], EXPERT[None], torch.tensor([0.7]))
    # .7·.1; .7·.2; .2 + .7·.3; .1 + .7·.4
    assert got[0].tolist() == pytest.approx([0.07, 0.14, 0.41, 0.38])
    assert got.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("coin", [2.0**-33, 1.0])
def test_a_draft_falls_outside_the_top_k_whatever_its_coin_and_is_drawn_from_the_expert(coin):
    rows = (row.expand(4, -1).log() for row in (POLICY, EXPERT))
    fell, residual = TopKRescue(2).settle(*rows, torch.arange(4), torch.full((4,), 0.7), torch.full((4,), coin))
    assert fell.tolist() == [True, True, False, False]
    assert torch.allclose(residual, EXPERT.expand(4, -1))


@pytest.mark.parametrize(
    ("draft", "coin", "fallen"),
    [
        (0, 0.82, True),  # μ/π_θ = .07/.4 = .175: falls where the coin is at most .825
        (0, 0.83, False),
        (1, 0.53, True),  # .14/.3 = .467
        (1, 0.54, False),
        (2, 2.0**-33, False),  # within K
    ],
)
def test_algorithm_1s_rule_keeps_what_the_expert_might_have_said(draft, coin, fallen):
    rows = POLICY[None].log(), EXPERT[None].log()
    fell, residual = TopKRescue(2).accept(*rows, torch.tensor([draft]), torch.tensor([0.7]), torch.tensor([coin]))
    assert fell.item() == fallen
    assert residual[0].tolist() == pytest.approx([0, 0, 0.21, 0.28])  # (μ − π_θ)⁺


def test_all_of_the_vocabulary_in_k_is_the_policy_and_k_below_one_an_error():
    assert TopKRescue(4).informed(scored(POLICY[None], EXPERT[None])).tolist() == [0.0]
    with pytest.raises(UsageError, match="k is 0"):
        TopKRescue(0)
