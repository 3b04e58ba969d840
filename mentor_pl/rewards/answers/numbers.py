r"""Plain numbers: integers, decimals, fractions, mixed numbers, powers of ten and percentages, compared exactly.

Most answers are plain numbers; reading them here is a thousand times faster than algebra and has no tolerance that a
wrong small number could hide in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

DIGITS = 400  # longer runs of digits are compared as strings
LONG = 6  # significant digits from which a decimal stands for the exact number that rounds to it
ROUNDED = 3  # significant digits from which a decimal reference may be a rounded one

_INTEGER = r"[1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+(?!\d))|\d+"
_DECIMAL = rf"(?:{_INTEGER})(?:\.\d*)?|\.\d+"
_SIGN = r"(?P<sign>[+-]?)\s*"
_PATTERNS = tuple(
    re.compile(_SIGN + pattern + r"\s*(?P<percent>\\%|\\text\{\s*percent\s*\}|(?:percent|pct)\b)?")
    for pattern in (
        rf"(?P<number>{_DECIMAL})"
        r"(?:(?:\s*(?:\\times|\\cdot|\*)\s*10\s*\^\s*\{?\s*\(?|[eE])(?P<power>[+-]?\d{1,3})\)?\s*\}?)?",
        r"(?P<cycled>\d*\.\d*)\\(?:overline|bar)\s*\{?(?P<cycle>\d+)\}?",
        rf"(?:(?P<whole>\d+)\s*)?\\frac\s*\{{\s*(?P<top>-?(?:{_DECIMAL}))\s*\}}\s*\{{\s*(?P<bottom>-?(?:{_DECIMAL}))\s*\}}",
        r"(?:(?P<whole>\d+)\s*)?\\frac\s*(?P<top>\d)\s*(?P<bottom>\d)",
        r"(?:(?P<whole>\d+)\s*)?\\frac\s*(?P<top>\d)\s*\{(?P<bottom>\d+)\}",
        rf"(?:(?P<whole>\d+) +)?\(?(?P<top>{_DECIMAL})\)?\s*/\s*\(?(?P<bottom>-?(?:{_DECIMAL}))\)?",
        r"10\s*\^\s*\{?\s*(?P<ten>[+-]?\d{1,3})\s*\}?",
    )
)


@dataclass(frozen=True)
class Number:
    """A plain number.

    Attributes:
        value: what it is, the percent sign aside.
        places: decimal places as written, None for integers and fractions.
        percent: whether a percent sign follows.
    """

    value: Fraction
    places: int | None = None
    percent: bool = False

    @property
    def significant(self) -> int:
        """Significant digits as written; a decimal's only."""
        if self.places is None:
            return 0
        return len(str(abs(int(self.value * 10**self.places))))


def read(text: str) -> Number | None:
    """The plain number that `text` as a whole is, or None."""
    if len(text) > DIGITS:
        return None
    for pattern in _PATTERNS:
        match = pattern.fullmatch(text.strip())
        if match:
            return _number(match.groupdict())
    return None


def _number(groups: dict[str, str | None]) -> Number | None:
    sign = -1 if groups["sign"] == "-" else 1
    percent = groups["percent"] is not None
    if groups.get("ten"):
        return Number(sign * Fraction(10) ** int(groups["ten"] or 0), None, percent)
    if groups.get("top"):
        top, bottom = (Fraction(re.sub("[, ]", "", groups[name] or "")) for name in ("top", "bottom"))
        if bottom == 0:
            return None
        return Number(sign * (Fraction(groups.get("whole") or 0) + top / bottom), None, percent)
    if groups.get("cycle"):
        cycled, cycle = groups["cycled"] or "", groups["cycle"] or ""
        shift = 10 ** len(cycled.partition(".")[2])
        repeated = Fraction(int(cycle), (10 ** len(cycle) - 1) * shift)
        return Number(sign * (Fraction(int(cycled.replace(".", "") or 0), shift) + repeated), None, percent)
    digits = (groups["number"] or "").replace(",", "").replace(" ", "")
    value, power = Fraction(digits), int(groups.get("power") or 0)
    places = len(digits.partition(".")[2]) - power if "." in digits else None
    if places is not None and places < 0:
        places = 0
    return Number(sign * value * Fraction(10) ** power, places, percent)


def equal_numbers(answer: Number, reference: Number, percent: str, decimals: str, tolerance: float) -> bool:
    """Whether two plain numbers agree under the conventions (see `Conventions`)."""
    pairs = [(answer.value, reference.value)]
    if answer.percent != reference.percent:
        hundredth = (answer.value / 100, reference.value) if answer.percent else (answer.value * 100, reference.value)
        pairs = [hundredth] if percent == "exact" else [*pairs, hundredth]
    return any(
        ours == theirs
        or (tolerance > 0 and abs(ours - theirs) <= Fraction(tolerance) * abs(theirs))
        or (answer.places is None and stands_for(reference, ours, theirs, decimals != "exact"))
        or (reference.places is None and stands_for(answer, theirs, ours, decimals == "either"))
        for ours, theirs in pairs
    )


def stands_for(decimal: Number, exact: Fraction, value: Fraction, rounded: bool) -> bool:
    """Whether the decimal, whose value is `value`, is `exact` rounded to its places.

    A decimal of `LONG` significant digits always may be; a shorter one, from `ROUNDED` on, where `rounded` says so.
    An exact number with no more places than the decimal has is not rounded, but another number.
    """
    if decimal.places is None or decimal.significant < (ROUNDED if rounded else LONG) or decimal.places < 1:
        return False
    if exact.denominator == 1 and value.denominator != 1:
        return False
    return bool(abs(exact - value) * 2 * 10**decimal.places <= 1)
