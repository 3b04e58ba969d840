"""TGPO is GRPO and the likelihood of the expert's choices."""

import pytest
import torch
from runs import SPLIT, Batches

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.tgpo import TGPO
from mentor_pl.models.logprobs import tokens_read
from mentor_pl.runtime.errors import UsageError


@pytest.mark.parametrize(("weight", "alpha"), [(0.0, 1.0), (0.02, 0.0)])
@pytest.mark.parametrize("options", [{}, SPLIT])
def test_without_its_weight_or_alpha_it_is_grpo_bit_for_bit(same_run, weight, alpha, options):
    assert same_run(TGPO(8, weight=weight), GRPO(8), module_options={"alpha": alpha, **options})


def test_the_expert_is_asked_while_it_counts_for_something(run):
    assert not TGPO(weight=0.0).uses_expert
    for alpha in (1.0, 0.0):
        job = run(steps=1, algorithm=TGPO(2), module_options={"alpha": alpha})
        job.fit()
        assert bool(tokens_read(job.module.models.expert)) == bool(alpha)


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
    expected = -total / int(rollouts.mask.sum())
    assert job.trainer.callback_metrics["train/expert_choice"].item() == pytest.approx(expected, abs=1e-5)
    loss, surrogate = (job.trainer.callback_metrics[f"train/{name}"].item() for name in ("loss", "surrogate"))
    assert loss == pytest.approx(surrogate + 0.02 * 0.5 * expected, abs=1e-6)


def test_a_negative_weight_is_a_usage_error():
    with pytest.raises(UsageError, match="weight is -1"):
        TGPO(weight=-1.0)
