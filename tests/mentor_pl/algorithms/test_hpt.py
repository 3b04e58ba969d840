"""HPT: problems that the policy seldom solves are cloned from their trace, the others are GRPO's."""

import math

import pytest
import torch
from runs import Batches, Gradients

from mentor_pl.algorithms.base import Graded, Step
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.hpt import HPT
from mentor_pl.algorithms.parts.traces import Shortest
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin, Prompt

TRACES = ((5, 6, 9), (7, 9))
PROMPTS = [Prompt(index, "p", "a", (1,), traces=TRACES) for index in range(3)] + [Prompt(3, "p", "a", (1,))]


def cloned(successes, rewards=None, **options):
    """(problem, number, given) of the second round's rows; of each problem the `successes` of its rollouts."""
    rounds = HPT(4, selection=Shortest(), **options).rounds(Step(PROMPTS))
    rows = next(rounds)
    assert [(row.prompt.index, row.number) for row in rows] == [(i, n) for i in range(4) for n in range(4)]
    flat = torch.tensor(successes, dtype=torch.bool).flatten()
    totals = flat.float() if rewards is None else torch.tensor(rewards).flatten()
    rows = rounds.send(Graded(rows, torch.ones(16), [], wait=lambda: (totals, flat)))
    assert all(row.complete and row.origin == Origin.DEMONSTRATION for row in rows)
    return [(row.prompt.index, row.number, row.given) for row in rows]


def test_where_no_more_than_the_bound_succeeds_the_trace_is_given_where_there_is_one():
    rates = [[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    zero, one = (0, 4, (7, 9)), (1, 4, (7, 9))
    assert cloned(rates) == [zero]
    assert cloned(rates, bound=0.24) == [zero]
    assert cloned(rates, bound=0.25) == [zero, one]
    assert cloned(rates, bound=-1.0) == []


def test_what_has_no_verdict_tells_nothing():
    rates = [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    none = math.nan
    rewards = [[none] * 4, [0.0, none, 0.0, 0.0], [0.1, none, 0.0, 0.0], [0.0] * 4]
    assert [row[0] for row in cloned(rates, rewards)] == [1, 2]  # of the second, the success has no verdict


def test_a_cloned_problems_rollouts_carry_no_advantage_and_the_others_are_standardised(run, traced_problems):
    kept = Batches()
    algorithm = HPT(4, bound=0.25)
    run(algorithm=algorithm, callbacks=[kept], data_options={"train": str(traced_problems)}).fit()
    kinds = set()
    for rollouts in kept.rollouts:
        advantages = algorithm.advantages(rollouts)
        for group in rollouts.group.unique():
            ours = rollouts.group == group
            is_cloned = bool((rollouts.origin[ours] == Origin.DEMONSTRATION).any())
            rewards = rollouts.rewards[ours]
            differs = len(rewards.unique()) > 1
            kinds.add((is_cloned, differs))
            expected = (rewards - rewards.mean()) / (rewards.std() + 1e-6)
            assert torch.allclose(advantages[ours], torch.zeros(5) if is_cloned else expected, atol=1e-4)
    assert {(True, True), (False, True)} <= kinds


def test_a_mini_batch_without_a_trace_has_no_part_in_the_traces_mean(run, traced_problems):
    """One problem in each mini-batch, every fourth without a trace; a bound of 1 is met by all."""
    seen, kept = Gradients(), Batches()
    options = {"mini_batches": 4, "max_grad_norm": 1e9, "optimizer": lambda p: torch.optim.SGD(p, lr=0.0)}
    data = {"train": str(traced_problems)}
    job = run(algorithm=HPT(4, bound=1.0), callbacks=[seen, kept], module_options=options, data_options=data)
    job.fit()
    traces = []
    for rollouts in kept.rollouts:
        rows = (rollouts.origin == Origin.DEMONSTRATION).nonzero().flatten().tolist()
        place = {int(rollouts.group[row]): row for row in rows}
        traces += [(rollouts, place.get(group)) for group in range(4)]
    for (rollouts, row), gradients in zip(traces, seen.steps, strict=True):
        assert all(gradient.isfinite().all() for gradient in gradients)
        if row is not None:
            p, t = int(rollouts.prompt_lengths[row]), int(rollouts.response_lengths[row])
            ids = torch.cat([rollouts.prompt_ids[row, :p], rollouts.response_ids[row, :t]])
            logits = job.module.policy(ids[None]).logits[0, p - 1 : -1, : job.module.vocabulary.size]
            loss = -logits.log_softmax(-1).gather(1, ids[p:, None]).mean()
            expected = torch.autograd.grad(loss, list(job.module.policy.parameters()))
            for a, b in zip(gradients, expected, strict=True):
                assert torch.allclose(a, b, rtol=1e-4, atol=1e-6)
    assert {row is None for _, row in traces} == {True, False}


@pytest.mark.parametrize("micro_batch_tokens", [60, 10_000])
def test_a_bound_that_is_never_met_is_grpo_bit_for_bit(same_run, traced_problems, micro_batch_tokens):
    options = {"micro_batch_tokens": micro_batch_tokens}
    data = {"train": str(traced_problems)}
    assert same_run(HPT(4, bound=-1.0), GRPO(4), data_options=data, module_options=options)


def test_the_loss_is_the_surrogate_of_policy_rollouts_and_the_mean_likelihood_of_traces(loss_inputs):
    # ratios 1.2 and 1, the second with advantage −1: −(1.2 · 1) + 1, over four tokens of policy rollouts;
    # the trace: (ln 4 + ln 2) / 2, which counts three times
    batch = loss_inputs(
        [[0.6, 0.5], [0.5, 0.5], [0.25, 0.5]],
        [1.0, -1.0, 0.0],
        origin=[Origin.POLICY, Origin.POLICY, Origin.DEMONSTRATION],
    )
    surrogate, likelihood = HPT(cloning=3.0).terms()
    assert (surrogate(batch).total / surrogate.weight(batch)).item() == pytest.approx(-(1.2 + 1 - 1 - 1) / 4)
    assert (likelihood(batch).total / likelihood.weight(batch)).item() == pytest.approx(3 * math.log(2) / 2)
    assert (surrogate.coefficient, likelihood.coefficient) == (1.0, 3.0)


@pytest.mark.parametrize(("options", "message"), [({"bound": 1.5}, "bound is 1.5"), ({"cloning": -1.0}, "is -1.0")])
def test_settings_out_of_range_are_usage_errors(options, message):
    with pytest.raises(UsageError, match=message):
        HPT(**options)
