"""What a loss is: a micro-batch in, a sum over its tokens out. The caller divides by the mini-batch's global weight.

A sum, not a mean: micro-batches and ranks hold different numbers of tokens, and only the sum over all of them divided
once by the total weight equals the loss of the undivided mini-batch.

Shapes: B rollouts of a micro-batch, T response tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class LossInputs:
    """One micro-batch of rollouts as the current policy sees it."""

    logprobs: Tensor  # [B, T] float32, log π_θ(y_t), carries the gradient
    entropies: Tensor  # [B, T] float32, entropy of π_θ in nats, carries the gradient
    old_logprobs: Tensor  # [B, T] float32, log π_old(y_t)
    advantages: Tensor  # [B] float32
    mask: Tensor  # [B, T] bool, response tokens
    mixed: Tensor  # [B] bool


@dataclass(frozen=True)
class LossOutputs:
    """The loss's sum over the micro-batch and sums of what is worth logging (divided by the tokens' count there)."""

    total: Tensor  # scalar
    token_sums: Mapping[str, Tensor] = field(default_factory=dict)  # name -> scalar


class Loss(ABC):
    """A loss over response tokens; a subclass is named in YAML by its import path."""

    @abstractmethod
    def weight(self, mask: Tensor) -> Tensor:
        """What the sum over rows with `mask` [B, T] is to be divided by, a scalar that adds up over micro-batches."""

    @abstractmethod
    def __call__(self, batch: LossInputs) -> LossOutputs:
        """The sum of the loss over a micro-batch."""
