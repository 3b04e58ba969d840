"""Guidance at random positions: as much of it as the other gate's, and always at the same tokens of a rollout."""

import pytest
import torch

from mentor_pl.algorithms.parts.first_token import ExpertFirst
from mentor_pl.algorithms.parts.gates import ConstantGate, Drafted, EntropyGate
from mentor_pl.algorithms.parts.kl_gate import KLGate
from mentor_pl.algorithms.parts.random_gate import RandomGate
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.noise import COIN, rollout_keys, uniform


def drafted(n, position=0):
    rows = torch.arange(n)
    return Drafted(torch.rand(n), torch.full((n,), position), rollout_keys(3, 0, rows, rows * 0))


def test_the_mean_weight_is_the_other_gates_over_the_tokens_of_all_ranks():
    gate = RandomGate(EntropyGate(p=0.5))
    gate.observe([torch.tensor([1.0, 2.0]), torch.tensor([3.0])])
    # the median is 2: weights ½, 1, 1
    assert gate.mean == pytest.approx(5 / 6)


def test_that_share_of_tokens_is_guided_for_certain_and_the_others_not_at_all():
    gate = RandomGate(ConstantGate(0.3))
    gate.observe([torch.ones(5)])
    weights = gate(drafted(100_000))
    assert set(weights.tolist()) == {0.0, 1.0}
    assert weights.mean().item() == pytest.approx(0.3, abs=0.006)  # four standard errors


def test_the_choice_depends_on_rollout_and_position_alone_and_tells_nothing_of_the_coin():
    gate = RandomGate(ConstantGate(0.3))
    gate.observe([torch.ones(5)])
    one, again, behind = gate(drafted(100_000)), gate(drafted(100_000)), gate(drafted(100_000, position=1))
    assert torch.equal(one, again)  # though the entropies differ
    assert (one * behind).mean().item() == pytest.approx(0.09, abs=0.004)
    coins = uniform(drafted(100_000).keys, torch.zeros(100_000, dtype=torch.int64), COIN)
    assert coins[one == 1].mean().item() == pytest.approx(0.5, abs=0.007)


def test_a_beginning_that_is_the_experts_is_not_taken_for_the_mean():
    gate = RandomGate(ExpertFirst(ConstantGate(0.3)))
    gate.observe([torch.ones(5)])
    assert gate.mean == pytest.approx(0.3)


def test_nothing_is_guided_before_anything_was_observed_and_a_restored_gate_goes_on():
    gate = RandomGate(EntropyGate(p=0.5, source="previous"))
    assert not gate(drafted(1_000)).any()
    gate.observe([torch.tensor([2.0])])
    restored = RandomGate(EntropyGate(p=0.5, source="previous"))
    restored.load_state_dict(gate.state_dict())
    assert restored.mean == gate.mean
    for one in (gate, restored):
        one.observe([torch.tensor([4.0, 1.0])])  # weighed by the 2 of the step before: 1 and ½
    assert restored.mean == gate.mean == 0.75


def test_a_gate_that_needs_the_expert_has_no_mean_to_take():
    with pytest.raises(UsageError, match="KLGate"):
        RandomGate(KLGate())
