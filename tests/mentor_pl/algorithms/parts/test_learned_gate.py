"""The learned gate: the other gate at the start, then one part of a Newton step after another, worked out by hand."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from mentor_pl.algorithms.parts import learned_gate
from mentor_pl.algorithms.parts.first_token import ExpertFirst
from mentor_pl.algorithms.parts.gates import ConstantGate, EntropyGate, Scored
from mentor_pl.algorithms.parts.learned_gate import LearnedGate
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin


@dataclass
class Rollouts:
    """What is learned from."""

    rewards: Tensor
    group: Tensor
    origin: Tensor
    replaced: Tensor
    entropies: Tensor
    margins: Tensor
    divergences: Tensor


def rollouts(rows, margin=0.5, divergence=2.0):
    """(group, origin, reward, entropies of its tokens, which of them are replaced) each."""
    entropies = torch.tensor([row[3] for row in rows])
    return Rollouts(
        rewards=torch.tensor([row[2] for row in rows]),
        group=torch.tensor([row[0] for row in rows]),
        origin=torch.tensor([int(row[1]) for row in rows]),
        replaced=torch.tensor([row[4] for row in rows], dtype=torch.bool),
        entropies=entropies,
        margins=torch.full_like(entropies, margin),
        divergences=torch.full_like(entropies, divergence),
    )


P, M = Origin.POLICY, Origin.MIXTURE
# two replaced tokens: H = 3 in a success, H = 1 in a failure, so x = (1, 0, 0, 1) and (−1, 0, 0, 1)
TWO = [
    (0, P, 0.0, [9.0, 9.0], [0, 0]),
    (0, P, 1.0, [9.0, 9.0], [0, 0]),
    (0, M, 1.0, [3.0, 7.0], [1, 0]),
    (0, M, 0.0, [7.0, 1.0], [0, 1]),
]


def scored(entropies, margin=0.5, divergence=2.0):
    entropies = torch.tensor(entropies)
    zeros = torch.zeros_like(entropies)
    logs = zeros[:, None]
    return Scored(entropies, zeros.long(), zeros.long(), logs, logs, zeros + margin, zeros + divergence)


def weight_of(x):
    return 2 / (1 + math.exp(-x))


def test_until_something_was_learned_it_is_the_other_gate_to_the_last_bit():
    gate, other = LearnedGate(EntropyGate(p=0.5)), EntropyGate(p=0.5)
    for one in (gate, other):
        one.observe([torch.tensor([1.0, 2.0, 3.0])])
    drafts = scored(torch.rand(100).mul(4).tolist(), divergence=torch.inf)
    assert gate.gamma == other.gamma == 2.0
    assert torch.equal(gate(drafts), other(drafts))
    gate.learn(rollouts([(*row[:4], [0, 0]) for row in TWO]))  # no token was replaced
    assert torch.equal(gate(drafts), other(drafts))
    assert gate.needs_expert


def test_one_step_is_a_part_of_newtons():
    gate = LearnedGate(ConstantGate(0.4), rate=0.5, ridge=1.5)
    gate.learn(rollouts(TWO))
    # s = ½: gradient ½·(1, 0, 0, 1) − ½·(−1, 0, 0, 1) = (1, 0, 0, 0), curvature ¼·2 + 1.5 = 2 there: b = ½ · ½
    assert gate.b.tolist() == pytest.approx([0.25, 0, 0, 0])
    # the mean of H is 2, its deviation 1
    assert gate(scored([2.0, 3.0, 0.0])).tolist() == pytest.approx(
        [0.4, 0.4 * weight_of(0.25), 0.4 * weight_of(-0.5)], abs=1e-6
    )


def test_the_next_step_starts_where_the_last_one_ended_and_the_ridge_pulls_to_nothing():
    gate = LearnedGate(ConstantGate(0.4), rate=0.5, ridge=1.5)
    gate.learn(rollouts(TWO))
    gate.learn(rollouts(TWO))
    s = 1 / (1 + math.exp(-0.25))
    assert gate.b[0].item() == pytest.approx(0.25 + 0.5 * (2 * (1 - s) - 1.5 * 0.25) / (2 * s * (1 - s) + 1.5))


def test_the_intercept_tells_how_often_replaced_tokens_are_in_successes():
    gate = LearnedGate(ConstantGate(0.4), rate=1.0, ridge=1.0)
    gate.learn(rollouts([TWO[0], TWO[1], (0, M, 1.0, [3.0, 3.0], [1, 1]), (0, M, 1.0, [3.0, 3.0], [1, 1])]))
    # four tokens alike: gradient 4·½, curvature 4·¼ + 1
    assert gate.b.tolist() == pytest.approx([0, 0, 0, 1.0])
    assert gate(scored([3.0])).tolist() == pytest.approx([0.4 * weight_of(1)], abs=1e-6)


def test_weights_stay_within_their_range():
    gate = LearnedGate(ConstantGate(0.9))
    gate.b = torch.tensor([0.0, 0.0, 0.0, 3.0]).double()
    assert gate(scored([1.0])).tolist() == [1.0]


@pytest.mark.parametrize(
    "more",
    [
        (1, M, 1.0, [5.0, 5.0], [1, 1]),  # no policy row to compare with
        (0, P, 0.5, [5.0, 5.0], [0, 0]),  # on the mean of the policy rows, which it leaves as it was
    ],
)
def test_rows_without_a_verdict_teach_nothing(more):
    one, other = (LearnedGate(ConstantGate(0.4)) for _ in range(2))
    one.learn(rollouts(TWO))
    other.learn(rollouts([*TWO, more]))
    assert torch.equal(one.b, other.b)
    assert torch.equal(one.moments, other.moments)


def test_a_reward_on_the_mean_of_the_policy_rows_is_no_success():
    gate = LearnedGate(ConstantGate(0.4), rate=1.0, ridge=1.0)
    gate.learn(rollouts([*TWO[:2], (0, M, 0.5, [3.0, 3.0], [1, 1])]))
    assert gate.b[3].item() == pytest.approx(-1 / 1.5)  # two failures: gradient −2·½, curvature 2·¼ + 1


def test_successes_are_measured_by_the_policy_rows_alone():
    gate = LearnedGate(ConstantGate(0.4), rate=1.0, ridge=1.0)
    # .6 is above the policy rows' ½ and below the mean of all, .72
    gate.learn(rollouts([*TWO[:2], (0, M, 0.6, [3.0, 3.0], [1, 1]), *[(0, M, 1.0, [3.0, 3.0], [0, 0])] * 2]))
    assert gate.b[3].item() == pytest.approx(1 / 1.5)


def test_a_step_without_replaced_tokens_leaves_what_was_learned():
    gate = LearnedGate(ConstantGate(0.4))
    gate.learn(rollouts(TWO))
    before = gate.b.clone()
    gate.learn(rollouts([(*row[:4], [0, 0]) for row in TWO]))
    assert torch.equal(gate.b, before)


def test_sums_run_over_all_ranks(monkeypatch):
    one, other = (LearnedGate(ConstantGate(0.4)) for _ in range(2))
    one.learn(rollouts(TWO + [(1, *row[1:]) for row in TWO]))
    monkeypatch.setattr(learned_gate, "all_sum", lambda value: 2 * value)  # another rank has the same
    other.learn(rollouts(TWO))
    assert torch.allclose(one.b, other.b, rtol=1e-12)
    assert torch.equal(one.moments, other.moments)


def test_a_rank_without_tokens_takes_part(monkeypatch):
    calls = []
    monkeypatch.setattr(learned_gate, "all_sum", lambda value: calls.append(value.shape) or value + 1)
    none = rollouts(TWO)
    for name, column in vars(none).items():
        setattr(none, name, column[:0])
    LearnedGate().learn(none)
    assert calls == [(3, 3), (4, 5)]


def test_infinite_divergences_teach_finite_numbers():
    gate = LearnedGate(ConstantGate(0.4))
    one = rollouts(TWO)
    one.divergences[2, 0] = torch.inf
    gate.learn(one)
    assert gate.b.isfinite().all()
    assert gate(scored([1.0], divergence=torch.inf)).isfinite().all()


def test_a_restored_gate_goes_on_as_the_saved_one(tmp_path):
    saved, restored = (LearnedGate(EntropyGate(p=0.5)) for _ in range(2))
    saved.observe([torch.tensor([2.0])])
    saved.learn(rollouts(TWO))
    torch.save(saved.state_dict(), tmp_path / "gate")
    restored.load_state_dict(torch.load(tmp_path / "gate", weights_only=True))
    assert torch.equal(saved(scored([1.0, 3.0])), restored(scored([1.0, 3.0])))
    for gate in (saved, restored):
        gate.learn(rollouts(TWO))
    assert torch.equal(saved.b, restored.b)
    assert torch.equal(saved.moments, restored.moments)


@pytest.mark.parametrize("options", [{"rate": 0}, {"rate": 1.5}, {"ridge": 0}])
def test_settings_out_of_range_are_usage_errors(options):
    (name,) = options
    with pytest.raises(UsageError, match=f"{name} is {options[name]}"):
        LearnedGate(**options)


def test_it_learns_behind_a_gate_that_wraps_it():
    inner = LearnedGate(ConstantGate(0.4))
    ExpertFirst(inner).learn(rollouts(TWO))
    assert inner.b.any()
