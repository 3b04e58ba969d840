r"""Inequalities in one variable as intervals: `2 \leq x < 7` is `[2, 7)`. All of it takes tidied text."""

from __future__ import annotations

import re

_SIDE = r"[^<>=]+?"
_RELATION = r"\s*(<|>|\\leq(?![a-zA-Z])|\\geq(?![a-zA-Z]))\s*"
_VARIABLE = r"\s*(?:\|[a-zA-Z]\||[a-zA-Z](?:_\{?\w+\}?)?(?:\([a-zA-Z]\))?)\s*"
_DOUBLE = re.compile(rf"({_SIDE}){_RELATION}({_VARIABLE}){_RELATION}({_SIDE})")
_RIGHT = re.compile(rf"({_VARIABLE}){_RELATION}({_SIDE})")
_LEFT = re.compile(rf"({_SIDE}){_RELATION}({_VARIABLE})")
_UNEQUAL = re.compile(rf"({_VARIABLE})\\neq(?![a-zA-Z])\s*([^,;<>=\\|]+)")
_WITHOUT = re.compile(
    r"(?:\\mathbb\s*\{?R\}?|\(-\\infty\s*,\s*\+?\\infty\))\s*(?:\\setminus|\\backslash|-)\s*\\\{([^,;{}]+)\\\}"
)
_REALS = re.compile(r"\\mathbb\s*\{?R\}?|(?:\\text\{\s*)?all\s+real(?:s|\s+numbers?)\s*\}?", re.IGNORECASE)


def interval_of(text: str) -> str:
    r"""Inequalities in one variable as intervals, alternatives as unions; other text as it is."""
    if _REALS.fullmatch(text):
        return r"(-\infty, \infty)"
    if match := _UNEQUAL.fullmatch(text) or _WITHOUT.fullmatch(text):
        hole = match[match.lastindex or 1].strip()
        return rf"(-\infty, {hole}) \cup ({hole}, \infty)"
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


def other_variable(ours: str, theirs: str) -> bool:
    """Whether both are inequalities, and in different variables: x > 3 is not y > 3."""
    found = []
    for text in (ours, theirs):
        match = _RIGHT.fullmatch(text) or _LEFT.fullmatch(text) or _DOUBLE.fullmatch(text) or _UNEQUAL.fullmatch(text)
        variable = match and match[{_RIGHT: 1, _LEFT: 3, _DOUBLE: 3, _UNEQUAL: 1}[match.re]]
        found.append(re.sub(r"[\s{}]", "", variable) if variable else "")
    return bool(found[0] and found[1]) and found[0] != found[1]
