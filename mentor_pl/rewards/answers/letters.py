r"""Choices by letter, A to J, as they stand in a box: `B`, `(B)`, `\textbf{(B) } 42`, `Option B`, `The answer is B`."""

from __future__ import annotations

import re

from mentor_pl.rewards.answers.lexer import tokenise
from mentor_pl.rewards.answers.tokens import compact

LETTERS = "ABCDEFGHIJ"
_LEAD = r"(?:(?:the|correct|final|best|right|answer|option|choice|is|letter|:)\s+)*"
_STATED = re.compile(rf"{_LEAD}[(\[]?\s*(?P<letter>[A-J])(?P<bracket>\s*[)\]])?(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
_GOES_ON = ("or ", ": or", "to ")  # to another choice
_OTHERS = re.compile(r"(?<![\w'])[A-J](?![\w'])")


def lone_letter(reference: str) -> str:
    """The letter that a reference is, or nothing."""
    text = compact(tokenise(reference)).strip("().")
    return text if len(text) == 1 and text in LETTERS else ""


def stated_letter(answer: str) -> str:
    """The one letter that an answer states, perhaps with the text of its choice, or nothing."""
    text = " ".join(tokenise(answer.replace("**", ""))).strip(" .*_'\"")
    match = _STATED.fullmatch(text)
    if match is None:
        return ""
    letter, rest = match["letter"], match["rest"].strip()
    if rest in ("", "."):
        return letter.upper()
    difference = rest[0] == "-" and not re.search(r"[A-J]\W{0,3}\s[-–—]", answer)  # B-2
    marked = (match["bracket"] or rest[0] in ".:-)") and rest[0] != "," and not rest.startswith(_GOES_ON)
    return letter if letter.isupper() and marked and not difference and not _OTHERS.search(rest) else ""
