"""A gate that leaves the first tokens of a response to the expert: w_t = 1 for t < n, else another gate's.

t counts what is sampled: behind a given prefix the expert speaks first likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.gates import EntropyGate, Gate
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Rollouts


class ExpertFirst(Gate):
    """The expert begins.

    Args:
        gate: of all later tokens; by default `EntropyGate`.
        tokens: n, how many are the expert's alone.

    Raises:
        UsageError: for fewer than one token.
    """

    def __init__(self, gate: Gate | None = None, tokens: int = 1) -> None:
        check("gate tokens", tokens, at_least=1, because="so many tokens are the expert's")
        self.gate = gate if gate is not None else EntropyGate()
        self.tokens = tokens
        self.needs_expert, self.needs_rollouts = self.gate.needs_expert, self.gate.needs_rollouts

    @property
    def gamma(self) -> float:
        return self.gate.gamma

    def observe(self, entropies: Sequence[Tensor]) -> None:
        self.gate.observe(entropies)

    def learn(self, rollouts: Rollouts) -> None:
        self.gate.learn(rollouts)

    def __call__(self, drafts: Any) -> Tensor:
        weights = self.gate(drafts)
        return torch.where(drafts.positions < self.tokens, torch.ones_like(weights), weights)

    def state_dict(self) -> dict[str, Any]:
        return self.gate.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.gate.load_state_dict(state)
