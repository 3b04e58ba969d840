"""What the decoding benchmark does: models made to measure, prompts, and one call of a sampler or of `generate`."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from mixture import Profile, Shape, build_pair
from process import measured
from torch import Tensor
from transformers import StoppingCriteria

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.gates import EntropyGate, Gate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.kv_cache import cached_attention
from mentor_pl.decoding.engine.timings import Execution, ForwardTimings, measure_timings
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, Samples, decoding
from mentor_pl.models.loading import Models
from mentor_pl.models.packed_weights import is_mostly_packed, packed_weights
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.runtime.noise import rollout_keys

NEVER = -1  # a stop id that no model says: lengths are set by limits
SMALL, LARGE, WIDE = Shape(128, 4, 4, 1, 384), Shape(256, 4, 8, 2, 944), Shape(512, 4, 8, 2, 1536)  # 1, 4, 13 M
LOW = Profile(unsure=0.18, settles=0.04, disagreement=0.062)  # TV about .17 at a mean w of .07
HIGH = Profile(unsure=0.4, settles=0.01, disagreement=0.18)  # TV about .36 at a mean w of .17
GROUP = 4  # mixed rollouts of a prompt, as in the paper
QWEN_1_5B, QWEN_7B = Shape(1536, 28, 12, 2, 8960), Shape(3584, 28, 28, 4, 18944)
SAMPLERS: dict[str, Callable[..., Sampler]] = {
    "coin": Coin,
    "algorithm1 K = 4": Algorithm1,
    "algorithm1 K = 8": partial(Algorithm1, 8),
    "naive": Naive,
}


def quiet() -> None:
    """Calls of samplers, of which there are hundreds here, no longer tell of their caches."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)


@dataclass
class Work:
    """Prompts to answer with given models."""

    models: Models
    prompts: list[list[int]]
    length: int
    limits: list[int] | None = None
    gate: Gate | None = None
    torch_compile: bool = False

    @cached_property
    def timings(self) -> ForwardTimings:
        """What forwards of the two models cost by themselves."""
        policy, expert = self.models.policy, self.models.expert
        fast = self.torch_compile and not is_mostly_packed(policy)
        with torch.no_grad(), cached_attention(policy, expert), packed_weights(None if fast else policy, expert):
            execution = Execution(torch_compile=fast)
            return measure_timings(policy, expert, len(self.prompts), self.models.device, execution)

    @property
    def keys(self) -> Tensor:
        rows = torch.arange(len(self.prompts))
        return rollout_keys(0, 0, rows, torch.zeros_like(rows))

    @property
    def tokens(self) -> int:
        return sum(self.limits) if self.limits else self.length * len(self.prompts)

    def sample(self, sampler: Sampler, guided: bool = False, temperature: float = 1.0) -> Samples:
        """One call of a sampler, finished on the device."""
        blend = GatedMixture(self.gate) if guided and self.gate is not None else None
        with decoding(self.models.policy):
            samples = sampler(
                self.models,
                self.prompts,
                self.keys,
                SamplingParams(max_new_tokens=self.length, temperature=temperature),
                blend,
                limits=self.limits,
            )
        if self.models.device.type == "cuda":
            torch.cuda.synchronize()
        return samples


def work(
    policy: Shape,
    expert: Shape,
    profile: Profile,
    rollouts: int,
    length: int,
    *,
    mean_weight: float = 0.07,
    group: int = GROUP,
    prompt_tokens: int = 32,
    vocabulary: int = 1024,
    device: str = "cpu",
    torch_compile: bool = False,
) -> Work:
    """Models of a profile and random prompts, `group` rollouts of each; γ gives on-policy rollouts the mean weight."""
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    window = prompt_tokens + length
    pair = build_pair(policy, expert, profile, vocabulary, window, 0, device, dtype)
    models = Models(*pair, tokenizer=None, vocabulary=Vocabulary(vocabulary, (NEVER,), window))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    texts = torch.randint(vocabulary // 2, (rollouts // group, prompt_tokens), generator=generator).tolist()
    made = Work(models, [text for text in texts for _ in range(group)], length, torch_compile=torch_compile)
    made.gate = gate_at(mean_weight, made.sample(Coin()).entropies.flatten())
    return made


def asked(model: Any, tokenizer: Any, questions: Sequence[str], length: int, limits: list[int] | None = None) -> Work:
    """Questions for a real model to answer, through its chat template, in responses that nothing but lengths ends."""
    chats = [[{"role": "user", "content": question}] for question in questions]
    prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
    vocabulary = Vocabulary(model.config.vocab_size, (NEVER,), model.config.max_position_embeddings)
    return Work(Models(model, None, tokenizer, vocabulary), prompts, length, limits)


def check_model(parser: ArgumentParser, folder: str) -> None:
    """Leave with one line where `--model` is no model folder."""
    if not (Path(folder) / "config.json").is_file():
        parser.error(f"--model {folder} has no config.json: give a model folder, as scripts/gguf_folder.py makes")


def gate_at(mean_weight: float, entropies: Tensor) -> Gate:
    """The gate with that mean weight on given entropies [·], found by bisection of log γ."""
    low, high = 1e-4, 100.0
    for _ in range(50):
        gamma = (low * high) ** 0.5
        low, high = (gamma, high) if (entropies / gamma).clamp(max=1).mean() > mean_weight else (low, gamma)
    gate = EntropyGate()
    gate.observe([torch.tensor([gamma])])
    return gate


class PerRow(StoppingCriteria):
    """Ends each row of `generate` at a length of its own."""

    def __init__(self, limits: Sequence[int], prompt_tokens: int) -> None:
        self.limits, self.prompt_tokens = torch.tensor(limits), prompt_tokens

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        return input_ids.shape[1] - self.prompt_tokens >= self.limits.to(input_ids.device)


def generate(task: Work, rows: int, greedy: bool = False) -> list[list[int]]:
    """Responses of the same lengths from transformers' `generate`, `rows` at a time, prompts padded on the left."""
    model, device = task.models.policy, task.models.device
    limits = task.limits or [task.length] * len(task.prompts)
    said: list[list[int]] = []
    with torch.no_grad():
        for start in range(0, len(task.prompts), rows):
            some, ends = task.prompts[start : start + rows], limits[start : start + rows]
            width = max(map(len, some))
            padding = [width - len(prompt) for prompt in some]
            ids = torch.tensor([[0] * count + list(prompt) for count, prompt in zip(padding, some, strict=True)])
            output = model.generate(
                ids.to(device),
                attention_mask=(torch.arange(width) >= torch.tensor(padding)[:, None]).long().to(device),
                do_sample=not greedy,
                top_k=None if greedy else 0,
                max_new_tokens=max(ends),
                eos_token_id=None,
                pad_token_id=0,
                stopping_criteria=[PerRow(ends, width)],
            )
            said += [row[width : width + end] for row, end in zip(output.tolist(), ends, strict=True)]
    if device.type == "cuda":
        torch.cuda.synchronize()
    return said


def peak_memory(sampler: str, options: dict[str, Any]) -> int:
    """Bytes that one call needs above the models; run in a process of its own."""
    torch.set_num_threads(options.pop("threads"))
    task = work(**options)
    with measured(options.get("device", "cpu")) as memory:
        if sampler == "generate":
            generate(task, len(task.prompts))
        else:
            kind = SAMPLERS.get(sampler, Coin)  # Coin for plain decoding
            task.sample(kind(torch_compile=task.torch_compile), guided=sampler != "plain")
    return memory.peak
