"""MENTOR: rollouts of the policy, then of the mixture, whose failures are not punished. Equations [6]–[11].

    γ_p = the p-quantile of H_t over the policy rollouts of the step, all ranks'
    mixture rollouts ~ (1 − w_t) π_θ + w_t π*,   w_t = min(1, H_t / γ_p)                                      [6]
    policy rollouts:   A = (R − mean(R_on)) / (std(R_on) + eps),   mean and unbiased std over policy rollouts  [10]
    mixture rollouts:  A = α · max(0, R − mean(R_on)) / R_range                                                [11]
    loss = mean over tokens of −min(r A, clip(r, 1 − ε_low, 1 + ε_high) A),   r = π_θ / π_old, for both kinds   [9]

Departures from the paper: it has no eps; the authors' code adds the 1e-6 that is the default here. Once α is 0 no
mixture rollouts are drawn, and by default policy rollouts take their share, so that a group keeps its size (the
authors' code draws 8 + 4, then 8: `on_policy: 8, refill: false`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mentor_pl.algorithms.base import Algorithm, Rounds, Step, policy_rows
from mentor_pl.algorithms.parts.advantages import improvement, standardised
from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.gates import EntropyGate, Gate
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.runtime.ranges import MAX_GROUP, check
from mentor_pl.types import Origin, Rollouts, Row


class Mentor(Algorithm):
    """Selective expert guidance.

    Args:
        on_policy: N_on, rollouts of π_θ for each problem; at least 2, since [10] divides by their standard deviation.
        mixed: N_mix, rollouts of π_mix for each problem while α > 0.
        refill: once α is 0, draw the mixture rollouts' share from π_θ, so that a group keeps its size.
        gate: when the expert is asked; by default `EntropyGate`, equation [6].
        loss: by default `ClippedSurrogate`, equation [9].
        eps: added to the standard deviation of [10].

    Raises:
        UsageError: for counts out of range or a negative eps.
    """

    uses_alpha = True

    def __init__(
        self,
        on_policy: int = 4,
        mixed: int = 4,
        refill: bool = True,
        gate: Gate | None = None,
        loss: Term | None = None,
        eps: float = 1e-6,
    ) -> None:
        deviation = "advantages need the standard deviation of at least 2 on-policy rollouts"
        check("algorithm on_policy", on_policy, at_least=2, at_most=MAX_GROUP, because=deviation)
        check(
            "algorithm mixed",
            mixed,
            at_least=1,
            at_most=MAX_GROUP,
            because="without mixed-policy rollouts nothing is guided",
            otherwise="or take mentor_pl.algorithms.grpo.GRPO (configs/algorithms/grpo.yaml)",
        )
        check("algorithm eps", eps, at_least=0, because="it is added to a standard deviation")
        self.on_policy, self.mixed, self.refill, self.eps = on_policy, mixed, refill, eps
        self.gate = gate if gate is not None else EntropyGate()
        self.blend = GatedMixture(self.gate)
        self.loss = loss if loss is not None else ClippedSurrogate()

    def rounds(self, step: Step) -> Rounds:
        if step.alpha == 0:
            yield policy_rows(step.prompts, self.on_policy + (self.mixed if self.refill else 0))
            return
        graded = yield policy_rows(step.prompts, self.on_policy)
        self.gate.observe(graded.entropies)
        numbers = range(self.on_policy, self.on_policy + self.mixed)
        yield [Row(prompt, prompt.token_ids, number, Origin.MIXTURE) for prompt in step.prompts for number in numbers]

    def advantages(self, rollouts: Rollouts) -> Tensor:
        mixed = rollouts.origin == Origin.MIXTURE
        on_policy = standardised(rollouts.rewards, rollouts.group, baseline=~mixed, eps=self.eps)
        guided = improvement(rollouts.rewards, rollouts.group, baseline=~mixed) / rollouts.reward_range
        return torch.where(mixed, rollouts.alpha * guided, on_policy).float()

    def observe(self, rollouts: Rollouts) -> None:
        self.gate.learn(rollouts)

    def terms(self) -> Sequence[Term]:
        return [self.loss]
