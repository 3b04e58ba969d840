"""LUFFY: seven policy rollouts and the trace, compared with one another; without a trace, the policy gradient alone."""

import torch
from runs import Batches

from mentor_pl.algorithms.base import Step
from mentor_pl.algorithms.luffy import Luffy
from mentor_pl.algorithms.on_policy import OnPolicy
from mentor_pl.algorithms.parts.advantages import centred
from mentor_pl.algorithms.parts.losses.base import LossOutputs, Term
from mentor_pl.algorithms.parts.traces import Shortest
from mentor_pl.types import Origin, Prompt

PROMPTS = [Prompt(3, "three", "3", (4,)), Prompt(8, "eight", "8", (1, 2), traces=((5, 6, 9), (7, 9)))]


def test_the_trace_is_the_last_of_the_group_and_a_problem_without_one_has_policy_rows_alone():
    (rows,) = Luffy(3, Shortest()).rounds(Step(PROMPTS))
    told = [(row.prompt.index, row.number, row.origin, row.given, row.complete) for row in rows]
    assert told == [
        *((3, number, Origin.POLICY, (), False) for number in range(3)),
        *((8, number, Origin.POLICY, (), False) for number in range(2)),
        (8, 2, Origin.DEMONSTRATION, (7, 9), True),
    ]
    assert {row.context for row in rows if row.prompt.index == 8} == {(1, 2)}


class Plain(Term):
    """−A r over the rollouts times the greatest length of a response."""

    name = "plain"
    skips_zero_advantage = True

    def weight(self, tokens):
        return tokens.mask.any(-1).sum() * tokens.max_tokens

    def __call__(self, batch):
        ratio = (batch.logprobs - batch.old_logprobs).exp()
        return LossOutputs(-(batch.advantages * ratio * batch.mask).sum())


class Bonus(Term):
    """The entropies' mean."""

    name, coefficient = "bonus", 0.001

    def weight(self, tokens):
        return tokens.mask.sum()

    def __call__(self, batch):
        return LossOutputs(-(batch.entropies * batch.mask).sum())


class PolicyGradient(OnPolicy):
    """What LUFFY is built on."""

    def advantages(self, rollouts):
        return centred(rollouts.rewards, rollouts.group)

    def terms(self):
        return [Plain(), Bonus()]


def test_without_traces_it_is_the_plain_policy_gradient_bit_for_bit(same_run):
    assert same_run(Luffy(4), PolicyGradient(4))


def test_with_traces_the_trace_counts_in_the_mean_and_is_not_divided_by_the_deviation(run, traced_problems):
    kept = Batches()
    algorithm = Luffy(4)
    run(algorithm=algorithm, steps=2, callbacks=[kept], data_options={"train": str(traced_problems)}).fit()
    both = 0
    for rollouts in kept.rollouts:
        advantages = algorithm.advantages(rollouts)
        for group in rollouts.group.unique():
            ours = rollouts.group == group
            rewards, given = rollouts.rewards[ours], rollouts.origin[ours] == Origin.DEMONSTRATION
            assert torch.allclose(advantages[ours], rewards - rewards.mean())
            assert given.tolist() in ([False] * 3 + [True], [False] * 4)
            both |= 1 + bool(given[-1])
            if given[-1]:  # it is graded, and its probabilities are those of the policy that sampled
                trace = (rollouts.origin == Origin.DEMONSTRATION) & ours
                assert rewards[-1] == 1
                assert torch.equal(rollouts.given[trace], rollouts.mask[trace])
                assert (rollouts.logprobs[trace][rollouts.mask[trace]] < 0).all()
    assert both == 3
