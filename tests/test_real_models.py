"""Two steps of MENTOR on ten real problems, with real model classes, tokenizers and the default reward."""

from itertools import islice
from pathlib import Path

import pytest
import torch

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.types import Origin

PROBLEMS = Path(__file__).parents[2] / "shared/data/train/math12k_level3to5.jsonl"


@pytest.mark.skipif(not PROBLEMS.is_file(), reason=f"needs real problems, and {PROBLEMS} is not here")
@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_two_steps_on_ten_real_problems(family, run, request, tmp_path):
    problems = tmp_path / "ten.jsonl"
    with PROBLEMS.open(encoding="utf-8") as lines:
        problems.write_text("".join(islice((line for line in lines if len(line) < 700), 10)), encoding="utf-8")
    job = run(
        steps=2,
        module_options={
            name: str(request.getfixturevalue(f"{family}{suffix}_folder")) for name, suffix in MODELS.items()
        },
        data_options={
            "train": str(problems),
            "reward": PaperReward(MathReward(workers=1)),
            "max_prompt_tokens": 480,
            "sampling": SamplingParams(max_new_tokens=24),
        },
    )
    seen = []
    produce = job.data._produce
    job.data._produce = lambda step: seen.append(produce(step)) or seen[-1]
    before = job.module.vocabulary
    weights = job.fit()
    assert all(value.isfinite().all() for value in weights.values())
    assert len(seen) == 2
    for rollouts in seen:
        assert len(rollouts) == 4 * 8
        assert set(rollouts.reward_parts) >= {"outcome", "format"}
        assert int(rollouts.response_ids.max()) < before.size
        assert rollouts.guided[rollouts.origin == Origin.MIXTURE].any()
        logprobs = job.module.policy.token_logprobs(
            rollouts.prompt_ids,
            rollouts.prompt_lengths,
            rollouts.response_ids,
            rollouts.response_lengths,
            vocab_size=before.size,
        ).logprobs
        assert torch.isfinite(logprobs).all()


MODELS = {"policy": "", "expert": "_expert"}
