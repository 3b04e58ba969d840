"""Weighted sums of rewards.

    total = Σ weight_k · total_k,   range = Σ weight_k · range_k

In YAML:

    class_path: mentor_pl.rewards.weighted.WeightedReward
    init_args:
      rewards:
        - class_path: mentor_pl.rewards.choice.ChoiceReward
        - class_path: mentor_pl.rewards.format.FormatReward
      weights: [0.9, 0.1]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future

from mentor_pl.rewards import streaming
from mentor_pl.rewards.base import Grades, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt


class WeightedReward(Reward):
    """The weighted sum of other rewards; their parts are kept by name.

    A part that several rewards name is kept once per reward, the later ones as `name_2`, `name_3`.

    Args:
        rewards: what to add up.
        weights: one finite weight for each.

    Raises:
        UsageError: no reward, or not one finite weight for each.
    """

    def __init__(self, rewards: list[Reward], weights: list[float]) -> None:
        if not rewards or len(rewards) != len(weights):
            raise UsageError(f"{len(rewards)} rewards with {len(weights)} weights: give one weight for each reward")
        if not all(math.isfinite(weight) for weight in weights):
            raise UsageError(f"weights={weights} must all be finite numbers; correct the one that is not")
        self.rewards = rewards
        self.weights = weights
        ends = [
            sorted((weight * reward.range[0], weight * reward.range[1]))
            for reward, weight in zip(rewards, weights, strict=True)
        ]
        self.range: tuple[float, float] = (sum(low for low, _ in ends), sum(high for _, high in ends))

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Grades:
        """Grade N responses."""
        return streaming.gather(
            [self.submit(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        )

    def submit(self, prompt: Prompt, response: str) -> Future[Grades]:
        """Start to grade one response with every reward."""
        pending = [streaming.submit(reward, prompt, response) for reward in self.rewards]
        return streaming.combine(pending, self._blend)

    def _blend(self, rows: Sequence[Grades]) -> Grades:
        """One row from every reward's row."""
        total = sum(weight * row.total[0] for weight, row in zip(self.weights, rows, strict=True))
        parts: dict[str, Sequence[float]] = {}
        for row in rows:
            for name, values in row.parts.items():
                count = 1 + sum(known == name or known.startswith(f"{name}_") for known in parts)
                parts[name if count == 1 else f"{name}_{count}"] = values
        low, high = self.range  # rounding must not carry a sum past the ends
        return Grades([min(max(total, low), high)], parts)
