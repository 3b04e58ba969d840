r"""Numbers in words, in digits: `twelve`, `two hundred`, `five and a half`, `negative seven`, `12th grade`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from mentor_pl.rewards.answers.tokens import Token, Tokens

_SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
VALUES = {word: number for number, word in enumerate(_SMALL)} | {w: 10 * n for n, w in enumerate(_TENS, 2)}
_MULTIPLES = {"hundred": 100, "dozen": 12, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {f"{word}th": number for word, number in (VALUES | _MULTIPLES).items()} | {
    "half": 2, "halve": 2, "third": 3, "quarter": 4, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12,
}  # fmt: skip
_PARTS |= {f"{word[:-1]}ieth": VALUES[word] for word in _TENS}
_ORDINAL = re.compile(r"\d+ (?:st|nd|rd|th|\^ \{ (?:st|nd|rd|th) \})(?: [a-zA-Z]+)*")


def multiple(word: str) -> Fraction | None:
    """What a word behind a number multiplies it by: `million`, `tenths`; None for any other word."""
    part = _PARTS.get(word.removesuffix("s"))
    return Fraction(1, part) if part else Fraction(_MULTIPLES[word]) if word in _MULTIPLES else None


def in_digits(tokens: Tokens) -> Tokens:
    """With digits for every number in words, and a sign where such a number is negative or a sum."""
    if _ORDINAL.fullmatch(" ".join(tokens)):
        return tokens[:1]
    words = [token.casefold() for token in tokens] + ["", ""]
    found, place = list[Token](), 0
    while place < len(tokens):
        token, before, (word, behind, third) = tokens[place], found[-1] if found else "", words[place : place + 3]
        number, count = _number(words[place:])
        if count:
            token = Token(str(number), token.gap)
        elif word == "a" and _is_part(behind):
            token = Token("1", token.gap)
        elif word == "half" and not place:
            token = Token("1/2")
        elif word in ("negative", "minus") and not place and (behind[:1].isdigit() or behind in VALUES):
            token = Token("-")
        elif word == "and" and ((before.isdigit() and _is_part(third)) or (before[-2:] == "00" and behind in VALUES)):
            token = Token("+")
        if count or word != "-" or not (before.isdigit() and _is_part(behind)):  # one-half
            found.append(token)
        place += max(count, 1)
    return tuple(found)


def _is_part(word: str) -> bool:
    return word.removesuffix("s") in _PARTS


def _number(words: Sequence[str]) -> tuple[int, int]:
    """(number, how many words it takes); no words where none stands in front."""
    total, part, count = 0, None, 0
    for word, behind in pairwise(words):
        value = VALUES.get(word, 1 if word == "a" and behind in _MULTIPLES else None)
        if value is not None and _goes_on(part, value):
            part = (part or 0) + value
        elif word == "hundred" and part:
            part *= 100
        elif word in _MULTIPLES and part is not None:
            total, part = total + part * _MULTIPLES[word], 0
        elif word != "-" or not part or not _goes_on(part, VALUES.get(behind, 100)):
            break
        count += 1
    return total + (part or 0), count


def _goes_on(part: int | None, value: int) -> bool:
    """Whether a number in words goes on with another: two hundred | five, twenty | one."""
    return part is None or (part % 100 == 0 and value < 100) or (part % 100 >= 20 and part % 10 == 0 and value < 10)
