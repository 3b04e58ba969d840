"""On-policy distillation: rows of the policy, no reward, and a divergence that is the expert's alone."""

import pytest
import torch
from runs import Batches, Gradients

from mentor_pl.algorithms.base import Step
from mentor_pl.algorithms.distillation import Distillation
from mentor_pl.algorithms.parts.losses.base import Need
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin, Prompt


class Alike(Reward):
    """Grades everything alike."""

    range = (0.0, 1.0)

    def grade(self, prompt, response):
        return Grade(0.0)


def test_rows_are_the_policys_and_needs_follow_the_estimator():
    (rows,) = Distillation(3).rounds(Step([Prompt(8, "eight", "8", (1,))]))
    assert [(row.number, row.origin) for row in rows] == [(number, Origin.POLICY) for number in range(3)]
    assert Distillation().needs == {Need.REVERSE_KL}
    assert Distillation(estimator="drawn").needs == {Need.EXPERT_LOGPROBS}
    assert Distillation().uses_expert
    assert Distillation(estimator="drawn").uses_expert


def full_kl(module, rollouts):
    """Σ KL(π_θ ‖ π*) over response tokens by plain forwards over each rollout, with its gradient."""
    total = 0
    for i in range(len(rollouts)):
        p, t = int(rollouts.prompt_lengths[i]), int(rollouts.response_lengths[i])
        ids = torch.cat([rollouts.prompt_ids[i, :p], rollouts.response_ids[i, :t]])[None]
        size = module.vocabulary.size
        ours = module.policy(input_ids=ids).logits[0, p - 1 : -1, :size].double() / rollouts.temperature
        ours = ours.log_softmax(-1)
        with torch.no_grad():
            theirs = module.models.expert(input_ids=ids).logits[0, p - 1 : -1, :size].double() / rollouts.temperature
            theirs = theirs.log_softmax(-1)
        total = total + (ours.exp() * (ours - theirs)).sum()
    return total


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_gradient_is_that_of_the_full_divergence_at_the_samplings_temperature_whatever_the_rewards(
    run, temperature
):
    seen, batches = Gradients(), Batches()
    job = run(
        steps=1,
        algorithm=Distillation(4),
        callbacks=[seen, batches],
        module_options={"mini_batches": 1, "optimizer": lambda p: torch.optim.SGD(p, lr=0.0), "max_grad_norm": 1e9},
        data_options={"reward": Alike(), "sampling": SamplingParams(temperature=temperature, max_new_tokens=8)},
    )
    job.fit()
    (rollouts,) = batches.rollouts
    assert job.trainer.callback_metrics["train/logprob_gap/max"] < 1e-4
    loss = full_kl(job.module, rollouts) / rollouts.mask.sum()
    expected = torch.autograd.grad(loss, list(job.module.policy.parameters()))
    for a, b in zip(seen.steps[0], expected, strict=True):
        assert (a - b).abs().max() <= 1e-6
    assert job.trainer.callback_metrics["train/loss"].item() == pytest.approx(loss.item(), abs=1e-5)


def test_of_the_drawn_token_the_advantage_is_what_the_expert_gives_more():
    class Made:
        expert_logprobs = torch.tensor([[-1.0, -3.0]])
        logprobs = torch.tensor([[-2.0, -0.5]])
        mask = torch.tensor([[True, False]])

    assert Distillation(estimator="drawn").advantages(Made()).tolist() == [[1.0, 0.0]]


def test_what_the_expert_says_of_drawn_tokens_is_no_advantage_where_all_tokens_are_compared(run):
    """A term that the run adds may have had it scored."""
    batches, algorithm = Batches(), Distillation(2)
    terms = [ClippedSurrogate(ratio="mixture")]
    run(steps=1, algorithm=algorithm, callbacks=[batches], module_options={"terms": terms}).fit()
    (rollouts,) = batches.rollouts
    assert rollouts.expert_logprobs is not None
    assert not algorithm.advantages(rollouts).any()


def test_a_share_of_the_tokens_is_trained_on(run):
    batches = Batches()
    run(steps=1, algorithm=Distillation(4, share=0.5), callbacks=[batches]).fit()
    (rollouts,) = batches.rollouts
    trained = rollouts.entropies[rollouts.train_mask]
    assert abs(len(trained) / int(rollouts.mask.sum()) - 0.5) < 0.02
    assert trained.min() >= rollouts.entropies[rollouts.mask & ~rollouts.train_mask].max()


@pytest.mark.parametrize("options", [{"group_size": 0}, {"share": 0.0}, {"share": 1.1}])
def test_settings_out_of_range_are_usage_errors(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        Distillation(**options)
