"""γ_p and the weights it gives, with numbers worked out by hand."""

import math

import pytest
import torch

from mentor_pl.algorithms.parts.first_token import ExpertFirst
from mentor_pl.algorithms.parts.gates import ConstantGate, Drafted, EntropyGate, quantile
from mentor_pl.algorithms.parts.learned_gate import LearnedGate
from mentor_pl.runtime.errors import UsageError


def drafted(entropies):
    """Drafts of these entropies; where they stand means nothing to these gates."""
    return Drafted(entropies, torch.zeros(entropies.shape).long(), torch.zeros(entropies.shape).long())


def observed(gate: EntropyGate, *entropies: float) -> EntropyGate:
    gate.observe([torch.tensor(entropies)])
    return gate


@pytest.mark.parametrize(
    ("values", "p", "expected"),
    [
        ([0.0, 1.0, 2.0, 3.0, 4.0], 0.5, 2.0),  # place 0.5 · 4 = 2, the third value
        ([4.0, 0.0, 3.0, 1.0, 2.0], 0.75, 3.0),  # order does not matter
        ([10.0, 20.0], 0.25, 12.5),  # place 0.25: a quarter of the way from 10 to 20
        ([1.0, 2.0, 4.0], 0.95, 3.8),  # place 0.95 · 2 = 1.9: 2 + 0.9 · (4 − 2)
        ([7.0], 0.95, 7.0),
        ([1.0, 1.0, 1.0, 5.0], 0.5, 1.0),  # ties
    ],
)
def test_quantile_interpolates_linearly_between_order_statistics(values, p, expected):
    assert quantile(torch.tensor(values), p) == pytest.approx(expected, abs=1e-12)


def test_quantile_reads_every_entry_of_any_shape_and_leaves_the_graph_alone():
    values = torch.tensor([[1.0, 5.0], [3.0, 2.0]], requires_grad=True)
    assert quantile(values, 0.5) == 2.5  # between 2 and 3


def test_quantile_of_more_values_than_torch_quantile_takes():
    values = torch.zeros(2**24 + 1, dtype=torch.bool)  # torch.quantile stops at 16 million
    values[: 2**23] = True
    assert quantile(values, 0.5) == 0.0  # 2²³ ones among 2²⁴ + 1 values: the middle one is still a zero
    assert quantile(values, 0.75) == 1.0


def test_quantile_of_nothing_is_an_error_and_not_a_nan():
    with pytest.raises(ValueError, match="no values"):
        quantile(torch.tensor([]), 0.5)


def test_weight_is_the_entropy_over_gamma_capped_at_one():
    gate = observed(EntropyGate(p=0.5), 1.0, 2.0, 3.0)
    assert gate.gamma == 2.0
    weights = gate(drafted(torch.tensor([[0.0, 0.5], [2.0, 5.0]])))
    assert weights.tolist() == [[0.0, 0.25], [1.0, 1.0]]


def test_gamma_zero_guides_exactly_the_uncertain_tokens():
    gate = observed(EntropyGate(p=0.5), 0.0, 0.0, 0.0, 1.0)
    assert gate.gamma == 0
    assert gate(drafted(torch.tensor([0.0, 1e-6, 3.0]))).tolist() == [0.0, 1.0, 1.0]


def test_nothing_is_guided_before_anything_was_observed():
    gate = EntropyGate()
    assert gate.gamma == math.inf
    assert gate(drafted(torch.tensor([0.0, 1.0, 1e30]))).tolist() == [0.0, 0.0, 0.0]


def test_current_takes_gamma_from_this_step_and_forgets_the_last():
    gate = EntropyGate(p=0.5)
    assert [observed(gate, 1.0).gamma, observed(gate, 4.0).gamma, observed(gate, 0.5).gamma] == [1.0, 4.0, 0.5]


def test_previous_starts_unguided_at_999_and_need_not_observe_a_step_before_it_weighs_its_drafts():
    gate = EntropyGate(p=0.5, source="previous")
    assert not gate.needs_rollouts
    assert [gate.gamma, observed(gate, 1.0).gamma, observed(gate, 4.0).gamma] == [999.0, 1.0, 4.0]
    assert EntropyGate().needs_rollouts


@pytest.mark.parametrize("kind", [ExpertFirst, LearnedGate])
def test_a_gate_over_another_needs_what_that_one_needs(kind):
    assert kind(EntropyGate()).needs_rollouts
    assert not kind(EntropyGate(source="previous")).needs_rollouts
    assert not kind(ConstantGate(0.1)).needs_rollouts


def test_floor_bounds_gamma_from_below_in_both_sources():
    assert observed(EntropyGate(p=0.5, floor=1.5), 0.2).gamma == 1.5
    assert observed(EntropyGate(p=0.5, floor=1.5), 2.0).gamma == 2.0
    gate = EntropyGate(p=0.5, source="previous", floor=1.5)
    assert [gate.gamma, observed(gate, 0.2).gamma, observed(gate, 2.0).gamma] == [999.0, 1.5, 2.0]


@pytest.mark.parametrize("source", ["current", "previous"])
def test_a_restored_gate_goes_on_as_the_saved_one(source):
    saved = observed(observed(EntropyGate(p=0.5, source=source), 1.0), 3.0)
    restored = EntropyGate(p=0.5, source=source)
    restored.load_state_dict(saved.state_dict())
    assert restored.gamma == saved.gamma
    assert observed(restored, 7.0).gamma == observed(saved, 7.0).gamma


def test_constant_gate_gives_every_token_the_same_weight_and_learns_nothing():
    gate = ConstantGate(0.25)
    gate.observe([torch.tensor([5.0])])
    assert gate(drafted(torch.tensor([[0.0, 9.0]]))).tolist() == [[0.25, 0.25]]
    assert gate.gamma == math.inf
    gate.load_state_dict(gate.state_dict())
    assert gate.weight == 0.25


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_p_outside_the_open_unit_interval_is_a_usage_error_that_names_it(p):
    with pytest.raises(UsageError, match=f"p is {p}"):
        EntropyGate(p=p)


def test_a_negative_floor_is_a_usage_error():
    with pytest.raises(UsageError, match=r"floor is -0\.5"):
        EntropyGate(floor=-0.5)


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan])
def test_a_constant_weight_outside_the_unit_interval_is_a_usage_error(weight):
    with pytest.raises(UsageError, match=f"weight is {weight}"):
        ConstantGate(weight)


def test_ranks_pool_their_tokens_or_each_has_a_quantile_of_its_own():
    # medians of the ranks: 1 and 10, of all five 2
    ranks = [torch.tensor([1.0, 1.0, 2.0]), torch.tensor([8.0, 12.0])]
    pooled, apart = EntropyGate(p=0.5), EntropyGate(p=0.5, ranks="mean")
    for gate in (pooled, apart):
        gate.observe([*ranks, torch.tensor([])])  # the third rank has no tokens
    assert (pooled.gamma, apart.gamma) == (2.0, 5.5)
