r"""Countdown: reach a target from given numbers with + − × ÷, each number used at most as often as it is given.

    answer     the target, e.g. 24
    metadata   numbers: [3, 5, 7, 2]
    response   \boxed{(7 - 3) \times (5 + ...)}, also with `= 24` behind it or `24 =` before it

The box's tokens are read by a parser of their own grammar and worked out in exact fractions:

    sum      := product (("+" | "-") product)*
    product  := factor (("*" | "/") factor | bracket)*
    factor   := number | bracket | "\frac" bracket bracket | "-" factor

Length and depth are bounded, so grading takes microseconds whatever is written, and nothing is ever evaluated as code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

from mentor_pl.rewards.answers.extract import last_boxed
from mentor_pl.rewards.answers.lexer import tokenise
from mentor_pl.rewards.answers.tokens import flat, split
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

MAX_EXPRESSION = 300  # characters of an expression
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_TIMES = ("*", "x", "X")
_DIGITS = 12  # of a number


class _Unreadable(Exception):
    """Not an expression of the grammar."""


class _Expression:
    """A recursive descent over tokens that works out the value and counts the numbers."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens, self.place = [*tokens, ""], 0
        self.used: Counter[int] = Counter()

    def accepted(self, *wanted: str) -> str:
        """The token at hand, passed if it is one of `wanted`, or else nothing."""
        token = self.tokens[self.place]
        self.place += token in wanted
        return token if token in wanted else ""

    def sum(self) -> Fraction:
        """Products with signs between them."""
        total = self.product()
        while sign := self.accepted("+", "-"):
            total += self.product() if sign == "+" else -self.product()
        return total

    def product(self) -> Fraction:
        """Factors with signs between them, or brackets side by side."""
        result = self.factor()
        while True:
            if self.accepted("/"):
                result /= self.factor()
            elif self.accepted(*_TIMES) or self.tokens[self.place] in ("(", "["):
                result *= self.factor()
            else:
                return result

    def factor(self) -> Fraction:
        """A number, a bracket, a fraction, or the negative of one."""
        if self.accepted("-"):
            return -self.factor()
        if self.accepted(r"\frac"):
            return self.bracket() / self.bracket()
        token = self.tokens[self.place]
        if token in _BRACKETS:
            return self.bracket()
        if not token.isdigit() or len(token) > _DIGITS:
            raise _Unreadable
        self.place += 1
        self.used[int(token)] += 1
        return Fraction(int(token))

    def bracket(self) -> Fraction:
        """A sum in brackets."""
        opening = self.accepted(*_BRACKETS)
        inside = self.sum() if opening else None
        if inside is None or not self.accepted(_BRACKETS[opening]):
            raise _Unreadable
        return inside


def evaluate_expression(text: str | Sequence[str]) -> tuple[Fraction, Counter[int]] | None:
    """Value of an expression, or of its tokens, and the numbers it uses; None where it is none, or divides by 0."""
    if len(text) > MAX_EXPRESSION:
        return None
    tokens = flat(tokenise(text) if isinstance(text, str) else text)
    reader = _Expression(tokens)
    try:
        value = reader.sum()
    except (_Unreadable, ZeroDivisionError, RecursionError):
        return None
    return (value, reader.used) if reader.place == len(tokens) else None


def reaches(text: str, numbers: Iterable[int], target: Fraction, all_numbers: bool = False) -> bool:
    """Whether an expression, `expression = target` or `target = expression` makes `target` of `numbers`."""
    given = Counter(numbers)
    if len(text) > MAX_EXPRESSION:
        return False
    sides = [evaluate_expression(side) for side in split(tokenise(text.strip().rstrip(".")), "=".__eq__)[0]]
    if len(sides) > 2 or any(side is None or side[0] != target for side in sides):
        return False
    return any(side[1] == given if all_numbers else side[1] <= given for side in sides if side is not None)


class CountdownReward(Reward):
    """Whether the boxed expression reaches the target. Parts: `outcome`.

    Args:
        all_numbers: whether every given number must be used.

    Raises:
        UsageError: when called, for a prompt without whole `numbers` in its metadata or whose answer is not a number.
    """

    range = (0.0, 1.0)

    def __init__(self, all_numbers: bool = False) -> None:
        self.all_numbers = all_numbers

    def grade(self, prompt: Prompt, response: Response) -> Grade:
        """Grade one response."""
        numbers = prompt.metadata.get("numbers")
        try:
            given = [int(number) for number in numbers] if isinstance(numbers, Sequence) else None
            target = Fraction(prompt.answer)
        except (TypeError, ValueError, ZeroDivisionError):
            given = None
        if not given or isinstance(numbers, str):
            raise UsageError(
                f"prompt {prompt.index} has numbers={numbers!r} and answer={prompt.answer!r}: countdown needs a list "
                "of whole numbers in the column numbers and a number in the answer column"
            )
        answer = last_boxed(response.text)
        outcome = float(answer is not None and reaches(answer, given, target, self.all_numbers))
        return Grade(outcome, {"outcome": outcome})
