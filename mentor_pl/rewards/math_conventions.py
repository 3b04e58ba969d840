r"""Conventions of writing: left sides, units, base suffixes, degrees, ±, letters, inequalities as intervals.

Each function takes tidied text (`math_text.tidy`) and either strips one convention or says that it is not there.
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
        "s": "s sec second seconds",
        "min": "min mins minute minutes",
        "h": "h hr hrs hour hours",
        "day": "day days",
        "week": "week weeks",
        "year": "year years",
        "ml": "ml milliliter milliliters",
        "l": "l liter liters litre litres",
        "cent": "cent cents",
        "dollar": "dollar dollars",
        "degree": "degree degrees",
        "mph": "mph",
    }.items()
    for spelling in spellings.split()
}
_NOT_UNITS = {"and", "or", "if", "for", "where", "when", "with", "to", "no", "not", "none", "than", "mod", "pi", "sqrt"}
_END = r"(?:\^\s*\{?\s*[-+]?\d\s*\}?)?"
_TEXT_UNIT = re.compile(
    rf"(?P<value>.*\S)\s*(?:\\text\s*|(?<=\d)|(?<=\d\s))"
    rf"\{{(?P<unit>[\s.a-zA-Z/-]+(?:\^\{{?\d\}}?)?)\}}\s*{_END}",
    re.DOTALL,
)
_WORD_UNIT = re.compile(
    rf"(?P<value>[-+]?[\d.,/ ]*\d|.*[}})])\s*(?P<unit>(?:[a-zA-Z]{{2,}}\.?(?:\s|/|$)\s*|m\s*$){{1,6}}){_END}"
)
_ORDINAL = re.compile(
    r"(?P<value>\d+)\s*\^?\s*\{?\s*(?:\\text\{)?\s*(?:st|nd|rd|th)\b\s*\}?\}?\s*(?:\\text\{)?[a-zA-Z ]*\}?"
)
DEGREE = r"^{\circ}"
_DEGREE = re.compile(r"\^\{\\circ\}(?:\s*(?:\\text\{)?\s*[CF]\s*\}?)?$")

_NAME = r"[a-zA-Z|\\][a-zA-Z0-9_{}()|\\',: /]*"
_LABEL = re.compile(r"[a-zA-Z][a-zA-Z ]+:\s*(?=\S)")
_EQUALS = re.compile(r"(?<![<>!\\=])=(?!=)")
_MEMBER = re.compile(rf"{_NAME}?\\in(?![a-zA-Z])\s*(?=\S)")

_BASE = re.compile(r"(?P<digits>[0-9A-Za-z,. ]+?)\s*_\s*\{?\s*(?:\\text\{)?\s*(?P<base>\d+|two|three|ten)\s*\}*")
_LETTER = re.compile(r"\(?\s*(?:\\text\{)?\s*\(?\s*([A-J])\s*\)?\s*\}?\s*\)?(?P<rest>[\s.:)].*)?", re.DOTALL)

_MATRIX = re.compile(r"[(\[]?\s*\\begin\{([pbvBV]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}\s*[)\]]?", re.DOTALL)
_SIDE = r"[^<>=]+?"
_RELATION = r"\s*(<|>|\\leq(?![a-zA-Z])|\\geq(?![a-zA-Z]))\s*"
_VARIABLE = r"\s*(?:\|[a-zA-Z]\||[a-zA-Z](?:_\{?\w+\}?)?(?:\([a-zA-Z]\))?)\s*"
_DOUBLE = re.compile(rf"({_SIDE}){_RELATION}({_VARIABLE}){_RELATION}({_SIDE})")
_RIGHT = re.compile(rf"({_VARIABLE}){_RELATION}({_SIDE})")
_LEFT = re.compile(rf"({_SIDE}){_RELATION}({_VARIABLE})")


def right_side(ours: str, theirs: str) -> tuple[str, str]:
    """Both without names in front: `x =`, `x \\in`, `Maximum:`. Where both name the same single thing it is dropped;
    where both name different things they keep their names, so that x = 1 is not y = 1."""
    (our_name, our_value), (their_name, their_value) = _split_name(ours), _split_name(theirs)
    if our_name and their_name:
        a, b = _plain(our_name), _plain(their_name)
        if a == b or "\\in" in (our_name[-3:], their_name[-3:]) or ":" in (our_name[-1], their_name[-1]):
            return our_value, their_value
        function = re.compile(r"([a-zA-Z])\(([a-zA-Z])\)=")
        x, y = function.fullmatch(a), function.fullmatch(b)
        if x and y and x[1] == y[1]:  # f(m) = 2m and f(n) = 2n are one function
            return re.sub(rf"(?<![a-zA-Z\\]){x[2]}(?![a-zA-Z])", y[2], our_value), their_value
        return ours, theirs
    if not their_name and _chain(ours) and not _chain(theirs):
        our_value = _EQUALS.split(ours)[-1].strip()
    return our_value, their_value


def named(text: str) -> bool:
    """Whether the text names what it gives: `x = 5`, `x \\in S`."""
    return bool(_split_name(text)[0])


def _chain(text: str) -> bool:
    """Whether the text is one equation, as in `3/4 = 0.75`: its last side is what it arrives at."""
    return bool(_EQUALS.search(text)) and "," not in text and ";" not in text


def _split_name(text: str) -> tuple[str, str]:
    """(name with its sign, value); the name is empty where there is none."""
    if ("," not in text and ";" not in text) or text.startswith("("):
        parts = _EQUALS.split(text)
        names, value = parts[:-1], parts[-1].strip()
        if names and value and all(_is_name(name) for name in names[:1]):
            return names[0].strip() + "=", value
    if match := _MEMBER.match(text):
        return match.group().strip(), text[match.end() :]
    if match := _LABEL.match(text):
        return match.group().strip(), text[match.end() :]
    return "", text


def _is_name(text: str) -> bool:
    """A quantity's name: no bare number in it, and no sum, so that 7 = 11a + c keeps its left side."""
    text = text.strip()
    bare = re.sub(r"_\s*(?:\{[^{}]*\}|\w)", "", text)
    if bare.startswith("(") and bare.endswith(")"):
        return all(re.fullmatch(r"\s*\\?[a-zA-Z]+(?:\([a-zA-Z]\))?\s*", part) for part in bare[1:-1].split(","))
    return bool(re.fullmatch(r"\\frac\{[a-zA-Z]{2,}\}\{[a-zA-Z]{2,}\}|" + _NAME, bare)) and not re.search(r"\d", bare)


def _plain(text: str) -> str:
    return re.sub(r"[\s{}]", "", text)


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
    """Whether both units are known measures, and different ones."""
    a, b = ([_MEASURES.get(word) for word in re.findall("[a-z]+", unit.lower())] for unit in (ours, theirs))
    return bool(a and b) and None not in a + b and a != b


def base_suffix(ours: str, theirs: str) -> str:
    """For numbers with a base as subscript: `equal`, `different`, or `dropped` where one side lacks it; else empty."""
    a, b = _BASE.fullmatch(ours), _BASE.fullmatch(theirs)
    if not (a and re.search(r"\d", a["digits"])) and not (b and re.search(r"\d", b["digits"])):
        return ""
    digits = [re.sub(r"[\s,]", "", m["digits"] if m else text).upper() for m, text in ((a, ours), (b, theirs))]
    if digits[0] != digits[1]:
        return "different"
    if a and b:
        return "equal" if a["base"] == b["base"] else "different"
    return "dropped"


def choice_letter(text: str, alone: bool = False) -> str:
    """The letter of `C`, `(C)`, `C.` or `C) its text`; empty where there is none. `alone` allows no text."""
    match = _LETTER.fullmatch(text)
    if match is None or (alone and (match["rest"] or "").strip(" .:)")):
        return ""
    rest = match["rest"] or ""
    return "" if rest and not alone and "(" not in text[:2] and rest[0] not in ".:)" else match[1]


def degrees_to_radians(ours: str, theirs: str) -> tuple[str, str]:
    """Both in radians where one is in degrees and the other in multiples of π; else without the degree sign."""
    if (DEGREE in ours) != (DEGREE in theirs) and r"\pi" in ours + theirs:
        ours, theirs = (
            re.sub(r"(-?[\d.]+)\s*\^\{\\circ\}", r"(\\frac{\1 \\pi}{180})", text) for text in (ours, theirs)
        )
    return ours.replace(DEGREE, ""), theirs.replace(DEGREE, "")


def plus_minus(text: str) -> list[str]:
    r"""`a \pm b` as its two values, upper signs first."""
    if r"\pm" not in text and r"\mp" not in text:
        return [text]
    upper = re.sub(r"\\mp(?![a-zA-Z])", "-", re.sub(r"\\pm(?![a-zA-Z])", "+", text))
    lower = re.sub(r"\\mp(?![a-zA-Z])", "+", re.sub(r"\\pm(?![a-zA-Z])", "-", text))
    return [re.sub(r"(^|[=({,])\s*\+", r"\1", upper), lower]


def matrix_rows(text: str) -> list[list[str]] | None:
    """The entries of one matrix, row by row, or None."""
    match = _MATRIX.fullmatch(text)
    if match is None or r"\begin" in match[2]:
        return None
    rows = [row for row in re.split(r"\\\\|\\cr(?![a-zA-Z])", match[2]) if row.strip()]
    return [[entry.strip() for entry in row.split("&")] for row in rows] or None


def interval_of(text: str) -> str:
    r"""Inequalities in one variable as intervals, alternatives as unions; other text as it is."""
    if not re.search(r"[<>]|\\[lg]eq(?![a-zA-Z])", text):
        return text
    if inside := re.fullmatch(rf"\\\{{{_VARIABLE}[|:](.*)\\\}}", text, re.DOTALL):
        text = inside[1].strip()
    pieces = re.split(r"\s*(?:,\s*)?(?:\\text\{\s*or\s*\}|(?<![a-zA-Z\\])or(?![a-zA-Z])|\\cup(?![a-zA-Z]))\s*", text)
    intervals = [_interval(piece) for piece in pieces]
    return r" \cup ".join(i for i in intervals if i) if all(intervals) else text


def _interval(text: str) -> str | None:
    """One chain of inequalities as an interval; in |x|, as the interval and its mirror image."""
    opening, low, high, closing = "(", r"-\infty", r"\infty", ")"
    if match := _DOUBLE.fullmatch(text):
        low, first, variable, second, high = match.groups()
        if ("<" in first or "l" in first) != ("<" in second or "l" in second):
            return None
        if ">" in first or "g" in first:
            low, first, second, high = high, second, first, low
        opening, closing = "[" if "eq" in first else "(", "]" if "eq" in second else ")"
    elif match := _RIGHT.fullmatch(text) or _LEFT.fullmatch(text):
        variable, sign, bound = match.groups() if match.re is _RIGHT else match.groups()[::-1]
        if "," in bound or re.search(r"\\[lg]eq", bound):
            return None
        if ("<" in sign or "l" in sign) == (match.re is _RIGHT):
            high, closing = bound, "]" if "eq" in sign else ")"
        else:
            low, opening = bound, "[" if "eq" in sign else "("
    else:
        return None
    low, high = low.strip(), high.strip()
    if not variable.strip().startswith("|"):
        return f"{opening}{low}, {high}{closing}"
    if low == r"-\infty":
        return f"{'[' if closing == ']' else '('}-({high}), {high}{closing}"
    mirror = f"{'[' if closing == ']' else '('}-({high}), -({low}){']' if opening == '[' else ')'}"
    return rf"{mirror} \cup {opening}{low}, {high}{closing}"
