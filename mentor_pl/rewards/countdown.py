r"""Countdown: reach a target from given numbers with + − × ÷, each number used at most as often as it is given.

    answer     the target, e.g. 24
    metadata   numbers: [3, 5, 7, 2]
    response   \boxed{(7 - 3) \times (5 + ...)}

The box is read by a parser of its own grammar and worked out in exact fractions:

    sum      := product (("+" | "-") product)*
    product  := factor (("*" | "/") factor)*
    factor   := number | "(" sum ")" | "-" factor

Length and depth are bounded, so grading takes microseconds whatever is written, and nothing is ever evaluated as code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

from mentor_pl.rewards.answers.extract import last_boxed
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

MAX_EXPRESSION = 300  # characters of an expression
DEEPEST = 30  # brackets and signs within one another

_SPELLINGS = {
    r"\times": "*", r"\cdot": "*", "×": "*", "·": "*", r"\div": "/", "÷": "/", "−": "-", "–": "-", r"\left": "",
    r"\right": "", "[": "(", "]": ")", "$": "",
}  # fmt: skip
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_TOKEN = re.compile(r"\s*(?:(\d{1,12})|([-+*/()]))")


class _Unreadable(Exception):
    """Not an expression of the grammar."""


def evaluate_expression(text: str) -> tuple[Fraction, Counter[int]] | None:
    """Value of an expression and the numbers it uses, or None where it is none, or divides by 0."""
    text = _FRACTION.sub(r"((\1)/(\2))", text.strip())
    for spelling, plain in _SPELLINGS.items():
        text = text.replace(spelling, plain)
    if len(text) > MAX_EXPRESSION:
        return None
    try:
        tokens = _lexemes(text)
        used: Counter[int] = Counter()
        value, end = _sum(tokens, 0, used, 0)
        return (value, used) if end == len(tokens) else None
    except (_Unreadable, ZeroDivisionError):
        return None


def _lexemes(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _Unreadable
        tokens.append(match[1] or match[2])
        position = match.end()
    return tokens


def _sum(tokens: list[str], position: int, used: Counter[int], depth: int) -> tuple[Fraction, int]:
    value, position = _product(tokens, position, used, depth)
    while position < len(tokens) and tokens[position] in "+-":
        term, after = _product(tokens, position + 1, used, depth)
        value, position = (value + term if tokens[position] == "+" else value - term), after
    return value, position


def _product(tokens: list[str], position: int, used: Counter[int], depth: int) -> tuple[Fraction, int]:
    value, position = _factor(tokens, position, used, depth)
    while position < len(tokens) and tokens[position] in "*/":
        term, after = _factor(tokens, position + 1, used, depth)
        value, position = (value * term if tokens[position] == "*" else value / term), after
    return value, position


def _factor(tokens: list[str], position: int, used: Counter[int], depth: int) -> tuple[Fraction, int]:
    if position >= len(tokens) or depth > DEEPEST:
        raise _Unreadable
    token = tokens[position]
    if token == "(":
        value, position = _sum(tokens, position + 1, used, depth + 1)
        if position >= len(tokens) or tokens[position] != ")":
            raise _Unreadable
        return value, position + 1
    if token == "-":
        value, position = _factor(tokens, position + 1, used, depth + 1)
        return -value, position
    if not token.isdigit():
        raise _Unreadable
    used[int(token)] += 1
    return Fraction(int(token)), position + 1


def reaches(text: str, numbers: Iterable[int], target: Fraction, all_numbers: bool = False) -> bool:
    """Whether an expression, or `expression = target`, makes `target` of `numbers`."""
    left, equals, right = text.partition("=")
    if equals and (evaluate_expression(right) or (None,))[0] != target:
        return False
    found = evaluate_expression(left)
    if found is None or found[0] != target:
        return False
    given = Counter(numbers)
    return found[1] == given if all_numbers else found[1] <= given


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
