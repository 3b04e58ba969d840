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

from collections.abc import Sequence
from concurrent.futures import Future

from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.rewards.futures import combine
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Prompt, Response


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
        for weight in weights:
            check("one of the reward's weights", weight)
        for reward in rewards:
            reward.check_range()
        self.rewards = rewards
        self.weights = weights
        ends = [
            sorted((weight * reward.range[0], weight * reward.range[1]))
            for reward, weight in zip(rewards, weights, strict=True)
        ]
        self.range: tuple[float, float] = (sum(low for low, _ in ends), sum(high for _, high in ends))

    def grade(self, prompt: Prompt, response: Response) -> Future[Grade | None]:
        """Grade one response with every reward; None, or a failure, of one is that of the sum."""
        return combine([reward.submit(prompt, response) for reward in self.rewards], self._blend)

    def _blend(self, grades: Sequence[Grade | None]) -> Grade | None:
        total, parts = 0.0, dict[str, float]()  # added in order: `sum` rounds differently from one Python to another
        failures: list[str] = []
        for weight, grade in zip(self.weights, grades, strict=True):
            if grade is None:
                return None
            total += weight * grade.total
            failures += [grade.failure] if grade.failure else []
            for name, value in grade.parts.items():
                count = 1 + sum(known == name or known.startswith(f"{name}_") for known in parts)
                parts[name if count == 1 else f"{name}_{count}"] = value
        low, high = self.range  # rounding must not carry a sum past the ends
        return Grade(min(max(total, low), high), parts, "; ".join(failures))

    def example(self, prompt: Prompt) -> str | None:
        """That of the first reward that has one."""
        return next((made for reward in self.rewards if (made := reward.example(prompt)) is not None), None)

    def close(self) -> None:
        """End what the rewards have started."""
        for reward in self.rewards:
            reward.close()
