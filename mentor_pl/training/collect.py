"""One step's rollouts: sample on-policy, set γ_p, sample from the mixture, grade. Algorithm 1's outer loop.

Shapes: P prompts of this rank, G = N_on + N_mix rollouts of a group, N = P·G, T response tokens.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedTokenizerBase

from mentor_pl.algorithms.base import Group
from mentor_pl.algorithms.parts.gates import NO_GUIDANCE, Gate
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.decoding.noise import rollout_keys
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, Samples, decode_text, decoding, response_values
from mentor_pl.models.loading import Models, Vocabulary
from mentor_pl.rewards.base import Reward, checked
from mentor_pl.rewards.streaming import Stream
from mentor_pl.runtime.parallel import all_values
from mentor_pl.types import Prompt, Rollouts


class Learner(Protocol):
    """What rollouts need of the module that learns from them."""

    alpha: float
    gate: Gate
    mini_batches: int

    @property
    def models(self) -> Models: ...

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase: ...

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def has_expert(self) -> bool: ...


def collect(
    learner: Learner,
    prompts: Sequence[Prompt],
    group: Group,
    sampler: Sampler,
    sampling: SamplingParams,
    reward: Reward,
    *,
    seed: int,
    step: int,
    policy_updates: int,
) -> Rollouts:
    """Sample and grade a group of rollouts for each prompt, from the policy as it is now.

    A reward with `submit` is handed each response as soon as its row ends, and grades while other rows are decoded.

    Args:
        learner: owner of the models, the gate and α.
        prompts: this rank's P prompts.
        group: how many rollouts of which kind.
        sampler: decoder of on-policy and mixed rollouts.
        sampling: temperature, filters, maximum length.
        reward: grader of responses.
        seed: of the noise.
        step: rollout batches before this one; part of the noise key.
        policy_updates: optimizer steps the policy has seen; training asserts that it has seen no more.

    Raises:
        UsageError: where the reward returns a grade outside its range.
    """
    models, device = learner.models, learner.models.device
    n_on, n_mixed = group.sizes(learner.alpha)
    indices = torch.tensor([prompt.index for prompt in prompts], device=device)
    owners = [prompt for prompt in prompts for _ in range(n_on + n_mixed)]
    stream = Stream(reward, owners)
    started = time.perf_counter()

    def sample(first: int, count: int, gate: Gate | None) -> Samples:
        places = torch.arange(first, first + count, device=device)
        keys = rollout_keys(seed, step, indices.repeat_interleave(count), places.repeat(len(prompts)))
        ids = [p.token_ids for p in prompts for _ in range(count)]

        def end(row: int, response: list[int]) -> None:
            prompt, place = divmod(row, count)
            stream.put(prompt * (n_on + n_mixed) + first + place, decode_text(models, response))

        return sampler(models, ids, keys, sampling, gate, on_end=end)

    gamma = NO_GUIDANCE
    with decoding(models.policy):
        parts = [sample(0, n_on, None)]
        if n_mixed:
            learner.gate.observe(all_values(response_values(parts[0].entropies, parts[0].lengths)))
            gamma = learner.gate.gamma
            parts.append(sample(n_on, n_mixed, learner.gate))
    samples = interleave(parts, len(prompts))
    sampled = time.perf_counter()

    grades = checked(reward, owners, stream.grades())
    prompt_ids, prompt_lengths = _right_padded([prompt.token_ids for prompt in owners], device)
    return Rollouts(
        prompt_ids=prompt_ids,
        prompt_lengths=prompt_lengths,
        response_ids=samples.ids,
        response_lengths=samples.lengths,
        logprobs=samples.logprobs,
        entropies=samples.entropies,
        gate_weights=samples.gate_weights,
        guided=samples.guided,
        replaced=samples.replaced,
        truncated=samples.truncated,
        mixed=(torch.arange(n_on + n_mixed, device=device) >= n_on).repeat(len(prompts)),
        rewards=torch.tensor(grades.total, dtype=torch.float32, device=device),
        reward_parts={k: torch.tensor(v, dtype=torch.float32, device=device) for k, v in grades.parts.items()},
        group_size=n_on + n_mixed,
        reward_range=reward.range[1] - reward.range[0],
        temperature=sampling.temperature,
        alpha=learner.alpha,
        gamma=gamma,
        step=step,
        policy_updates=policy_updates,
        seconds={"sampling": sampled - started, "grading": time.perf_counter() - sampled}
        | {f"sampling/{part}": seconds for part, seconds in samples.stats.seconds.items()},
        decoding=samples.stats.per_token(),
        texts=tuple(stream.responses),
    )


def interleave(parts: Sequence[Samples], prompts: int) -> Samples:
    """Join samples that are ordered by prompt each, so that the rollouts of one prompt stand together."""
    longest = max(part.ids.shape[1] for part in parts)

    def join(name: str) -> Tensor:
        columns = [getattr(part, name) for part in parts]
        columns = [pad(c, (0, longest - c.shape[1])) if c.ndim == 2 else c for c in columns]
        return torch.cat([c.unflatten(0, (prompts, -1)) for c in columns], dim=1).flatten(0, 1)

    columns = {name: join(name) for name, value in vars(parts[0]).items() if isinstance(value, Tensor)}
    return Samples(**columns, stats=sum((part.stats for part in parts), DecodeStats()))


def _right_padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    longest = max(map(len, prompts))
    ids = torch.tensor([list(prompt) + [0] * (longest - len(prompt)) for prompt in prompts], device=device)
    return ids, torch.tensor([len(prompt) for prompt in prompts], device=device)
