"""Prefix-RFT: one rollout goes on from a prefix whose length follows α, of which the least certain tokens count."""

from types import SimpleNamespace

import pytest
import torch
from runs import Batches

from mentor_pl.algorithms.base import Step
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.algorithms.prefix_rft import PrefixRFT
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin, Prompt

TRACE = (*range(100, 119), 9)  # 20 tokens
PROMPTS = [Prompt(3, "three", "3", (4,)), Prompt(8, "eight", "8", (1, 2), traces=(TRACE,))]


def prefixes(alpha, **options):
    """The given tokens of each row, by problem."""
    (rows,) = PrefixRFT(3, **options).rounds(Step(PROMPTS, alpha))
    assert [(row.prompt.index, row.number) for row in rows] == [(i, n) for i in (3, 8) for n in range(3)]
    assert {row.origin for row in rows} == {Origin.POLICY}
    assert not any(row.complete for row in rows)
    return [row.given for row in rows]


@pytest.mark.parametrize(
    ("alpha", "options", "length"),
    [
        (1.0, {}, 19),  # 0.95 · 20
        (0.5, {}, 10),  # 0.05 + 0.9/2 = ½
        (1e-9, {}, 1),
        (0.0, {}, 0),
        (1.0, {"max_share": 1.0}, 19),  # the stop token is never given: something is left to sample
        (2.0, {}, 19),
        (1.0, {"max_share": 0.0, "min_share": 0.0}, 0),
    ],
)
def test_the_last_rollout_begins_with_a_share_of_the_trace_that_follows_alpha(alpha, options, length):
    given = prefixes(alpha, **options)
    assert given[5] == TRACE[:length]
    assert not any(given[:5])  # nor is anything given for the problem without a trace


def test_of_a_prefix_the_fifth_with_the_highest_entropy_is_trained_on_and_all_that_is_sampled():
    entropies = torch.tensor(
        [
            [1.0, 5.0, 2.0, 4.0, 3.0, 9.0, 0.1, 9.0],  # five given: one counts
            [9.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],  # eight: two count, of equals the first
            [9.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # two: a fifth of them is none
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],  # none given
        ]
    )
    given = torch.arange(8) < torch.tensor([5, 8, 2, 0])[:, None]
    mask = torch.arange(8) < torch.tensor([7, 8, 8, 8])[:, None]
    rollouts = SimpleNamespace(entropies=entropies, given=given, mask=mask)
    assert PrefixRFT().train_mask(rollouts).int().tolist() == [
        [0, 1, 0, 0, 0, 1, 1, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 1, 1],
    ]
    assert torch.equal(PrefixRFT(top_entropy=1.0).train_mask(rollouts), mask)
    assert torch.equal(PrefixRFT(top_entropy=0.0).train_mask(rollouts), mask & ~given)


@pytest.mark.parametrize(
    ("options", "alpha"), [({}, 0.0), ({"max_share": 0.0, "min_share": 0.0}, 1.0)], ids=["alpha 0", "shares 0"]
)
def test_without_prefixes_it_is_dr_grpo_bit_for_bit(same_run, traced_problems, options, alpha):
    base = type("DrGRPO", (GRPO,), {"advantages": PrefixRFT.advantages})(4, ClippedSurrogate(aggregation="constant"))
    run_options = {"data_options": {"train": str(traced_problems)}, "module_options": {"alpha": alpha}}
    assert same_run(PrefixRFT(4, **options), base, **run_options)


def test_a_rollout_goes_on_from_its_prefix_and_is_compared_with_the_others(run, traced_problems):
    kept = Batches()
    algorithm = PrefixRFT(4)
    run(algorithm=algorithm, callbacks=[kept], data_options={"train": str(traced_problems)}).fit()
    begun = 0
    for rollouts in kept.rollouts:
        advantages = algorithm.advantages(rollouts)
        for group in rollouts.group.unique():
            rewards = rollouts.rewards[rollouts.group == group]
            assert torch.allclose(advantages[rollouts.group == group], rewards - rewards.mean(), atol=1e-6)
        lengths = rollouts.given.sum(1)
        begun += int((lengths > 0).sum())
        assert (lengths < rollouts.response_lengths).all()
        assert (rollouts.logprobs[rollouts.given] < 0).all()
        assert (rollouts.entropies[rollouts.given] > 0).all()
        assert (rollouts.train_mask & rollouts.given).sum(1).tolist() == (0.2 * lengths).round().int().tolist()
    assert begun > 3


def test_the_default_schedule_is_a_cosine_of_120_steps_of_the_share():
    schedule = PrefixRFT().schedule
    assert [0.05 + 0.9 * schedule(step) for step in (0, 60, 120)] == pytest.approx([0.95, 0.5, 0.05])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_share": 1.5}, "algorithm max_share is 1.5"),
        ({"top_entropy": -0.1}, "algorithm top_entropy is -0.1"),
        ({"min_share": 0.5, "max_share": 0.4}, "min_share is 0.5, but max_share 0.4"),
    ],
)
def test_shares_that_are_none_are_usage_errors(options, message):
    with pytest.raises(UsageError, match=message):
        PrefixRFT(**options)
