"""SFT: one trace of each problem, and the mean of −log π over their tokens."""

import pytest
import torch
from runs import Batches, Gradients

from callbacks import EntropyLogging
from mentor_pl.algorithms.base import Step
from mentor_pl.algorithms.parts.traces import Shortest
from mentor_pl.algorithms.sft import SFT
from mentor_pl.models.loading import load_policy
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin, Prompt


def test_one_complete_row_for_each_problem():
    prompts = [
        Prompt(3, "three", "3", (4,), traces=((7, 9),)),
        Prompt(8, "eight", "8", (1, 2), traces=((5, 9), (6, 9))),
    ]
    (rows,) = SFT(Shortest()).rounds(Step(prompts))
    assert [(row.prompt.index, row.number, row.given, row.complete) for row in rows] == [
        (3, 0, (7, 9), True),
        (8, 0, (5, 9), True),
    ]
    assert {row.origin for row in rows} == {Origin.DEMONSTRATION}


def test_the_gradient_is_that_of_the_next_token_loss_over_all_traces(run, traced_problems):
    seen, kept = Gradients(), Batches()
    options = {"mini_batches": 1, "micro_batch_tokens": 20, "max_grad_norm": float("inf")}
    one = run(
        algorithm=SFT(),
        steps=1,
        callbacks=[seen, kept, EntropyLogging()],
        module_options=options,
        data_options={"train": str(traced_problems)},
    )
    one.fit()
    (rollouts,) = kept.rollouts
    assert len(one.data.problems.prompts) == 30
    assert len(rollouts) == 4
    policy = load_policy(one.module.policy_source)
    total, count = 0, 0
    for i in range(4):
        p, t = int(rollouts.prompt_lengths[i]), int(rollouts.response_lengths[i])
        ids = torch.cat([rollouts.prompt_ids[i, :p], rollouts.response_ids[i, :t]])
        logits = policy(ids[None]).logits[0, p - 1 : -1, : one.module.vocabulary.size]
        total = total - logits.log_softmax(-1).gather(1, ids[p:, None]).sum()
        count += t
    (total / count).backward()
    for got, parameter in zip(seen.steps[0], policy.parameters(), strict=True):
        assert torch.allclose(got, parameter.grad, atol=1e-6)


def test_without_any_trace_it_is_a_usage_error(run):
    with pytest.raises(UsageError, match="no problem has one of at most 8 tokens"):
        run(algorithm=SFT()).fit()
