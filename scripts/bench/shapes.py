"""Models by their published configurations (`shapes/*.json`), without weights: their sizes, and a step's memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from cost_model import Model, Setting

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.dry_run import DryModel
from mentor_pl.models.source import ModelSource
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.training.memory import MemoryEstimate, peak
from mentor_pl.training.plan import Plan, rounds_of

SHAPES = Path(__file__).parent / "shapes"
EXPERT_OF = {"qwen2.5-3b": "qwen2.5-7b", "qwen2.5-7b": "qwen2.5-7b", "llama-3.1-8b": "llama-3.1-8b"}
CACHE_TOKENS = {"llama-3.1-8b": 2**17}  # as configs/models has it; a place of its cache is 128 KiB


@cache
def model(name: str) -> Model:
    """Of a configuration."""
    dry = DryModel(ModelSource(str(SHAPES / f"{name}.json"), "policy"), torch.bfloat16)
    config, head = dry.config, dry.head_shape[0] * dry.head_shape[1]
    embeddings = head if config.tie_word_embeddings else 2 * head
    size = config.hidden_size // config.num_attention_heads
    widths = (config.num_attention_heads * size, config.num_key_value_heads * size)
    return Model(dry.parameters - embeddings, head, dry.parameters, config.num_hidden_layers, *widths)


def setting_of(name: str) -> Setting:
    """The paper's step as this policy's configuration has it."""
    default = Setting()
    return replace(default, cache_tokens=CACHE_TOKENS.get(name, default.cache_tokens))


def memory(name: str, setting: Setting) -> dict[str, Mapping[str, int]]:
    """Side -> part -> bytes of a rank, and their `peak`, as `mentor doctor` estimates them: bfloat16, FSDP."""
    policy = ModelSource(str(SHAPES / f"{name}.json"), "policy")
    expert = ModelSource(str(SHAPES / f"{EXPERT_OF[name]}.json"), "expert")
    plan = Plan(
        ranks=setting.ranks,
        sharded=True,
        half=True,
        cuda=True,
        gradient_checkpointing=True,
        micro_batch_tokens=setting.micro_batch_tokens,
        mini_batches=setting.mini_batches,
        prompts=setting.prompts // setting.ranks,
        prompt_tokens=setting.max_prompt_tokens,
        sampling=SamplingParams(max_new_tokens=setting.limit),
        rows=setting.rows,
        cache_tokens=setting.cache_tokens,
    )
    sides: dict[str, tuple[Algorithm, ModelSource | None]] = {
        "MENTOR": (Mentor(setting.group - setting.mixed, setting.mixed), expert),
        "on-policy RL": (GRPO(setting.group), None),
    }
    found: dict[str, Mapping[str, int]] = {}
    for side, (algorithm, under) in sides.items():
        blend = algorithm.blend
        estimate = MemoryEstimate(
            policy,
            under,
            Vocabulary(policy.config().vocab_size, (0,), 2**31),
            algorithm,
            lambda params: torch.optim.AdamW(params, lr=1e-6, weight_decay=0.01),
            Coin().guidance(blend) if blend is not None else None,
            rounds_of(algorithm, setting.limit, 1.0),
        )
        parts = estimate.parts(plan)
        found[side] = {f"{part.name} ({part.when})": part.bytes for part in parts} | {"peak": peak(parts)}
    return found
