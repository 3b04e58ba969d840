r"""Conventions of writing: left sides, base suffixes, ±, letters, matrices.

Each function takes tidied text (`text.tidy`) and either strips one convention or says that it is not there.
"""

from __future__ import annotations

import re

from mentor_pl.rewards.answers.text import split_list

_NAME = r"[a-zA-Z|\\][a-zA-Z0-9_{}()|\\',: /]*"
_LABEL = re.compile(r"[a-zA-Z][a-zA-Z ]+:\s*(?=\S)")
_EQUALS = re.compile(r"(?<![<>!\\=])=(?!=)")
_MEMBER = re.compile(rf"{_NAME}?\\in(?![a-zA-Z])\s*(?=\S)")

_BASES = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10",
}  # fmt: skip
_BASE = re.compile(
    rf"(?P<digits>-?[0-9A-Za-z,. ]+?)\s*_\s*\{{?\s*(?:\\text\{{)?\s*(?P<base>\d+|{'|'.join(_BASES)})\s*\}}*"
)
_LETTER = re.compile(r"\(?\s*(?:\\text\{)?\s*\(?\s*([A-J])\s*\)?\s*\}?\s*\)?(?P<rest>[\s.:)].*)?", re.DOTALL)

_LABELLED = re.compile(r"(?:\\text\{\s*)?\(\s*[A-J]\s*\)\s*\}?\s*(?=[\w$\\-])([^=]+)")
_RESIDUE = re.compile(r"(-?\d+)\s*\\pmod\{\d+\}")
_DOMAIN = re.compile(
    r"\s*,?\s*(?:\\text\{\s*,?\s*|(?<![a-zA-Z]))for\s+(?:all|any|every|each|some)\b[^,;]*"
    r"|\s*[,(]\s*(?:\\text\{\s*where\s*\}\s*)?[a-z]\s*\\in\s*\\mathbb\s*\{?[ZNRQ]\}?(?:[\^_]\{?[+*\d]\}?)?\s*\)?$"
)
_MATRIX = re.compile(r"[(\[]?\s*\\begin\{([pbvBV]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}\s*[)\]]?", re.DOTALL)


def right_side(ours: str, theirs: str) -> tuple[str, str]:
    """Both without names in front: `x =`, `x \\in`, `Maximum:`. Where both name the same single thing it is dropped;
    where both name different things they keep their names, so that x = 1 is not y = 1."""
    (our_name, our_value), (their_name, their_value) = _split_name(ours), _split_name(theirs)
    if our_name and their_name:
        a, b = _plain_name(our_name), _plain_name(their_name)
        if a == b or "\\in" in (our_name[-3:], their_name[-3:]) or ":" in (our_name[-1], their_name[-1]):
            return our_value, their_value
        function = re.compile(r"([a-zA-Z])\(([a-z])\)=")
        x, y = function.fullmatch(a), function.fullmatch(b)
        if "y=" in (a, b) and (x or y):  # y = 2m is a way to write f(m) = 2m
            return our_value, their_value
        apart = x and y and x[2] != y[2] and re.search(rf"(?<![a-zA-Z\\]){y[2]}(?![a-zA-Z])", our_value)
        if x and y and x[1] == y[1] and not apart:  # f(m) = 2m and f(n) = 2n are one function
            return re.sub(rf"(?<![a-zA-Z\\]){x[2]}(?![a-zA-Z])", y[2], our_value), their_value
        return ours, theirs
    if _equation(ours) and _equation(theirs):
        return ours, theirs  # two equations, such as 2y = 6x + 4 and y = 3x + 2
    if not our_name and _chain(ours) and (not their_name or not _equation(ours)):
        our_value = _EQUALS.split(ours)[-1].strip()
    return our_value, their_value


def other_quantity(ours: str, theirs: str) -> bool:
    """Whether both are one equation that gives a function's value, and of different ones: P(A) = 1 is not P(B) = 1."""
    a, b = (re.match(r"\s*([a-zA-Z]\w*\([^()=]*\))\s*=", text) if _chain(text) else None for text in (ours, theirs))
    return bool(a and b) and _quantity(a) != _quantity(b)


def _quantity(match: re.Match[str] | None) -> str:
    return _plain_name((match[1] if match else "").replace(r"\text", "")).casefold()


def named(text: str) -> bool:
    """Whether the text names what it gives: `x = 5`, `x \\in S`."""
    return bool(_split_name(text)[0])


def _chain(text: str) -> bool:
    """Whether the text is one equation, as in `3/4 = 0.75`: its last side is what it arrives at."""
    return bool(_EQUALS.search(text)) and len(split_list(text)) == 1


def _equation(text: str) -> bool:
    """Whether the text is one equation with a letter on its first side."""
    return _chain(text) and bool(re.search(r"(?<![\\a-zA-Z])[a-zA-Z]", _EQUALS.split(text)[0]))


def _split_name(text: str) -> tuple[str, str]:
    """(name with its sign, value); the name is empty where there is none."""
    if len(split_list(text)) == 1:
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


def _plain_name(text: str) -> str:
    return re.sub(r"[\s{}]", "", text)


def base_suffix(ours: str, theirs: str) -> str:
    """For numbers with a base as subscript: `equal`, `different`, or `dropped` where one side lacks it; else empty."""
    a, b = _BASE.fullmatch(ours), _BASE.fullmatch(theirs)
    if not (a and re.search(r"\d", a["digits"])) and not (b and re.search(r"\d", b["digits"])):
        return ""
    digits = [re.sub(r"[\s,]", "", m["digits"] if m else text).upper() for m, text in ((a, ours), (b, theirs))]
    if digits[0] != digits[1]:
        return "different"
    if a and b:
        bases = (_BASES.get(match["base"], match["base"]) for match in (a, b))
        return "equal" if len(set(bases)) == 1 else "different"
    return "dropped"


def choice_letter(text: str, alone: bool = False) -> str:
    """The letter of `C`, `(C)`, `C.` or `C) its text`; empty where there is none. `alone` allows no text."""
    match = _LETTER.fullmatch(text)
    if match is None or (alone and (match["rest"] or "").strip(" .:)")):
        return ""
    rest = match["rest"] or ""
    bracketed = "(" in text[: match.start(1)]
    return "" if rest and not alone and not bracketed and rest[0] not in ".:)" else match[1]


def without_label(ours: str, theirs: str) -> tuple[str, str]:
    """Both without the choice's letter where the other has none: `(C) 42` and 42."""
    a, b = _LABELLED.fullmatch(ours), _LABELLED.fullmatch(theirs)
    if bool(a) == bool(b):
        return ours, theirs
    return (a[1], theirs) if a else (ours, b[1]) if b else (ours, theirs)


def residue(ours: str, theirs: str) -> tuple[str, str]:
    """Both without the modulus of a whole number where the other has none: 3 (mod 5) and 3."""
    a, b = _RESIDUE.fullmatch(ours), _RESIDUE.fullmatch(theirs)
    if bool(a) == bool(b):
        return ours, theirs
    return (a[1], theirs) if a else (ours, b[1]) if b else (ours, theirs)


def plus_minus(text: str) -> list[str]:
    r"""`a \pm b` as its two values, upper signs first."""
    if r"\pm" not in text and r"\mp" not in text:
        return [text]
    upper = re.sub(r"\\mp(?![a-zA-Z])", "-", re.sub(r"\\pm(?![a-zA-Z])", "+", text))
    lower = re.sub(r"\\mp(?![a-zA-Z])", "+", re.sub(r"\\pm(?![a-zA-Z])", "-", text))
    return [re.sub(r"(^|[=({,])\s*\+", r"\1", upper), lower]


def matrix_rows(text: str) -> list[list[str]] | None:
    """The entries of one matrix, row by row, or None."""
    if text.startswith("[[") and text.endswith("]]"):  # as programs write it
        lines = split_list(text[1:-1])
        return [split_list(line[1:-1]) for line in lines] if all(line[0] + line[-1] == "[]" for line in lines) else None
    match = _MATRIX.fullmatch(text)
    if match is None or r"\begin" in match[2]:
        return None
    rows = [row for row in re.split(r"\\\\|\\cr(?![a-zA-Z])", match[2]) if row.strip()]
    return [[entry.strip() for entry in row.split("&")] for row in rows] or None


def without_domain(text: str) -> str:
    r"""Without clauses on where it holds: `\text{ for all } x \in \mathbb{R}`, `, k \in \mathbb{Z}`."""
    return _DOMAIN.sub("", text) or text
