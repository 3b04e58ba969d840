"""A soft punishment of responses that come near the length limit. DAPO (arXiv 2503.14476), equation 13.

    0                                         len ≤ max_tokens − buffer
    ((max_tokens − buffer) − len) / buffer    up to max_tokens
    −1                                        beyond

In YAML:

    class_path: mentor_pl.rewards.overlong.SoftOverlong
    init_args:
      reward: {class_path: mentor_pl.rewards.math.MathReward}
      max_tokens: 8192
      buffer: 2048
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.rewards.futures import combine
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Prompt, Response


class SoftOverlong(Reward):
    """Another reward's total, less up to `weight` for length; its parts are kept, and `overlong` is the punishment.

    Where the length is not known, as of samples read from disk, nothing is taken off.

    Args:
        reward: what is graded beside the length.
        max_tokens: length from which a response loses all of `weight`; mostly `data.sampling.max_new_tokens`.
        buffer: tokens before that over which the punishment grows.
        weight: what it counts for.

    Raises:
        UsageError: for a buffer outside 1 … max_tokens, or a negative weight.
    """

    def __init__(self, reward: Reward, max_tokens: int, buffer: int, weight: float = 1.0) -> None:
        check("overlong max_tokens", max_tokens, at_least=1)
        within = "the punishment grows over the last tokens before max_tokens"
        check("overlong buffer", buffer, at_least=1, at_most=max_tokens, because=within)
        check("overlong weight", weight, at_least=0, because="it is taken off")
        reward.check_range()
        self.reward, self.max_tokens, self.buffer, self.weight = reward, max_tokens, buffer, weight
        self.range: tuple[float, float] = (reward.range[0] - weight, reward.range[1])

    def punishment(self, length: int) -> float:
        """Of a response of so many tokens, in [−1, 0]."""
        return max(-1.0, min(0.0, (self.max_tokens - self.buffer - length) / self.buffer))

    def grade(self, prompt: Prompt, response: Response) -> Future[Grade | None]:
        """The other reward's grade and the punishment; None, or a failure, is that of the other."""
        taken = self.punishment(len(response.tokens))

        def with_length(grades: Sequence[Grade | None]) -> Grade | None:
            (grade,) = grades
            if grade is None:
                return None
            return Grade(grade.total + self.weight * taken, {**grade.parts, "overlong": taken}, grade.failure)

        return combine([self.reward.submit(prompt, response)], with_length)

    def example(self, prompt: Prompt) -> str | None:
        """The other reward's."""
        return self.reward.example(prompt)

    def close(self) -> None:
        """End what the other reward has started."""
        self.reward.close()
