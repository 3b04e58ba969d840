"""What a term of the loss is: a micro-batch in, a sum over its tokens out.

    loss = Σ_terms strength · (Σ_tokens …) / weight

A sum, not a mean: micro-batches and ranks hold different numbers of tokens, and only the sum over all of them divided
once by the term's weight over the global mini-batch equals the loss of the undivided mini-batch.

Shapes: B rollouts of a micro-batch (or M of a mini-batch), T response tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from torch import Tensor


class Need(Enum):
    """What is read of each response token beyond what sampling keeps; a pass of the expert or the reference each."""

    EXPERT_LOGPROBS = "expert_logprobs"  # log π*(y_t), scored once a step
    REFERENCE_LOGPROBS = "reference_logprobs"  # log π_ref(y_t), of the policy that the run started from, likewise
    CHOICE_LOGPROBS = "choice_logprobs"  # log π_θ(c_t) of the expert's choice c_t = argmax π*, as the update reads
    REVERSE_KL = "reverse_kl"  # KL(π_θ ‖ π*) over the whole vocabulary, likewise
    FORWARD_KL = "forward_kl"  # KL(π* ‖ π_θ), likewise


@dataclass(frozen=True)
class Tokens:
    """What is known of the tokens of some rollouts before the policy reads them."""

    mask: Tensor  # [B, T] bool, response tokens that are trained on
    advantages: Tensor  # [B, T] float32
    old_logprobs: Tensor  # [B, T] float32, log π_old(y_t)
    origin: Tensor  # [B] int64, an `Origin`
    gate_weights: Tensor  # [B, T] float32, w_t
    guided: Tensor  # [B, T] bool
    replaced: Tensor  # [B, T] bool
    given: Tensor  # [B, T] bool
    expert_logprobs: Tensor | None = None  # [B, T] float32, log π*(y_t), where the algorithm needs it
    reference_logprobs: Tensor | None = None  # [B, T] float32, log π_ref(y_t), likewise
    max_tokens: int = 0  # that a response may have


@dataclass(frozen=True, kw_only=True)
class LossInputs(Tokens):
    """One micro-batch of rollouts as the current policy sees it."""

    logprobs: Tensor  # [B, T] float32, log π_θ(y_t), carries the gradient
    entropies: Tensor  # [B, T] float32, entropy of π_θ in nats, carries the gradient
    choice_logprobs: Tensor | None = None  # [B, T] float32, likewise; as the following where a term needs it
    reverse_kl: Tensor | None = None  # [B, T] float32, in nats
    forward_kl: Tensor | None = None  # [B, T] float32, in nats


@dataclass(frozen=True)
class LossOutputs:
    """A term's sum over the micro-batch, and sums of what is worth logging (divided by the tokens' count there)."""

    total: Tensor  # scalar
    token_sums: Mapping[str, Tensor] = field(default_factory=dict)  # name -> scalar


class Term(ABC):
    """A term of the loss; a subclass is named in YAML by its import path.

    Attributes:
        name: logged as `train/<name>` where there are several terms.
        coefficient: what the term counts for; with 0 it is not there.
        skips_zero_advantage: whether a token without advantage adds nothing, neither to the sum nor to its gradient;
            rollouts that no term `learns` from are left out of the update's forward.
        clip_range: least and greatest ratio π_θ / π_old of a token that is not clipped; none where no token is.
        needs: what of `LossInputs` it reads beyond what is always there.
    """

    name: str
    coefficient: float = 1.0
    skips_zero_advantage: bool = False
    clip_range: tuple[float, float] | None = None
    needs: frozenset[Need] = frozenset()

    def strength(self, alpha: float) -> float:
        """What the term counts for where what the expert teaches weighs `alpha`; with 0 it is not there."""
        return self.coefficient

    def learns(self, tokens: Tokens) -> Tensor:
        """Tokens that add something to the sum, [B, T] bool."""
        return tokens.mask & (tokens.advantages != 0) if self.skips_zero_advantage else tokens.mask

    @abstractmethod
    def weight(self, tokens: Tokens) -> Tensor:
        """What the sum is to be divided by, a scalar that adds up over rollouts."""

    @abstractmethod
    def __call__(self, batch: LossInputs) -> LossOutputs:
        """The sum over a micro-batch."""
