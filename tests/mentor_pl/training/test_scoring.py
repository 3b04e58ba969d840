"""Log-probabilities that were not kept from sampling are those of a plain forward."""

from dataclasses import replace

import pytest
import torch
from collecting import Learner, gather

from mentor_pl.algorithms.base import Need
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.decoding.naive import Naive
from mentor_pl.types import Prompt


class Scored(GRPO):
    needs = frozenset(Need)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_expert_and_reference_are_scored_where_the_algorithm_needs_them_at_the_samplings_temperature(
    build_models, qwen2_folder, qwen2_expert_folder, temperature
):
    models = build_models(qwen2_folder, qwen2_expert_folder)
    models = replace(models, reference=models.policy)
    prompts = [Prompt(0, "p", "a", (3, 4, 5)), Prompt(1, "q", "b", (6,))]
    plain = gather(Learner(models, algorithm=GRPO(2)), Naive(), prompts=prompts)
    assert plain.expert_logprobs is None
    assert plain.reference_logprobs is None
    learner = Learner(models, algorithm=Scored(2), micro_batch_tokens=9)
    rollouts = gather(learner, Naive(), prompts=prompts, temperature=temperature)
    assert torch.allclose(rollouts.reference_logprobs, rollouts.logprobs, atol=1e-5)
    for i, prompt in enumerate([prompts[0], prompts[0], prompts[1], prompts[1]]):
        length = int(rollouts.response_lengths[i])
        ids = torch.cat([torch.tensor(prompt.token_ids), rollouts.response_ids[i, :length]])
        with torch.no_grad():
            logits = models.expert(ids[None]).logits[0, len(prompt.token_ids) - 1 : -1, : models.vocabulary.size]
        expected = (logits / temperature).log_softmax(-1).gather(1, ids[len(prompt.token_ids) :, None]).squeeze(1)
        assert torch.allclose(rollouts.expert_logprobs[i, :length], expected, atol=1e-5)
