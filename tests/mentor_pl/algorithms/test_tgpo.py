"""TGPO is GRPO and the likelihood of the expert's choices."""

import pytest
import torch
from runs import Batches

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.tgpo import TGPO
from mentor_pl.runtime.errors import UsageError


def test_without_its_weight_it_is_grpo_bit_for_bit_and_asks_no_expert(run, equal_weights):
    assert not TGPO(weight=0.0).uses_expert
    assert equal_weights(run(algorithm=TGPO(8, weight=0.0)).fit(), run(algorithm=GRPO(8)).fit())


def test_the_term_is_the_mean_log_likelihood_of_the_experts_choice_at_the_policys_prefixes(run):
    batches = Batches()
    options = {"mini_batches": 1, "alpha": 0.5, "optimizer": lambda p: torch.optim.SGD(p, lr=0.0)}
    job = run(steps=1, algorithm=TGPO(4, weight=0.02), callbacks=[batches], module_options=options)
    job.fit()
    (rollouts,), module, total = batches.rollouts, job.module, 0.0
    for i in range(len(rollouts)):
        p, t = int(rollouts.prompt_lengths[i]), int(rollouts.response_lengths[i])
        ids = torch.cat([rollouts.prompt_ids[i, :p], rollouts.response_ids[i, :t]])[None]
        ours, theirs = (
            model(input_ids=ids).logits[0, p - 1 : -1, : module.vocabulary.size].log_softmax(-1)
            for model in (module.policy, module.models.expert)
        )
        total += ours.gather(1, theirs.argmax(-1, keepdim=True)).sum().item()
    expected = -0.5 * total / int(rollouts.mask.sum())
    assert job.trainer.callback_metrics["train/expert_choice"].item() == pytest.approx(expected, abs=1e-5)


def test_a_negative_weight_is_a_usage_error():
    with pytest.raises(UsageError, match="weight is -1"):
        TGPO(weight=-1.0)
