"""What of a run's settings decides how much memory a rank needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from mentor_pl.algorithms.base import Algorithm, Graded, Step
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.placement import Placement
from mentor_pl.training.batching import micro_batches
from mentor_pl.training.optimizer_placement import OptimizerPlacement
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
        expert_prompt_tokens: likewise by the tokenizer of an expert that has its own.
        sampling: temperature, filters, maximum length.
        rows, cache_tokens, page_tokens: of the sampler; 0 for pages as long as a row.
        expert_placement, optimizer_placement: as of `MentorModule`.
        shard_size: as of `FSDP2Strategy`.
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
    page_tokens: int = 0
    expert_placement: Placement = "replicated"
    optimizer_placement: OptimizerPlacement = "device"
    shard_size: int | None = None
    expert_prompt_tokens: int = 0

    @property
    def shards(self) -> int:
        """Parts that the policy is cut into."""
        return (self.shard_size or self.ranks) if self.sharded else 1

    @property
    def cache(self) -> tuple[int, int, int]:
        """Rows, places and places of a page of the sampler's caches."""
        return self.rows, self.cache_tokens, self.page_tokens

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


class RoundRows(NamedTuple):
    """What a method asks for at a prompt in one round.

    Attributes:
        policy, mixed: rows that are sampled.
        trained: rows that are learned from, those that are given in full among them.
        hint: tokens that the longest context is longer than the prompt.
    """

    policy: int
    mixed: int
    trained: int
    hint: int = 0


def rounds_of(algorithm: Algorithm, trace: int, alpha: float) -> list[RoundRows]:
    """The rows of each round, by asking the algorithm about one prompt.

    What has something of a trace in it succeeds and the policy fails, so methods that help it where it fails do.

    Args:
        algorithm: the method.
        trace: tokens of the longest trace, which is no longer than a response may be.
        alpha: α.
    """
    prompt = Prompt(0, "", "", (0,), traces=((0,) * trace,) if algorithm.uses_traces else ())
    step = Step(
        [prompt],
        alpha,
        draw=lambda count: [prompt] * count,
        render=lambda text: (0,) * (1 + len(text)),  # a character is a token
        text=lambda ids: "x" * len(ids),
        likelihoods=lambda rows: torch.zeros(len(rows)),
    )
    rounds = algorithm.rounds(step)
    found: list[RoundRows] = []
    rows = next(rounds, [])
    while len(found) < ROUNDS:
        sampled = [row for row in rows if not row.complete]
        mixed = sum(row.origin == Origin.MIXTURE for row in sampled)
        trained, hint = sum(not row.probe for row in rows), max((len(row.context) for row in rows), default=1) - 1
        if rows:
            found.append(RoundRows(len(sampled) - mixed, mixed, trained, hint))
        right = torch.tensor([bool(row.given) for row in rows])
        verdicts = right.float(), right
        graded = Graded(rows, torch.ones(len(rows)).long(), [torch.ones(len(rows))], lambda v=verdicts: v)  # type: ignore[misc]
        try:
            rows = rounds.send(graded)
        except StopIteration:
            break
    return found
