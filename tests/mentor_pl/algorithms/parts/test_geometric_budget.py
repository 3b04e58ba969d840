"""TRB's law with numbers worked out by hand."""

import math

import pytest
import torch

from mentor_pl.algorithms.parts.gates import Scored
from mentor_pl.algorithms.parts.geometric_budget import GeometricBudget, geometric
from mentor_pl.runtime.errors import UsageError

HALF = [0.5, 0.5]


def scored(policy, expert):
    policy, expert = (torch.tensor([row]).log() for row in (policy, expert))
    divergence = torch.where(expert > -torch.inf, expert.exp() * (expert - policy), 0).sum(-1)
    zero, place = torch.zeros(1), torch.zeros(1, dtype=torch.int64)
    return Scored(zero, place, place, policy, expert, zero, divergence)


def beta(policy, expert, epsilon):
    return GeometricBudget(epsilon).informed(scored(policy, expert)).item()


def cost(p):
    """KL((p, 1 − p) ‖ (½, ½))."""
    return p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p))


@pytest.mark.parametrize(
    ("b", "expected"),
    [
        (0.0, [0.5, 0.5]),
        (0.5, [0.75, 0.25]),  # ∝ √.45 : √.05 = 3 : 1
        (1.0, [0.9, 0.1]),
    ],
)
def test_the_law_is_the_normalised_geometric_mean(b, expected):
    law = GeometricBudget().mixture(torch.tensor([HALF]), torch.tensor([[0.9, 0.1]]), torch.tensor([b]))
    assert law[0].tolist() == pytest.approx(expected)


def test_beta_is_where_the_budget_is_spent():
    # at β = ½ the law is (¾, ¼), so a budget of KL((¾, ¼) ‖ (½, ½)) = .1308 is spent there
    assert cost(0.75) == pytest.approx(0.130812, abs=1e-6)
    assert beta(HALF, [0.9, 0.1], cost(0.75)) == pytest.approx(0.5, abs=2e-6)
    # at β = ¼ the odds are √3 : 1
    odds = math.sqrt(3)
    assert beta(HALF, [0.9, 0.1], cost(odds / (1 + odds))) == pytest.approx(0.25, abs=1e-5)


def test_a_budget_above_the_whole_divergence_gives_the_expert_and_none_the_policy():
    assert beta(HALF, [0.9, 0.1], cost(0.9) + 1e-5) == 1.0
    assert beta(HALF, [0.9, 0.1], cost(0.9) - 1e-3) < 1.0
    assert beta(HALF, [0.9, 0.1], 0.0) == 0.0
    assert beta(HALF, HALF, 0.0) == 0.0  # even where both agree


def test_beta_never_exceeds_the_budget_and_one_halving_more_would():
    generator = torch.Generator().manual_seed(0)
    policy, expert = ((torch.randn(500, 30, generator=generator) * 2).log_softmax(-1) for _ in range(2))
    divergence = (expert.exp() * (expert - policy)).sum(-1)
    zero, place = torch.zeros(500), torch.zeros(500, dtype=torch.int64)
    found = GeometricBudget(0.2).informed(Scored(zero, place, place, policy, expert, zero, divergence)).double()

    def spent(at):
        law = geometric(policy.double(), expert.double(), at)
        return (law.exp() * (law - policy.double())).sum(-1)

    partial = found < 1
    assert partial.sum() > 400
    assert (spent(found)[partial] < 0.2 + 1e-6).all()
    assert (spent((found + 1e-4).clamp(max=1))[partial] > 0.2).all()


def test_what_one_of_both_never_says_the_law_never_says():
    # supports {0, 1} and {1, 2} have 1 in common: KL = −log ½ for every β in (0, 1), and infinite at 1
    policy, expert = [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]
    assert beta(policy, expert, 0.69) == 0.0
    assert beta(policy, expert, 0.70) == pytest.approx(1, abs=2e-6)
    law = GeometricBudget().mixture(torch.tensor([policy]), torch.tensor([expert]), torch.tensor([0.3]))
    assert law.tolist() == [[0.0, 1.0, 0.0]]
    # where they have nothing in common the policy speaks
    assert beta([1.0, 0.0], [0.0, 1.0], 1e9) == 0.0


def test_beta_zero_is_the_policy_to_the_last_bit():
    generator = torch.Generator().manual_seed(0)
    policy, expert = ((torch.randn(50, 30, generator=generator)).softmax(-1) for _ in range(2))
    assert torch.equal(GeometricBudget().mixture(policy, expert, torch.zeros(50)), policy)


def test_a_negative_budget_is_a_usage_error():
    with pytest.raises(UsageError, match="epsilon is -1"):
        GeometricBudget(-1)
