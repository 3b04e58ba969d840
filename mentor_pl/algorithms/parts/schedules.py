"""How the weight α of mixed-policy advantages falls with the steps: α_t = α_0 · ½(1 + cos(π t / 120)), then 0.

A step is one batch of rollouts, counted from 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check


class AlphaSchedule(ABC):
    """Maps a step to α."""

    @abstractmethod
    def __call__(self, step: int) -> float:
        """α ≥ 0 for the rollouts of `step`."""

    def ended(self, step: int) -> bool:
        """Whether α is 0 from `step` on, for good; False where that is not known."""
        return False


class Falling(AlphaSchedule):
    """From `start` to 0, where it is from `steps` on.

    Args:
        start: α at step 0.
        steps: batches of rollouts until α is 0.
    """

    def __init__(self, start: float = 1.0, steps: int = 120) -> None:
        check("schedule start", start, at_least=0, because="α weighs advantages")
        check("schedule steps", steps, at_least=1, because="guidance lasts at least one step")
        self.start, self.steps = start, steps

    def ended(self, step: int) -> bool:
        return self.start == 0 or step >= self.steps


class Cosine(Falling):
    """start · ½(1 + cos(π t / steps)) for t < steps, then 0: the paper's schedule."""

    def __call__(self, step: int) -> float:
        return self.start * 0.5 * (1 + math.cos(math.pi * step / self.steps)) if step < self.steps else 0.0


class Linear(Falling):
    """start · (1 − t / steps) for t < steps, then 0."""

    def __call__(self, step: int) -> float:
        return self.start * (1 - step / self.steps) if step < self.steps else 0.0


class Constant(AlphaSchedule):
    """The same α at every step: the expert never leaves."""

    def __init__(self, value: float = 1.0) -> None:
        check("schedule value", value, at_least=0, because="α weighs advantages")
        self.value = value

    def __call__(self, step: int) -> float:
        return self.value

    def ended(self, step: int) -> bool:
        return self.value == 0


class CutOff(Falling):
    """start for t < steps, then 0 at once."""

    def __call__(self, step: int) -> float:
        return self.start if step < self.steps else 0.0


class Stages(AlphaSchedule):
    """values[k] from step starts[k] on, until the next stage: a curriculum.

    Raises:
        UsageError: for no values, a negative one, or starts that are not one for each, from 0 upwards.
    """

    def __init__(self, values: list[float], starts: list[int]) -> None:
        if not values or len(starts) != len(values) or starts != sorted({0, *starts}):
            raise UsageError(
                f"schedule stages have values {values} and starts {starts}: give one value at least and a start for "
                "each, the first 0 and each later than the one before"
            )
        for value in values:
            check("schedule value", value, at_least=0, because="α weighs advantages")
        self.values, self.starts = values, starts

    def __call__(self, step: int) -> float:
        return self.values[self._stage(step)]

    def ended(self, step: int) -> bool:
        return not any(self.values[self._stage(step) :])

    def _stage(self, step: int) -> int:
        return bisect_right(self.starts, step) - 1
