r"""Numbers in words: `twelve`, `two hundred`, `1.5 million people`, `two thirds`, `5 tenths`, `five and a half`."""

from __future__ import annotations

import re
from typing import Any

import sympy

from mentor_pl.rewards.answers.tokens import Tokens

_SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: number for number, word in enumerate(_SMALL)} | {w: 10 * n for n, w in enumerate(_TENS, 2)} | {"a": 1}
_MULTIPLES = {"dozen": 12, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    "half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12,
}  # fmt: skip
_PARTS |= {f"{word}th": number for word, number in (_VALUES | _MULTIPLES | {"hundred": 100}).items()}
_ORDINAL = re.compile(r"st|nd|rd|th|\^\{(?:st|nd|rd|th)\}")
_NEGATIVE = ("negative", "minus")


def number_in_words(tokens: Tokens) -> tuple[Any, Tokens] | None:
    """(number, tokens behind it) where the tokens begin with a number of which a part is in words; else None."""
    spelled = [token.casefold() for token in tokens]
    if spelled[:1] and spelled[0] in _NEGATIVE and len(spelled) > 1:
        if spelled[1][0].isdigit() and len(spelled) == 2:
            return -sympy.Rational(spelled[1]), ()
        found = number_in_words(tokens[1:])
        return (-found[0], found[1]) if found else None
    if spelled == ["half"]:
        return sympy.Rational(1, 2), ()
    total, part, place, in_words = sympy.Integer(0), None, 0, False
    while place < len(tokens):
        token, following = spelled[place], (*spelled, "")[place + 1]
        size = _PARTS.get(token) or _PARTS.get(token.removesuffix("s"))
        if token[0].isdigit() and place == 0:
            part = sympy.Rational(token)
        elif token in _VALUES and _goes_on(part, _VALUES[token]):
            if token == "a" and following not in (*_MULTIPLES, *_PARTS, "hundred"):
                break
            part, in_words = (part or 0) + _VALUES[token], True
        elif token == "hundred" and part is not None:
            part, in_words = part * 100, True
        elif token in _MULTIPLES and part is not None:
            total, part, in_words = total + part * _MULTIPLES[token], sympy.Integer(0), True
        elif size and part is not None and not total:
            part, place, in_words = part / sympy.Integer(size), place + 1, True
            break
        elif token == "and" and part is not None and (rest := number_in_words(tokens[place + 1 :])):
            fits = rest[0] < 1 or (in_words and rest[0] < 100)
            return (total + part + rest[0], rest[1]) if fits else None
        elif token != "-" or not in_words:
            break
        place += 1
    raised = _ORDINAL.fullmatch("".join(tokens[1:5]))
    if part is not None and place == 1 and (raised or _ORDINAL.fullmatch("".join(tokens[1:2]))):
        behind = tokens[5 if raised else 2 :]
        return part, () if all(token.isalpha() for token in behind) else behind  # 12th grade
    return (total + part, tokens[place:]) if part is not None and in_words else None


def _goes_on(part: Any, value: int) -> bool:
    """Whether a number in words goes on with another: two hundred | five, twenty | one."""
    return part is None or (part % 100 == 0 and value < 100) or (part % 100 >= 20 and part % 10 == 0 and value < 10)
