"""Grades, their check, and the rule for responses that their reward could not grade.

A response ends in one of three ways:

    a Grade      checked: numbers, the total within the range. With a `failure` it is no verdict, but stands in for one
    None         the reward gives no grade; the response is left out
    NotGraded    the reward raised, did not return or was silent for too long

What breaks the contract itself (another type, NaN, a total out of range) is a mistake of the reward: a `UsageError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import MAX_SECONDS, check


class NotGraded(RuntimeError):
    """A reward failed on a response; the message names reward, problem and cause in one line."""


@dataclass(frozen=True)
class Grade:
    """The grade of one response.

    Attributes:
        total: within the reward's range.
        parts: what it is made of, or is worth logging.
        failure: why the reward came to no verdict; total and parts are then what stands in for one.
    """

    total: float
    parts: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class Grades:
    """Grades of N responses, in their order."""

    total: Sequence[float]  # [N]; NaN: the response is left out
    parts: Mapping[str, Sequence[float]] = field(default_factory=dict)  # name -> [N]
    failed: Sequence[int] = ()  # rows that are left out, or whose grade stands in for a verdict

    @property
    def without_verdict(self) -> int:
        """How many these are."""
        return len(self.failed)


@dataclass(frozen=True)
class Grading:
    """How long grades are waited for, and what becomes of a response that has none.

    Args:
        timeout: seconds by the clock that a call of `grade` may take, and for which no grade may come while some are
            waited for.
        on_failure: `error`: the run ends; `zero`: the lowest total of the range, or what the reward has put in its
            place; `mask`: the response is left out. By default what the reward has put in its place, without that an
            error.

    Raises:
        UsageError: for a timeout out of its range, or another rule.
    """

    timeout: float = 600.0
    on_failure: Literal["error", "zero", "mask"] | None = None

    def __post_init__(self) -> None:
        check(
            "data.grading_timeout",
            self.timeout,
            at_least=0.01,
            at_most=MAX_SECONDS,
            because="it is the seconds that a grade may take",
            otherwise="such as 600, the default",
        )
        if self.on_failure not in (None, "error", "zero", "mask"):
            raise UsageError(
                f"data.on_failure is {self.on_failure!r}: give error, zero or mask, or null for the default"
            )

    def decided(self, grade: Grade | None, why: str, lowest: float) -> Grade | None:
        """The grade that counts, None for a response to be left out.

        Args:
            grade: what the reward gave, or None where it failed.
            why: the failure in one line.
            lowest: total of the reward's range.

        Raises:
            UsageError: where the failure is to end the run.
        """
        if self.on_failure == "mask":
            return None
        if self.on_failure == "error" or (self.on_failure is None and grade is None):
            raise UsageError(
                f"{why}; mend the reward, let it return None for what it cannot grade, or, in training, set "
                "data.on_failure to zero or mask"
            )
        return grade if grade is not None else Grade(lowest, failure=why)


def checked(given: Any, reward: str, problem: int, bounds: tuple[float, float]) -> Grade | None:
    """What the reward gave to the problem, as a grade of floats within `bounds`; None as it is.

    Raises:
        UsageError: for anything else.
    """
    if given is None:
        return None
    if not isinstance(given, Grade):
        raise UsageError(
            f"reward {reward} gave {_shown(given)} to problem {problem}: return a Grade(total, parts), a "
            "concurrent.futures.Future of one, or None"
        )
    total, (low, high) = _number(given.total), bounds
    if total is None:
        raise UsageError(f"reward {reward} gave the total {_shown(given.total)} to problem {problem}: give a number")
    if not low <= total <= high:
        raise UsageError(
            f"reward {reward} gave {total} to problem {problem}, outside its declared range ({low}, {high}): fix the "
            "reward or declare the range it has"
        )
    if not isinstance(given.parts, Mapping) or not all(isinstance(name, str) for name in given.parts):
        raise UsageError(
            f"reward {reward} gave the parts {_shown(given.parts)} to problem {problem}: give a mapping from names to "
            "numbers"
        )
    parts = {}
    for name, value in given.parts.items():
        number = _number(value)
        if number is None or not math.isfinite(number):
            raise UsageError(
                f"reward {reward} gave the part '{name}' = {_shown(value)} to problem {problem}: give a finite number"
            )
        parts[name] = number
    return Grade(total, parts, in_words(given.failure) if given.failure else "")


def in_words(value: Any, how: Callable[[Any], str] = str) -> str:
    """A value of somebody else's class in one line, where the class allows it."""
    try:
        return " ".join(how(value).split())
    except Exception:
        return f"a {type(value).__name__} that does not print"


def _number(value: Any) -> float | None:
    """The value as a float; None for what is no number."""
    if isinstance(value, str | bytes | bytearray):
        return None
    with suppress(Exception):  # whatever a type of the user's own raises
        return float(value)
    return None


def _shown(value: Any) -> str:
    return in_words(value, repr)[:80]
