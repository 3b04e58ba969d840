r"""Units, degrees and money: what stands behind a number.

Each function takes tidied text (`text.tidy`), but for `currency_clash`.
"""

from __future__ import annotations

import re

# Symbols that name a known measure, by what they measure in; two different ones never agree.
_MEASURES = {
    spelling: name
    for name, spellings in {
        "mm": "mm millimeter millimeters millimetre millimetres",
        "cm": "cm centimeter centimeters centimetre centimetres",
        "m": "m meter meters metre metres",
        "km": "km kilometer kilometers kilometre kilometres",
        "in": "in inch inches",
        "ft": "ft foot feet",
        "yd": "yd yard yards",
        "mi": "mi mile miles",
        "mg": "mg milligram milligrams",
        "g": "g gram grams",
        "kg": "kg kilogram kilograms",
        "lb": "lb lbs pound pounds",
        "oz": "oz ounce ounces",
        "ton": "ton tons tonne tonnes",
        "s": "s sec second seconds",
        "min": "min mins minute minutes",
        "h": "h hr hrs hour hours",
        "day": "day days",
        "week": "week weeks",
        "month": "month months",
        "year": "year years",
        "decade": "decade decades",
        "ml": "ml milliliter milliliters",
        "l": "l liter liters litre litres",
        "pint": "pint pints",
        "quart": "quart quarts",
        "gallon": "gallon gallons",
        "cup": "cup cups",
        "cent": "cent cents",
        "penny": "penny pennies",
        "nickel": "nickel nickels",
        "dime": "dime dimes",
        "quarter": "quarter quarters",
        "dollar": "dollar dollars",
        "degree": "degree degrees deg",
        "radian": "radian radians rad",
        "mph": "mph",
    }.items()
    for spelling in spellings.split()
}
_UNIT_POWER = r"(?:\^\s*\{?\s*[-+]?\d\s*\}?)?"
# A word of two or three letters behind a number is a unit only if it is known: 12xy is no 12 of anything.
_UNIT_WORD = (
    r"(?:(?:mm|cm|dm|km|in|ft|yd|mi|mg|kg|lbs?|oz|sec|mins?|hrs?|day|ml|mL|mph|kph|cu|sq|rad|deg|pts?|men|sq|Hz|kJ|"
    r"cts?|per)(?![a-zA-Z])|m(?=\s*(?:/|\^|$))|[a-zA-Z]{4,})\.?"
)
_NOT_UNITS = {"and", "or", "if", "for", "where", "when", "with", "to", "no", "not", "none", "than", "mod", "pi", "sqrt"}
_TEXT_UNIT = re.compile(
    rf"(?P<value>.*\S)\s*(?:\\text\s*|(?<=\d)|(?<=\d\s))"
    rf"\{{(?P<unit>[\s.a-zA-Z/-]+(?:\^\{{?\d\}}?)?)\}}\s*{_UNIT_POWER}",
    re.DOTALL,
)
_WORD_UNIT = re.compile(
    rf"(?P<value>[-+]?[\d.,/ ]*\d|.*(?:[}})]|\\pi))\s*"
    rf"(?P<unit>{_UNIT_WORD}{_UNIT_POWER}(?:(?:\s*/\s*|\s+)[a-zA-Z]+\.?{_UNIT_POWER}){{0,5}})"
)
_ORDINAL = re.compile(
    r"(?P<value>\d+)\s*\^?\s*\{?\s*(?:\\text\{)?\s*(?:st|nd|rd|th)\b\s*\}?\}?\s*(?:\\text\{)?[a-zA-Z ]*\}?"
)
DEGREE = r"^{\circ}"
_DEGREE = re.compile(r"\^\{\\circ\}(?:\s*(?:\\text\{)?\s*[CF]\s*\}?)?$")
_CENTS = re.compile(r"\d\s*(?:\\?%|¢|(?:\\text\{\s*)?(?:cents?|percent)\b)")


def split_unit(text: str) -> tuple[str, str]:
    """(value, unit); the unit is empty where there is none. Single letters after a number stay: they are variables."""
    text = _DEGREE.sub(r"^{\\circ}", text)
    if match := _ORDINAL.fullmatch(text):
        return match["value"], ""
    for pattern in (_TEXT_UNIT, _WORD_UNIT):
        match = pattern.fullmatch(text)
        if match is None or not re.search(r"\d|\\pi", match["value"]):
            continue
        if not _NOT_UNITS & set(re.findall("[a-z]+", match["unit"])):
            return match["value"].strip(), match["unit"] + text[match.end("unit") :]
    return text, ""


def units_clash(ours: str, theirs: str) -> bool:
    """Whether both units are known measures and different ones, or have different powers."""
    a, b = ([_MEASURES.get(word) for word in re.findall("[a-z]+", unit.lower())] for unit in (ours, theirs))
    powers = [re.findall(r"\^\s*\{?\s*(\d)", unit) for unit in (ours, theirs)]
    return (bool(a and b) and None not in a + b and a != b) or (all(powers) and powers[0] != powers[1])


def currency_clash(amount: str, other: str) -> bool:
    r"""Whether the one is in dollars and the other in cents or per cent. Takes text that is not tidied yet."""
    return bool(re.search(r"\\\$", amount) and not re.search(r"\\%|\bcents?\b", amount) and _CENTS.search(other))


def degrees_to_radians(ours: str, theirs: str) -> tuple[str, str]:
    """Both in radians where one is in degrees and the other in multiples of π, and under a trigonometric function;
    else without the degree sign."""
    one_sided = (DEGREE in ours) != (DEGREE in theirs) and r"\pi" in ours + theirs
    ours, theirs = (
        re.sub(r"(-?[\d.]+)\s*\^\{\\circ\}", r"(\\frac{\1 \\pi}{180})", text)
        if one_sided or re.search(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])", text)
        else text
        for text in (ours, theirs)
    )
    return ours.replace(DEGREE, ""), theirs.replace(DEGREE, "")
