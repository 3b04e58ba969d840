"""A line of `gpu.py`: the memory of whole training steps beside what `mentor doctor` estimates.

A 1.5B under a 1.5B, by MENTOR, sharded over this one rank, in bf16-mixed with gradient checkpointing. Weights are so
small that policy and expert nearly agree: rollouts are long and calls of the expert few.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import lightning.pytorch as L
import torch
import torch.distributed as dist
from gpu_setup import Setup
from mixture import Shape
from model import make_problems, word_tokenizer
from overhead_sides import Distinct
from process import QUIET, measured
from report import Figure
from step_sides import now

from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.loading import shared_vocabulary
from mentor_pl.models.source import ModelSource
from mentor_pl.runtime.parallel import FSDP2Strategy
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.memory import CUDA_BYTES, MemoryEstimate, Part, peak
from mentor_pl.training.module import MentorModule
from mentor_pl.training.plan import Plan, rounds_of

STEPS, MINI_BATCHES, MICRO_BATCH = 3, 2, 16384
OPTIMIZER = partial(torch.optim.AdamW, lr=1e-6, weight_decay=0.01)
MEMORY = "estimate ÷ peak memory, three steps of a 1.5B"


@dataclass(frozen=True)
class Sizes:
    """Of a step."""

    prompts: int
    prompt_tokens: int
    new_tokens: int
    places: int  # of the KV caches


class Clock(L.Callback):
    """Seconds of the steps, and what decoding counted."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.ends: list[float] = []
        self.graphed: list[float] = []

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.ends.append(now(self.device))

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        self.ends.append(now(self.device))
        self.graphed.append(batch.decoding["graphed"] / batch.decoding["policy_forwards"])


class OnDevice(MentorModule):
    """Draws its weights where they are to be."""

    def configure_model(self) -> None:
        with self.trainer.strategy.root_device:
            super().configure_model()


def memory(setup: Setup) -> Iterator[Figure]:
    """Three steps, and the estimate."""
    folder, sizes = Path(setup.folder) / "training", setup.of(Sizes(16, 128, 512, 2**17), Sizes(2, 8, 12, 256))
    _write(folder, setup, sizes)
    sampler = setup.sampler(Coin, cache_tokens=sizes.places)
    parts = _estimate(folder, setup, sizes, sampler)
    clock = Clock(setup.device)
    try:
        with measured(setup.device) as held:
            _train(folder, setup, sizes, sampler, clock)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    estimated = peak(parts) - (CUDA_BYTES if setup.on_gpu else 0)  # what its libraries take is not in torch's count
    seconds = [after - before for before, after in zip(clock.ends, clock.ends[1:], strict=False)]
    rollouts = 8 * sizes.prompts
    detail = f"{rollouts} rollouts of {sizes.new_tokens} tokens, {median(seconds):.1f} s a step, "
    detail += f"{clock.graphed[-1]:.0%} of the steps of decoding recorded"
    yield Figure("peak memory, three steps of a 1.5B", held.peak / 2**30, "GiB", detail=detail)
    largest = sorted(parts, key=lambda part: -part.bytes)[:6]
    told = ", ".join(f"{part.name} ({part.when}) {part.bytes / 2**30:.1f}" for part in largest)
    yield Figure(MEMORY, estimated / held.peak if held.peak else None, detail=f"{estimated / 2**30:.2f} GiB: {told}")
    if setup.on_gpu:
        reserved = torch.cuda.max_memory_reserved() / 2**30
        yield Figure("memory that torch's allocator took for them", reserved, "GiB")


def _write(folder: Path, setup: Setup, sizes: Sizes) -> None:
    """A configuration for both models, their tokenizer, problems."""
    shape: Shape = setup.shape("1.5B")
    tokenizer = word_tokenizer(setup.of(151665, 120))
    tokenizer.save_pretrained(folder)
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": setup.of(151936, 128),
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "max_position_embeddings": 4096,
        "initializer_range": 0.002,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    (folder / "model.json").write_text(json.dumps(config), encoding="utf-8")
    make_problems(folder / "problems.jsonl", 4 * sizes.prompts, 100, sizes.prompt_tokens, sizes.prompt_tokens)


def _estimate(folder: Path, setup: Setup, sizes: Sizes, sampler: Coin) -> list[Part]:
    """As `mentor doctor` has it."""
    policy, expert = (ModelSource(str(folder / "model.json"), role) for role in ("policy", "expert"))
    algorithm, sampling = Mentor(4, 4), SamplingParams(max_new_tokens=sizes.new_tokens)
    plan = Plan(
        ranks=1,
        sharded=True,
        half=True,
        cuda=setup.on_gpu,
        gradient_checkpointing=True,
        micro_batch_tokens=MICRO_BATCH,
        mini_batches=MINI_BATCHES,
        prompts=sizes.prompts,
        prompt_tokens=sizes.prompt_tokens,
        sampling=sampling,
        rows=sampler.rows,
        cache_tokens=sizes.places,
        page_tokens=sampler.page_tokens_on(setup.device),
    )
    vocabulary = shared_vocabulary(policy, expert)[1]
    guidance, asked = sampler.guidance(algorithm.blend), rounds_of(algorithm, sizes.new_tokens, 1.0)
    return MemoryEstimate(policy, expert, vocabulary, algorithm, OPTIMIZER, guidance, asked).parts(plan)


def _train(folder: Path, setup: Setup, sizes: Sizes, sampler: Coin, clock: Clock) -> None:
    module = OnDevice(
        policy=str(folder / "model.json"),
        expert=str(folder / "model.json"),
        algorithm=Mentor(4, 4),
        optimizer=OPTIMIZER,
        mini_batches=MINI_BATCHES,
        micro_batch_tokens=MICRO_BATCH,
        gradient_checkpointing=True,
    )
    data = RolloutDataModule(
        train=str(folder / "problems.jsonl"),
        steps=STEPS,
        prompts_per_step=sizes.prompts,
        sampling=SamplingParams(max_new_tokens=sizes.new_tokens),
        sampler=sampler,
        reward=Distinct(),
        system_prompt=None,
        max_prompt_tokens=sizes.prompt_tokens,
        seed=0,
    )
    trainer = L.Trainer(
        accelerator="gpu" if setup.on_gpu else "cpu",
        devices=1,
        strategy=FSDP2Strategy(),
        precision="bf16-mixed",
        inference_mode=False,
        callbacks=[clock],
        **QUIET,
    )
    trainer.fit(module, data)
