"""Rollouts without a grade: 0 for them, and the others as if they had never been."""

import math

import pytest
import torch

from mentor_pl.algorithms.base import Algorithm, advantages_of
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.kdrl import KDRL
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.algorithms.parts.losses.divergence import Divergence
from mentor_pl.algorithms.parts.losses.entropy import EntropyBonus
from mentor_pl.algorithms.parts.losses.expert_choice import ExpertChoice
from mentor_pl.algorithms.parts.losses.nll import NegativeLogLikelihood
from mentor_pl.algorithms.parts.losses.only import Only
from mentor_pl.algorithms.parts.losses.reference_kl import ReferenceKL
from mentor_pl.algorithms.skd import SKD
from mentor_pl.algorithms.tgpo import TGPO
from mentor_pl.algorithms.trb import TRB
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin, Rollouts

NONE = math.nan


def rollouts(rewards, group, mixed=None):
    n, tokens = len(rewards), torch.zeros(len(rewards), 2)
    zeros, never = torch.zeros(n, dtype=torch.int64), torch.zeros(n, 2, dtype=torch.bool)
    return Rollouts(
        prompt_ids=zeros[:, None],
        prompt_lengths=zeros + 1,
        response_ids=never.long(),
        response_lengths=zeros + 2,
        group=torch.tensor(group),
        origin=torch.tensor([int(m) * Origin.MIXTURE for m in mixed or [0] * n]),
        logprobs=tokens,
        entropies=tokens,
        gate_weights=tokens,
        guided=never,
        replaced=never,
        given=never,
        train_mask=never,
        truncated=never[:, 0],
        rewards=torch.tensor(rewards),
        reward_parts={"outcome": torch.tensor(rewards)},
        reward_range=2.0,
        temperature=1.0,
        alpha=0.5,
        gamma=1.0,
        step=0,
        policy_updates=0,
        texts=tuple(f"text {i}" for i in range(n)),
    )


def test_on_policy_rl_compares_graded_rollouts_alone():
    # first group: 0, 2, 4 with mean 2 and deviation 2; second: one is graded; third: none is
    batch = rollouts([0.0, NONE, 2.0, 4.0, 1.0, NONE, NONE, NONE], [0, 0, 0, 0, 1, 1, 2, 2])
    assert advantages_of(GRPO(eps=0.0), batch).tolist() == [-1, 0, 0, 1, 0, 0, 0, 0]


def test_mentor_measures_mixed_rollouts_by_the_graded_on_policy_ones():
    # on-policy 0, 4 of a group: mean 2; mixed 3: (3 − 2) · ½ / 2 = ¼.
    # Second group: nothing to compare the mixed 4 with.
    batch = rollouts([0.0, NONE, 4.0, 3.0, NONE, NONE, NONE, 4.0], [0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0, 1])
    got = advantages_of(Mentor(eps=0.0), batch).tolist()
    assert got == pytest.approx([-(0.5**0.5), 0, 0.5**0.5, 0.25, 0, 0, 0, 0])  # variance 8, over 1: distance 2 / √8


class PerToken(Algorithm):
    """Notes what it is asked about; its advantages are the tokens' rewards, with another token's beside."""

    def rounds(self, step):
        raise NotImplementedError

    def terms(self):
        raise NotImplementedError

    def advantages(self, rollouts):
        self.asked = rollouts
        return torch.stack([rollouts.rewards, -rollouts.rewards], 1)


def test_a_method_of_ones_own_never_sees_what_is_not_graded():
    algorithm = PerToken()
    assert advantages_of(algorithm, rollouts([1.0, NONE, 3.0], [0, 0, 1])).tolist() == [[1, -1], [0, 0], [3, -3]]
    assert algorithm.asked.group.tolist() == [0, 1]
    assert algorithm.asked.texts == ("text 0", "text 2")
    assert algorithm.asked.reward_parts["outcome"].tolist() == [1, 3]


def test_every_rank_asks_its_method_once_also_without_a_graded_rollout():
    algorithm = PerToken()
    assert advantages_of(algorithm, rollouts([NONE, NONE], [0, 0])).tolist() == [[0, 0], [0, 0]]
    assert len(algorithm.asked) == 0
    for method in (GRPO(), Mentor()):
        assert advantages_of(method, rollouts([NONE, NONE], [0, 0])).tolist() == [0, 0]


def test_a_term_that_counts_for_nothing_is_not_there():
    nothing = [kind(coefficient=0.0) for kind in (EntropyBonus, NegativeLogLikelihood, ReferenceKL, ExpertChoice)]
    nothing.append(Divergence("reverse", 0.0))
    algorithm = GRPO()
    algorithm.added = [*nothing, *(Only(term, Origin.POLICY) for term in nothing)]
    assert algorithm.all_terms == [algorithm.loss]
    assert not algorithm.needs
    algorithm.added = [EntropyBonus(0.5)]
    assert algorithm.all_terms == [algorithm.loss, *algorithm.added]


def test_a_method_that_minimises_nothing_is_a_usage_error():
    with pytest.raises(UsageError, match="algorithm TRB minimises nothing"):
        _ = TRB(loss=Divergence("reverse", 0.0)).needs


@pytest.mark.parametrize(
    ("algorithm", "at_one", "at_zero"),
    [
        (Mentor(), True, False),
        (Mentor(guided_prompts=0.0), False, False),
        (Mentor(loss=ClippedSurrogate(ratio="mixture")), True, True),  # scores the expert whatever α is
        (TRB(), True, True),  # for its divergence
        (TRB(loss=ClippedSurrogate()), True, False),
        (TRB(epsilon=0.0, loss=ClippedSurrogate()), False, False),
        (TGPO(), True, False),
        (KDRL(), True, True),
        (SKD(), True, True),
        (GRPO(), False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Algorithm) else str(value),
)
def test_a_method_says_at_which_alpha_it_asks_the_expert(algorithm, at_one, at_zero):
    assert (algorithm.asks_expert(1.0), algorithm.asks_expert(0.0)) == (at_one, at_zero)
