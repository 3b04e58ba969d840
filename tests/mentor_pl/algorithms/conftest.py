"""Tokens as a term of the loss sees them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from mentor_pl.algorithms.parts.losses.base import LossInputs


@pytest.fixture(scope="session")
def loss_inputs() -> Callable[..., LossInputs]:
    """(π_θ, …) of rows of tokens, columns by name -> what a term reads; log π_θ and entropies carry gradients."""

    def build(
        probabilities: Sequence[Sequence[float]],
        advantages: Sequence[float] | None = None,
        *,
        old: float = 0.5,
        mask: Sequence[Sequence[int]] | None = None,
        given: Sequence[Sequence[int]] | None = None,
        origin: Sequence[int] | None = None,
        max_tokens: int = 10,
        **known: torch.Tensor,
    ) -> LossInputs:
        logprobs = torch.tensor(probabilities).log().requires_grad_()
        none = torch.zeros(logprobs.shape, dtype=torch.bool)
        worth = torch.zeros(len(none)) if advantages is None else torch.tensor(advantages)
        made = LossInputs(
            logprobs=logprobs,
            entropies=torch.tensor(probabilities).requires_grad_(),  # any numbers will do
            old_logprobs=torch.full(none.shape, old).log(),
            advantages=worth[:, None].expand(none.shape),
            mask=~none if mask is None else torch.tensor(mask, dtype=torch.bool),
            origin=torch.zeros(len(none), dtype=torch.int64) if origin is None else torch.tensor(origin),
            gate_weights=torch.zeros(none.shape),
            guided=none,
            replaced=none,
            given=none if given is None else torch.tensor(given, dtype=torch.bool),
            max_tokens=max_tokens,
        )
        return replace(made, **known)

    return build
