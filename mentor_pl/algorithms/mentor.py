"""MENTOR: rollouts of the policy, then of the mixture, whose failures are not punished. arXiv 2510.04140, [6]–[11].

    γ_p = the p-quantile of H_t over the policy rollouts of the step, all ranks'
    mixture rollouts ~ (1 − w_t) π_θ + w_t π*,   w_t = min(1, H_t / γ_p)                                      [6]
    policy rollouts:   A = (R − mean(R_on)) / (std(R_on) + eps),   mean and unbiased std over policy rollouts  [10]
    mixture rollouts:  A = α · max(0, R − mean(R_on)) / R_range                                                [11]
    loss = mean over tokens of −min(r A, clip(r, 1 − ε_low, 1 + ε_high) A),   r = π_θ / π_old, for both kinds   [9]

Departures from the paper: it has no eps; the authors' code adds the 1e-6 that is the default here. Once α is 0 no
mixture rollouts are drawn, and by default policy rollouts take their share, so that a group keeps its size.
`fidelity: released_code` is what the authors' code does where it differs (`parts/fidelity.py`).

Controls, which take one part of the method away, are arguments: `gate`, `guided_prompts`, `only_failed`, `asymmetric`,
`mixture_tokens`, and `loss` with a ratio against the mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from mentor_pl.algorithms.base import Algorithm, Rounds, Step, mixture_rows, policy_rows
from mentor_pl.algorithms.parts.advantages import improvement, standardised
from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.fidelity import FIDELITIES, Fidelity, departures
from mentor_pl.algorithms.parts.gates import Gate
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.runtime.ranges import MAX_GROUP, check
from mentor_pl.types import Origin, Prompt, Rollouts, Row


class Mentor(Algorithm):
    """Selective expert guidance.

    Args:
        on_policy: N_on, rollouts of π_θ for each problem; at least 2, since [10] divides by their standard deviation.
            By default 4 (`released_code`: 8).
        mixed: N_mix, rollouts of π_mix for each guided problem while α > 0.
        refill: where there are no mixture rollouts, draw their share from π_θ, so that a group keeps its size. By
            default true (`released_code`: false).
        gate: when the expert is asked; by default `EntropyGate`, equation [6].
        loss: by default `ClippedSurrogate`, equation [9].
        eps: added to the standard deviation of [10].
        guided_prompts: share of the problems that are guided at a step, drawn anew each time; 1 is all.
        only_failed: guide a problem only where all of its policy rollouts failed.
        asymmetric: [11]; otherwise all rollouts are standardised within the whole group, and mixture rollouts' A
            multiplied by α.
        mixture_tokens: which tokens of mixture rollouts are trained on: `all`, those that are `guided` (answer to the
            expert), or those that it has `replaced`.
        fidelity: what is taken by default where the authors' released code differs from their paper. Each setting that
            is not the paper's is said at the start of a run.

    Raises:
        UsageError: for counts or shares out of range or a negative eps.
    """

    uses_alpha = True

    def __init__(
        self,
        on_policy: int | None = None,
        mixed: int = 4,
        refill: bool | None = None,
        gate: Gate | None = None,
        loss: Term | None = None,
        eps: float = 1e-6,
        guided_prompts: float = 1.0,
        only_failed: bool = False,
        asymmetric: bool = True,
        mixture_tokens: Literal["all", "guided", "replaced"] = "all",
        fidelity: Literal["paper", "released_code"] = "paper",
    ) -> None:
        defaults: Fidelity = FIDELITIES[fidelity]
        deviation = "advantages need the standard deviation of at least 2 on-policy rollouts"
        self.on_policy = defaults.on_policy if on_policy is None else on_policy
        check("algorithm on_policy", self.on_policy, at_least=2, at_most=MAX_GROUP, because=deviation)
        check(
            "algorithm mixed",
            mixed,
            at_least=1,
            at_most=MAX_GROUP,
            because="without mixed-policy rollouts nothing is guided",
            otherwise="or take mentor_pl.algorithms.grpo.GRPO (configs/algorithms/grpo.yaml)",
        )
        check("algorithm eps", eps, at_least=0, because="it is added to a standard deviation")
        check("algorithm guided_prompts", guided_prompts, at_least=0, at_most=1, because="it is a share")
        self.mixed, self.refill, self.eps = mixed, defaults.refill if refill is None else refill, eps
        self.gate = gate if gate is not None else defaults.gate()
        self.blend = GatedMixture(self.gate)
        self.loss = loss if loss is not None else defaults.loss()
        self.drafter = defaults.drafter
        self.guided_prompts, self.only_failed, self.asymmetric = guided_prompts, only_failed, asymmetric
        self.mixture_tokens = mixture_tokens

    @property
    def notes(self) -> Sequence[str]:
        return departures(self, Mentor())

    def mixes(self, alpha: float) -> bool:
        return alpha > 0 and self.guided_prompts > 0

    def rounds(self, step: Step) -> Rounds:
        if not self.mixes(step.alpha):
            yield policy_rows(step.prompts, self.on_policy + (self.mixed if self.refill else 0))
            return
        first = policy_rows(step.prompts, self.on_policy)
        guided = [prompt for prompt in step.prompts if step.uniform(prompt) <= self.guided_prompts]
        if not (self.gate.needs_rollouts or self.only_failed):
            graded = yield first + self._second(step, guided)
            self.gate.observe(graded.entropies)
            return
        graded = yield first
        if self.gate.needs_rollouts:
            self.gate.observe(graded.entropies)
        if self.only_failed:
            rates = graded.success_rates()
            guided = [prompt for prompt in guided if rates.get(prompt.index) == 0]
        yield self._second(step, guided)
        if not self.gate.needs_rollouts:
            self.gate.observe(graded.entropies)

    def _second(self, step: Step, guided: Sequence[Prompt]) -> list[Row]:
        """The rows beside the first policy rollouts: those of the mixture, and what is the policy's of their share."""
        others = [prompt for prompt in step.prompts if prompt not in guided] if self.refill else []
        mixture = mixture_rows(guided, self.mixed, first=self.on_policy)
        return mixture + policy_rows(others, self.mixed, first=self.on_policy)

    def advantages(self, rollouts: Rollouts) -> Tensor:
        mixed = rollouts.origin == Origin.MIXTURE
        if not self.asymmetric:
            everyone = standardised(rollouts.rewards, rollouts.group, eps=self.eps)
            return torch.where(mixed, rollouts.alpha * everyone, everyone)
        on_policy = standardised(rollouts.rewards, rollouts.group, baseline=~mixed, eps=self.eps)
        guided = improvement(rollouts.rewards, rollouts.group, baseline=~mixed) / rollouts.reward_range
        return torch.where(mixed, rollouts.alpha * guided, on_policy).float()

    def train_mask(self, rollouts: Rollouts) -> Tensor:
        if self.mixture_tokens == "all":
            return rollouts.mask
        chosen = rollouts.guided if self.mixture_tokens == "guided" else rollouts.replaced
        return rollouts.mask & (chosen | (rollouts.origin != Origin.MIXTURE)[:, None])

    def observe(self, rollouts: Rollouts) -> None:
        self.gate.learn(rollouts)

    def terms(self) -> Sequence[Term]:
        return [self.loss]
