"""What a sampler is: prompts and noise keys in, one rollout per key out. On-policy and mixed sampling alike.

Shapes: N rollouts, T response tokens (the longest of the call).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.loading import Models
from mentor_pl.runtime.parallel import gathered
from mentor_pl.types import Alternatives, ExpertPrompt, Response


@dataclass(frozen=True)
class Samples:
    """Sampled responses, right-padded with zeros."""

    ids: Tensor  # [N, T] int64
    lengths: Tensor  # [N] int64; the stop token counts
    logprobs: Tensor  # [N, T] float32, log π_θ of the token that stands
    entropies: Tensor  # [N, T] float32, of π_θ in nats
    gate_weights: Tensor  # [N, T] float32, the expert's share by the blend: w_t of a gate, β_t of a budget, …
    guided: Tensor  # [N, T] bool, the token is the expert's: its coin came up, or its draft fell (`Blend.guided`)
    replaced: Tensor  # [N, T] bool, the token differs from the policy's draft
    truncated: Tensor  # [N] bool, no stop token within the length limit
    margins: Tensor  # [N, T] float32, difference of the policy's two greatest probabilities; 0 where not asked for
    divergences: Tensor  # [N, T] float32, KL(π* ‖ π_θ) in nats where the blend is not lazy, else 0
    drafts: Tensor  # [N, T] int64, the policy's draft; the token itself where it stood
    alternatives: Alternatives | None = None  # at guided tokens, where they were asked for and there are any
    stats: DecodeStats = field(default_factory=DecodeStats)  # what decoding them cost


class Sampler(ABC):
    """Samples from π_θ, or from a blend of π_θ and π*.

    A rollout's law is its row's alone. In 32-true on one machine the same keys give the same tokens in any batch; in
    bfloat16 logits round by what shares a forward, and a few tokens may differ.
    """

    @abstractmethod
    def __call__(
        self,
        models: Models,
        prompts: Sequence[Sequence[int]],
        keys: Tensor,
        sampling: SamplingParams,
        blend: Blend | None = None,
        *,
        mixed: Sequence[bool] | None = None,
        limits: Sequence[int] | None = None,
        on_end: Callable[[int, list[int]], None] | None = None,
        alternatives: int = 0,
        expert_prompts: Sequence[ExpertPrompt] | None = None,
    ) -> Samples:
        """One response to each of `prompts` (N lists of ids), with noise keys [N] int64.

        Args:
            models: policy, expert and vocabulary; call inside `decoding(models.policy)`.
            prompts: token ids; repeated where a prompt has several rollouts.
            keys: from `noise.rollout_keys`.
            sampling: temperature, filters, maximum length.
            blend: the law of the rows; none samples from the policy alone.
            mixed: [N] whose law the blend is, by default all; the others are the policy's alone.
            limits: [N] maximum lengths; by default `sampling.max_new_tokens` for all.
            on_end: called with a rollout's index and its token ids as soon as it has ended.
            alternatives: how many of the likeliest tokens of π_θ, π* and π_mix are kept of each guided token.
            expert_prompts: [N] what the expert reads in the prompts' place, where it has a tokenizer of its own.

        Raises:
            UsageError: for a blend without an expert or at temperature 0, and where a rollout does not fit.
        """

    def state_dict(self) -> dict[str, Any]:
        """What must survive in a checkpoint, of this rank: whatever the shapes of later forwards depend on."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027 (most need none)
        """Restore what `state_dict` returned."""


@contextmanager
def decoding(policy: nn.Module) -> Iterator[None]:
    """The policy as it samples: whole on every rank, in eval mode, without gradients."""
    was_training = policy.training
    policy.eval()
    try:
        with torch.no_grad(), gathered(policy):
            yield
    finally:
        policy.train(was_training)


def response_values(values: Tensor, lengths: Tensor) -> Tensor:
    """The entries of [N, T] that belong to response tokens, in one row."""
    return values[torch.arange(values.shape[1], device=values.device) < lengths[:, None]]


def as_response(models: Models, ids: Sequence[int], special: bool = True) -> Response:
    """A sampled response as graders see it: its text lacks what ends it (stop ids, padding), and nothing else.

    Args:
        special: whether other special tokens stay: where `<think>` is one, its reasoning is marked by it.
    """
    stops, pad = models.vocabulary.stop_ids, models.tokenizer.pad_token_id
    length = len(ids)
    while length and ids[length - 1] in (*stops, pad):
        length -= 1
    text = str(models.tokenizer.decode(list(ids[:length]), skip_special_tokens=not special))
    return Response(text, tuple(ids), truncated=not set(stops).intersection(ids[length:]))
