r"""Numbers in words, multiples in words and times of day: `twelve`, `1.5 million`, `3:30 p.m.`. All of it takes tidied
text."""

from __future__ import annotations

import re
from fractions import Fraction

_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_SMALL += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ONES = {word: number for number, word in enumerate(_SMALL)} | {w: 10 * n for n, w in enumerate(_TENS, 2)}
_MULTIPLES = {
    "dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
_MULTIPLE = re.compile(
    rf"(?P<number>-?\d[\d,]*(?:\.\d+)?)\s*(?P<open>\\text\{{\s*)?(?P<multiple>{'|'.join(_MULTIPLES)})\b(?P<rest>.*)"
)
_TIME = re.compile(
    r"(\d{1,2})(?::(\d\d))?(?:(?:\s+|\s*\\text\{\s*|(?<=:\d\d))([ap])\.?\s*m\b\.?\s*\}?)?", re.IGNORECASE
)


def in_digits(text: str) -> str:
    """`twelve` as 12, `twenty-five` as 25, `two hundred` as 200, `1.5 million people` as 1500000 people."""
    if match := _MULTIPLE.fullmatch(text):
        value = Fraction(match["number"].replace(",", "")) * _MULTIPLES[match["multiple"]]
        unit = ((r"\text{" if match["open"] else "") + match["rest"]).removeprefix(r"\text{}")
        return f"{value}{unit}" if value.denominator == 1 else text
    words = re.split(r"[\s-]+", text.strip().lower())
    ones = words[:-1] if words[-1] in _MULTIPLES else words
    parts = [_ONES.get(word) for word in ones]
    known = [part for part in parts if part is not None]
    single = len(known) == 1
    if len(known) < len(parts) or not (single or (len(known) == 2 and known[0] >= 20 and 0 < known[1] < 10)):
        return text
    return str(sum(known) * (1 if ones is words else _MULTIPLES[words[-1]]))


def same_time(ours: str, theirs: str, both: bool = False) -> bool | None:
    """The verdict where one of the two says a.m. or p.m.; the other need not, unless `both` must. None where neither
    does."""
    a, b = _TIME.fullmatch(ours), _TIME.fullmatch(theirs)
    if not (a and b and (a[3] or b[3])):
        return None
    halves = {match[3].lower() for match in (a, b) if match[3]}
    if both and not (a[3] and b[3]):
        return False
    return len(halves) == 1 and int(a[1]) == int(b[1]) and (a[2] or "00") == (b[2] or "00")
