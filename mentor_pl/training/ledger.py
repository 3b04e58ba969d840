"""What a run has cost: tokens, the work of reading them, and seconds, step by step and in all.

    sampled_tokens   response tokens that were drawn
    expert_tokens    tokens that the expert read: prompts, drafts, responses to be scored, and with the update
    trained_tokens   response tokens that the loss is a mean over
    flops            Σ 2 · parameters · tokens of policy, expert and reference; a backward counts as two forwards

Tokens are counted where a model is fed: a prompt once for those that share it, a decoded row also where it waits.
Probes and rollouts that were dropped are in it; benchmarks, what is read to measure timings, and what
`gradient_checkpointing` computes again are not. `flops` leaves out attention's own work, which grows with the square of
a length, and counts the output embedding at every token.
"""

from __future__ import annotations

from typing import Any

import torch

from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.models.loading import Models
from mentor_pl.models.logprobs import tokens_read
from mentor_pl.runtime.collectives import all_sum
from mentor_pl.types import Rollouts

COUNTS = ("sampled_tokens", "expert_tokens", "trained_tokens", "flops")


class Ledger:
    """The sums of a run, over all ranks; seconds are of one rank.

    Attributes:
        counts: by their name in `COUNTS`.
        seconds: part of the work -> wall time.
    """

    def __init__(self) -> None:
        self.counts = dict.fromkeys(COUNTS, 0)
        self.seconds: dict[str, float] = {}
        self._counted: dict[str, int] = {}  # role -> of `tokens_read`, what earlier steps have been charged for

    def add(self, rollouts: Rollouts, models: Models, learned: int, seconds: float) -> dict[str, float]:
        """Charge a step; call on every rank.

        Args:
            rollouts: of this rank.
            models: that have read them.
            learned: tokens that the policy has read to be differentiated, on this rank.
            seconds: of the update.

        Returns:
            what is logged of it: the step's counts and the run's sums.
        """
        decoded = DecodeStats.of(rollouts.decoding)
        prefill = decoded.prefill_tokens - decoded.expert_prefill_tokens
        policy = prefill + decoded.policy_tokens + self._read("policy", models.policy) + 2 * learned
        expert = decoded.expert_prefill_tokens + decoded.expert_tokens + self._read("expert", models.expert)
        reference = self._read("reference", models.reference)
        ours = [decoded.tokens, int(rollouts.train_mask.sum()), policy, expert, reference]
        sampled, trained, *read = all_sum(torch.tensor(ours, device=rollouts.rewards.device)).tolist()
        roles = (models.policy, models.expert, models.reference)
        flops = sum(2 * _parameters(model) * tokens for model, tokens in zip(roles, read, strict=True))
        step = dict(zip(COUNTS, (sampled, read[1], trained, flops), strict=True))
        self.counts = {name: self.counts[name] + count for name, count in step.items()}
        parts = {name: spent for name, spent in rollouts.seconds.items() if "/" not in name} | {"update": seconds}
        self.seconds = {name: self.seconds.get(name, 0.0) + spent for name, spent in parts.items()}
        return {f"cost/step/{name}": float(count) for name, count in step.items()} | self.totals()

    def totals(self) -> dict[str, float]:
        """The run's sums by the names that they are logged under."""
        named = {**self.counts, **{f"seconds/{part}": spent for part, spent in self.seconds.items()}}
        return {f"cost/{name}": float(value) for name, value in named.items()}

    def _read(self, role: str, model: Any | None) -> int:
        """Tokens that a model has read since the last step, decoding apart."""
        if model is None:  # none, or freed
            return 0
        before, self._counted[role] = self._counted.get(role, 0), tokens_read(model)
        return self._counted[role] - before

    def state_dict(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "seconds": dict(self.seconds)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.counts, self.seconds = dict(state["counts"]), dict(state["seconds"])


def _parameters(model: Any | None) -> int:
    """How many a model has; of a sharded one, on all ranks together."""
    return 0 if model is None else sum(parameter.numel() for parameter in model.parameters())
