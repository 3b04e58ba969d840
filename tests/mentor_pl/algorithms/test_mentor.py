"""MENTOR's rounds, and equations [10] and [11] with numbers worked out by hand."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from mentor_pl.algorithms.base import Graded, Step
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.gates import ConstantGate, EntropyGate
from mentor_pl.algorithms.parts.kl_gate import KLGate
from mentor_pl.algorithms.parts.random_gate import RandomGate
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin, Prompt

PROMPTS = [Prompt(8, "eight", "8", (1, 2)), Prompt(3, "three", "3", (4,))]


def kinds(algorithm, alpha):
    """(policy rows, mixture rows) of the first problem, round by round; the policy's entropies are 1 … 5."""
    rounds, told = algorithm.rounds(Step(PROMPTS, alpha)), None
    found = []
    while True:
        try:
            rows = next(rounds) if told is None else rounds.send(told)
        except StopIteration:
            return found
        ours = [row for row in rows if row.prompt.index == 8]
        mixed = sum(row.origin == Origin.MIXTURE for row in ours)
        found.append((len(ours) - mixed, mixed))
        told = Graded(
            rows, torch.ones(len(rows)), [torch.arange(1.0, 6.0)], wait=lambda: (torch.zeros(0), torch.zeros(0))
        )


@pytest.mark.parametrize(
    ("options", "alpha", "expected"),
    [
        ({"guided_prompts": 0.0}, 1.0, [(8, 0)]),
        ({"fidelity": "released_code"}, 1.0, [(8, 4)]),  # γ_p is of the step before: nothing need be waited for
        ({"gate": ConstantGate(0.1)}, 1.0, [(4, 4)]),
        ({"gate": ConstantGate(0.1), "guided_prompts": 1e-9}, 1.0, [(8, 0)]),
        ({"gate": KLGate()}, 1.0, [(4, 4)]),
        ({"gate": RandomGate()}, 1.0, [(4, 0), (0, 4)]),
        ({"fidelity": "released_code"}, 0.0, [(8, 0)]),
        ({"fidelity": "released_code", "on_policy": 4, "refill": True}, 0.0, [(8, 0)]),
        ({}, 1.0, [(4, 0), (0, 4)]),
        ({}, 1e-9, [(4, 0), (0, 4)]),
        ({}, 0.0, [(8, 0)]),
        ({"on_policy": 8, "refill": False}, 1.0, [(8, 0), (0, 4)]),
        ({"on_policy": 8, "refill": False}, 0.0, [(8, 0)]),
    ],
)
def test_rounds_follow_alpha(options, alpha, expected):
    assert kinds(Mentor(**options), alpha) == expected


def test_numbers_go_on_in_the_second_round_so_that_no_noise_is_used_twice():
    rounds = Mentor(2, 2).rounds(Step(PROMPTS))
    first = next(rounds)
    second = rounds.send(Graded(first, torch.ones(4), [torch.ones(4)], wait=lambda: (torch.zeros(0), torch.zeros(0))))
    assert [(row.prompt.index, row.number) for row in first] == [(8, 0), (8, 1), (3, 0), (3, 1)]
    assert [(row.prompt.index, row.number) for row in second] == [(8, 2), (8, 3), (3, 2), (3, 3)]


def test_the_gate_observes_the_policy_rows_before_mixture_rows_are_asked_for():
    algorithm = Mentor(gate=EntropyGate(p=0.5))
    kinds(algorithm, 1.0)
    assert algorithm.gate.gamma == algorithm.blend.gamma == 3.0  # the median of 1 … 5
    again = Mentor(gate=EntropyGate(p=0.5))
    again.load_state_dict(algorithm.state_dict())
    assert again.gate.gamma == 3.0


@dataclass
class Rollouts:
    """What advantages are made of."""

    rewards: Tensor
    group: Tensor
    origin: Tensor
    alpha: float = 1.0
    reward_range: float = 1.0


def advantages(rewards, mixed, eps=0.0, **options):
    group = torch.tensor([place for place, row in enumerate(rewards) for _ in row])
    flat = torch.tensor([reward for row in rewards for reward in row])
    origin = torch.tensor([int(m) * Origin.MIXTURE for row in mixed for m in row])
    values = Mentor(eps=eps).advantages(Rollouts(flat, group, origin, **options))
    assert values.dtype == torch.float32
    return [values[group == place].tolist() for place in range(len(rewards))]


def test_mixed_rollouts_take_no_part_in_mean_and_deviation():
    # mean 2 and deviation 2 of the on-policy rewards 0, 2, 4, whatever the mixed ones got
    assert advantages([[0.0, 2.0, 4.0, 100.0, -7.0]], [[0, 0, 0, 1, 1]])[0][:3] == [-1.0, 0.0, 1.0]


def test_guided_success_earns_its_distance_times_alpha_over_the_range_undivided_by_the_deviation():
    # mean(R_on) = ¼: (1 − ¼) · α ½ / range 2 = 3/16
    assert advantages([[0.0, 0.5, 1.0]], [[0, 0, 1]], alpha=0.5, reward_range=2.0)[0][2] == 0.1875


def test_a_guided_failure_is_never_punished():
    # mean(R_on) = ½: 0 and 0.25 lie below it, 0.5 on it
    assert advantages([[0.0, 1.0, 0.0, 0.25, 0.5]], [[0, 0, 1, 1, 1]])[0][2:] == [0.0, 0.0, 0.0]


def test_a_group_whose_mixed_rollouts_all_fail_is_plain_grpo():
    assert advantages([[0.0, 2.0, 4.0, 0.0, 0.0]], [[0, 0, 0, 1, 1]]) == [[-1.0, 0.0, 1.0, 0.0, 0.0]]


def test_alpha_zero_takes_mixed_rollouts_out():
    assert advantages([[0.0, 1.0, 1.0]], [[0, 0, 1]], alpha=0.0)[0][2] == 0.0


def test_each_group_is_measured_by_itself_and_the_place_of_mixed_rows_is_free():
    rewards, mixed = [[0.0, 2.0, 4.0, 3.0], [6.0, 10.0, 12.0, 8.0]], [[0, 0, 0, 1], [1, 0, 0, 0]]
    # second group: mean 10, deviation 2; the mixed 6 lies below
    assert advantages(rewards, mixed) == [[-1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, -1.0]]


def test_guided_success_stays_where_all_on_policy_rollouts_fail():
    # zero variance: on-policy rows carry nothing, the guided success carries the whole step
    assert advantages([[0.0, 0.0, 0.0, 1.0]], [[0, 0, 0, 1]], eps=1e-6) == [[0.0, 0.0, 0.0, 1.0]]


def test_equal_on_policy_rewards_give_an_equal_mixed_reward_nothing():
    assert advantages([[0.9] * 8], [[0] * 6 + [1] * 2], eps=1e-6)[0] == [0.0] * 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_policy": 1}, "on_policy is 1"),
        ({"on_policy": 0}, "on_policy is 0"),
        ({"mixed": 0}, "mixed is 0.*configs/algorithms/grpo.yaml"),
        ({"mixed": -1}, "mixed is -1"),
        ({"guided_prompts": 1.5}, "guided_prompts is 1.5"),
    ],
)
def test_counts_out_of_range_are_usage_errors(options, message):
    with pytest.raises(UsageError, match=message):
        Mentor(**options)


def test_the_gate_learns_from_the_steps_rollouts():
    class Noted(EntropyGate):
        def learn(self, rollouts):
            self.told = rollouts

    algorithm = Mentor(gate=Noted())
    rollouts = Rollouts(torch.zeros(1), torch.zeros(1), torch.zeros(1))
    algorithm.observe(rollouts)
    assert algorithm.gate.told is rollouts
    assert Mentor().observe(rollouts) is None  # by default a gate learns nothing
