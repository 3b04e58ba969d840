"""What of a run's settings decides how much memory a rank needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mentor_pl.algorithms.base import Algorithm, Graded, Step
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.training.batching import micro_batches
from mentor_pl.types import Origin, Prompt

ROUNDS = 8  # of an algorithm that are looked at: those that draw anew until rewards suit them may never end


@dataclass(frozen=True)
class Plan:
    """Settings, as far as they count.

    Attributes:
        ranks: processes.
        sharded: whether the policy is sharded over them.
        half: bf16-mixed.
        cuda: on a GPU.
        gradient_checkpointing, micro_batch_tokens, mini_batches: as of `MentorModule`.
        prompts: of a rank and step.
        prompt_tokens: of the longest prompt.
        sampling: temperature, filters, maximum length.
        rows, cache_tokens: of the sampler.
    """

    ranks: int
    sharded: bool
    half: bool
    cuda: bool
    gradient_checkpointing: bool
    micro_batch_tokens: int
    mini_batches: int
    prompts: int
    prompt_tokens: int
    sampling: SamplingParams
    rows: int
    cache_tokens: int

    @property
    def shards(self) -> int:
        """Parts that the policy is cut into."""
        return self.ranks if self.sharded else 1

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt and response."""
        return self.prompt_tokens + self.sampling.max_new_tokens

    @property
    def frozen_dtype(self) -> torch.dtype:
        """Of the models that are not trained."""
        return torch.bfloat16 if self.half else torch.float32

    @property
    def forward_dtype(self) -> torch.dtype:
        """Of the policy's parameters in a forward: FSDP2 gathers them in bfloat16."""
        return self.frozen_dtype if self.sharded else torch.float32

    def micro_batch(self, group_size: int) -> tuple[tuple[int, ...], ...]:
        """The first of a mini-batch whose rollouts are all as long as may be: their prompts, responses and groups."""
        group = torch.arange(max(1, self.prompts // self.mini_batches)).repeat_interleave(group_size)
        prompts = torch.full_like(group, self.prompt_tokens)
        responses = torch.full_like(group, self.sampling.max_new_tokens)
        rows = micro_batches(prompts, responses, group, self.micro_batch_tokens, torch.arange(len(group)))[0]
        return tuple(tuple(column[rows].tolist()) for column in (prompts, responses, group))


def rounds_of(algorithm: Algorithm, prompts: Sequence[Prompt], alpha: float) -> list[tuple[int, int]]:
    """Rows of the policy and of the mixture in each round, by asking the algorithm; rewards are 0 and 1 in turn."""
    step = Step(
        prompts,
        alpha,
        draw=lambda count: [prompts[0]] * count,
        render=lambda text: prompts[0].token_ids,
        likelihoods=lambda rows: torch.zeros(len(rows)),
    )
    rounds = algorithm.rounds(step)
    counts: list[tuple[int, int]] = []
    told: Graded | None = None
    for _ in range(ROUNDS):
        try:
            rows = rounds.send(told)  # type: ignore[arg-type]
        except StopIteration:
            break
        mixed = sum(row.origin == Origin.MIXTURE for row in rows)
        counts += [(len(rows) - mixed, mixed)] if rows else []
        rewards = torch.arange(len(rows)).remainder(2).float()
        verdicts = rewards, rewards > 0
        told = Graded(rows, torch.ones(len(rows)).long(), [torch.ones(len(rows))], lambda v=verdicts: v)  # type: ignore[misc]
    return counts
