"""A control of the gate: as much guidance as another gate would give, at tokens that are chosen at random.

    w_t = 1 with probability w̄, else 0,   w̄ = mean of the other gate's weights over the step's on-policy tokens

A weight that does not depend on what was said gives the law (1 − w̄) π_θ + w̄ π* at every token, whatever its own
distribution: `ConstantGate(w̄)` has the same law, but leaves the choice of tokens to the coin. Here the choice is the
gate's own, by keyed noise, so `gate_weights` says which tokens were guided and the coin decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.gates import Drafted, EntropyGate, Gate
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.noise import DECISION, uniform
from mentor_pl.runtime.ranges import MAX_COUNT


class RandomGate(Gate):
    """Guides tokens at random.

    Args:
        gate: whose mean weight w̄ is, by default `EntropyGate`.

    Raises:
        UsageError: for a gate that needs the expert, whose weights of on-policy tokens are not known.
    """

    def __init__(self, gate: Gate | None = None) -> None:
        self.gate = gate if gate is not None else EntropyGate()
        if self.gate.needs_expert:
            raise UsageError(
                f"gate {type(self.gate).__name__} weighs what the expert has read, but on-policy tokens, from which "
                "RandomGate takes its mean, are read by no expert: give a gate of the entropy, such as EntropyGate"
            )
        self.mean = 0.0

    def observe(self, entropies: Sequence[Tensor]) -> None:
        if self.gate.needs_rollouts:
            self.gate.observe(entropies)
        known = torch.cat(list(entropies))
        somewhere = torch.full(known.shape, MAX_COUNT, dtype=torch.int64, device=known.device)  # behind any beginning
        weights = self.gate(Drafted(known, somewhere, somewhere)).double()
        self.mean = float(weights.sum()) / max(1, len(weights))
        if not self.gate.needs_rollouts:
            self.gate.observe(entropies)

    def __call__(self, drafts: Drafted) -> Tensor:
        chances = uniform(drafts.keys, drafts.positions, DECISION)
        return (chances <= self.mean).to(drafts.entropies.dtype)

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "gate": self.gate.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean = float(state["mean"])
        self.gate.load_state_dict(state["gate"])
