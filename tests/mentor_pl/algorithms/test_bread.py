"""BREAD: the earliest place of a trace from which the policy succeeds, found by bisection, is where rollouts branch."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from collecting import Learner, gather
from runs import Batches

from mentor_pl.algorithms.base import Graded, Step
from mentor_pl.algorithms.bread import BREAD
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.decoding.naive import Naive
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt

TRACE = (*range(100, 115), 9)  # 16 tokens: two in each of eight pieces


def problem(index, *traces):
    return Prompt(index, "p", "a", (1,), traces=traces)


def played(algorithm, prompts, needed):
    """All rounds, where a row succeeds from `needed` given tokens of its problem on; and no number comes twice."""
    rounds, graded, seen = algorithm.rounds(Step(prompts)), None, []
    while True:
        try:
            rows = rounds.send(graded)
        except StopIteration:
            break
        seen.append(rows)
        successes = torch.tensor([len(row.given) >= needed[row.prompt.index] for row in rows])
        graded = Graded(rows, torch.ones(len(rows)), [], wait=lambda found=successes: (found.float(), found))
    numbers = [(row.prompt.index, row.number) for rows in seen for row in rows]
    assert len(set(numbers)) == len(numbers)
    return seen


@pytest.mark.parametrize(
    ("needed", "tried", "branch"),
    [
        (1, [8, 4, 2], 2),
        (2, [8, 4, 2], 2),
        (3, [8, 4, 2], 4),  # the search ends between 2, which fails, and 4
        (6, [8, 4, 6], 6),
        (8, [8, 4, 6], 8),
        (9, [8, 12, 10], 10),
        (14, [8, 12, 14], 14),
        (15, [8, 12, 14], None),  # the whole trace alone would do, from which nothing branches
        (99, [8, 12, 14], None),
    ],
)
def test_the_shortest_prefix_that_leads_to_a_success_is_found_in_three_probes(needed, tried, branch):
    first, *probes, last = played(BREAD(4, pieces=8, tries=2), [problem(0, TRACE)], {0: needed})
    assert [(row.number, row.given, row.probe) for row in first] == [(n, (), False) for n in range(4)]
    assert [[row.given for row in rows] for rows in probes] == [[TRACE[:n]] * 2 for n in tried]
    assert all(row.probe and not row.complete for rows in probes for row in rows)
    assert [row.given for row in last] == ([] if branch is None else [TRACE[:branch]] * 4)
    assert not any(row.probe or row.complete for row in last)


def test_problems_are_searched_side_by_side_and_only_those_that_failed_and_have_a_trace():
    prompts = [problem(0, TRACE), problem(1, TRACE), problem(2), problem(3, TRACE)]
    _, *probes, last = played(BREAD(2, pieces=8, tries=1), prompts, {0: 3, 1: 0, 2: 5, 3: 14})
    assert [[(row.prompt.index, len(row.given)) for row in rows] for rows in probes] == [
        [(0, 8), (3, 8)],
        [(0, 4), (3, 12)],
        [(0, 2), (3, 14)],
    ]
    assert [(row.prompt.index, len(row.given)) for row in last] == [(0, 4)] * 2 + [(3, 14)] * 2


def test_pieces_that_are_not_a_power_of_two_and_traces_shorter_than_they_are():
    for needed in range(1, 20):
        *_, last = played(BREAD(2, pieces=5, tries=1), [problem(0, TRACE)], {0: needed})
        fits = [16 * n // 5 for n in range(1, 5) if 16 * n // 5 >= needed]
        assert {len(row.given) for row in last} == set(fits[:1])
    *_, last = played(BREAD(2, pieces=8, tries=1), [problem(0, (5, 6, 9))], {0: 2})
    assert {row.given for row in last} == {(5, 6)}


def test_a_problems_numbers_and_so_its_noise_do_not_depend_on_how_long_another_is_searched():
    def numbers(*indices):  # of five pieces one takes two probes or three
        rounds = played(BREAD(2, pieces=5, tries=1), [problem(i, TRACE) for i in indices], {0: 7, 1: 1, 2: 14})
        return {i: [row.number for rows in rounds for row in rows if row.prompt.index == i] for i in indices}

    alone = {i: numbers(i)[i] for i in (0, 1, 2)}
    assert len({len(found) for found in alone.values()}) > 1
    assert numbers(0, 1, 2) == alone


def test_one_success_among_the_tries_is_enough():
    rounds = BREAD(2, pieces=2, tries=3).rounds(Step([problem(0, TRACE)]))
    failed = torch.zeros(2, dtype=torch.bool)
    rows = rounds.send(Graded(next(rounds), torch.ones(2), [], wait=lambda: (failed.float(), failed)))
    assert [row.number for row in rows] == [2, 3, 4]
    some = torch.tensor([False, True, False])
    rows = rounds.send(Graded(rows, torch.ones(3), [], wait=lambda: (some.float(), some)))
    assert [(row.number, row.given) for row in rows] == [(5, TRACE[:8]), (6, TRACE[:8])]


def test_rollouts_are_compared_with_those_that_begin_alike():
    rollouts = SimpleNamespace(
        rewards=torch.tensor([0.0, 0.0, 0.0, 2.0, 1.0, 3.0]),
        group=torch.tensor([0, 0, 0, 0, 1, 1]),
        given=torch.arange(3) < torch.tensor([0, 0, 2, 2, 0, 0])[:, None],
        mask=torch.ones(6, 3, dtype=torch.bool),
    )
    half = 0.5**0.5  # distances ±1 over √2
    assert BREAD().advantages(rollouts).tolist() == pytest.approx([0, 0, -half, half, -half, half], abs=1e-5)
    assert torch.equal(BREAD().train_mask(rollouts), ~rollouts.given)


class NeedsThree(Reward):
    """Succeeds with the words t1 t2 t3 in their order."""

    range = (0.0, 1.0)

    def grade(self, prompt, response):
        return Grade(float(response.text.startswith("t1 t2 t3")))


def test_on_a_lookup_table_the_branch_is_where_the_table_knows_the_way(lookup_models):
    """After t2 the policy says t3, then stops; at first it says t0 for ever. So t1 t2 is the shortest prefix."""
    logits = torch.full((6, 6), -50.0)
    for last, following in ((0, 0), (1, 0), (2, 3), (3, 5), (4, 0), (5, 5)):
        logits[last, following] = 50.0
    models = lookup_models(logits.expand(1, 6, 6))
    prompts = [Prompt(0, "p", "a", (4,), traces=((1, 2, 3, 5),)), Prompt(1, "q", "a", (4,))]
    models = replace(models, policy=scored(models.policy))
    learner = Learner(models, algorithm=BREAD(2, pieces=4, tries=1))
    rollouts = gather(learner, Naive(), prompts=prompts, reward=NeedsThree())
    assert rollouts.group.tolist() == [0, 0, 0, 0, 1, 1]
    assert rollouts.given.sum(1).tolist() == [0, 0, 2, 2, 0, 0]
    assert rollouts.response_ids[2, :4].tolist() == [1, 2, 3, 5]
    assert rollouts.rewards.tolist() == [0, 0, 1, 1, 0, 0]
    assert not (rollouts.train_mask & rollouts.given).any()


def scored(policy):
    """The table, which given tokens can be scored with: their values are of no interest here."""

    def token_logprobs(prompts, prompt_lengths, responses, lengths, **_):
        return torch.zeros(responses.shape), torch.zeros(responses.shape)

    policy.token_logprobs = token_logprobs
    return policy


@pytest.mark.parametrize("how", ["one piece", "no traces"])
def test_without_branches_it_is_grpo_bit_for_bit(same_run, traced_problems, word_problems, how):
    train = traced_problems if how == "one piece" else word_problems
    algorithm = BREAD(4, pieces=1) if how == "one piece" else BREAD(4)
    assert same_run(algorithm, GRPO(4), data_options={"train": str(train)})


def test_a_run_branches_and_no_probe_is_trained_on(run, traced_problems):
    kept = Batches()
    run(algorithm=BREAD(2, pieces=4), callbacks=[kept], data_options={"train": str(traced_problems)}).fit()
    begun = 0
    for rollouts in kept.rollouts:
        sizes = rollouts.group.bincount().tolist()
        assert set(sizes) <= {2, 4}  # with a branch of two or without
        begun += int(rollouts.given.any())
    assert begun


@pytest.mark.parametrize(("options", "message"), [({"pieces": 0}, "pieces is 0"), ({"tries": 0}, "tries is 0")])
def test_counts_below_one_are_usage_errors(options, message):
    with pytest.raises(UsageError, match=message):
        BREAD(**options)
