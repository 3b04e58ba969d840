"""What a reward is: one response in, a total within a declared range and named parts out, now or as a future.

    class Short(Reward):
        range = (0.0, 1.0)

        def grade(self, prompt, response):
            return Grade(float(len(response.text) < 100))

Whoever wants grades calls `submit`, for one response as soon as it ends, or the reward itself, for a batch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response


@dataclass(frozen=True)
class Grade:
    """The grade of one response."""

    total: float
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Grades:
    """Grades of N responses, in their order."""

    total: Sequence[float]  # [N]
    parts: Mapping[str, Sequence[float]] = field(default_factory=dict)  # name -> [N]


class Reward(ABC):
    """Grades responses. A subclass sets the range and grades one response; YAML names it by its import path.

    Attributes:
        range: smallest and greatest total; a total outside stops the run. Its span is R_range in equation [11].
        made_with: arguments that the constructor was called with, in order and by name; None where it is not a class's
            own `__init__`, as in a dataclass.
    """

    range: tuple[float, float]
    made_with: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = _recorded(vars(cls)["__init__"])  # type: ignore[method-assign]

    @abstractmethod
    def grade(self, prompt: Prompt, response: Response) -> Grade | Future[Grade]:
        """The grade of a response to `prompt`; a future of it where that takes time, as in workers."""

    def example(self, prompt: Prompt) -> str | None:
        """The end of a response that answers `prompt` rightly, made of its gold answer: `mentor doctor` grades it.

        None where none can be made, as by default.
        """
        return None

    def close(self) -> None:
        """End what grading has started, such as processes; a later response may start it again."""
        return

    def submit(self, prompt: Prompt, response: Response) -> Future[Grade]:
        """Start to grade one response."""
        grade = self.grade(prompt, response)
        if isinstance(grade, Future):
            return grade
        done: Future[Grade] = Future()
        done.set_result(grade)
        return done

    def gather(self, prompts: Sequence[Prompt], futures: Sequence[Future[Grade]]) -> Grades:
        """What `submit` gave for N responses as one batch, in their order. A part that a response lacks is 0 there.

        Raises:
            UsageError: for a total outside the range.
        """
        rows = [self.checked(prompt, future.result()) for prompt, future in zip(prompts, futures, strict=True)]
        names = dict.fromkeys(name for row in rows for name in row.parts)
        parts = {name: [float(row.parts.get(name, 0.0)) for row in rows] for name in names}
        return Grades([float(row.total) for row in rows], parts)

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> Grades:
        """Grade `responses[i]` as an answer to `prompts[i]`, N of each."""
        return self.gather(prompts, [self.submit(*pair) for pair in zip(prompts, responses, strict=True)])

    def checked(self, prompt: Prompt, grade: Grade) -> Grade:
        """The grade, if it is within the declared range.

        Raises:
            UsageError: if not, or if it is no grade at all.
        """
        name = type(self).__name__
        if not isinstance(grade, Grade):
            raise UsageError(f"reward {name} gave {grade!r} to problem {prompt.index}: give a Grade(total, parts)")
        low, high = self.range
        if not low <= grade.total <= high:
            raise UsageError(
                f"reward {name} gave {grade.total} to problem {prompt.index}, outside its declared range ({low}, "
                f"{high}): fix the reward or declare the range it has"
            )
        return grade

    def check_range(self) -> None:
        """Refuse a range that no advantage can be divided by.

        Raises:
            UsageError: for a reward without a range of two finite numbers, the second above the first.
        """
        low, high = getattr(self, "range", (math.nan, math.nan))
        if not -math.inf < low < high < math.inf:
            raise UsageError(
                f"reward {type(self).__name__} declares the range ({low}, {high}): set `range` to its smallest and "
                "greatest total, the second above the first"
            )


def _recorded(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that keeps its arguments as `made_with`; one that a subclass's constructor calls keeps none."""

    @wraps(init)
    def recorded(self: Reward, *args: Any, **kwargs: Any) -> None:
        if type(self).__init__ is recorded:
            self.made_with = args, kwargs
        init(self, *args, **kwargs)

    return recorded
