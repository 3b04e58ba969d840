r"""Which words of a response are decisions, and which are forced.

A label belongs to a position: it is a *decision* where the form allows several words that lead to different outcomes,
*forced* where problem and words before leave one.

    <think> 7 + 8 = 15 - 3 = 12 </think> \boxed{ 12 }           <think> </think> \boxed{ 4 }
    .       d . . . .  d . . .  .        .       .  .           .       d        .       d .

    <think> try 8 - 1 = 7 + 9 = 16 check no try -8 + 1 = -7 + 9 = 2 check yes </think> \boxed{ -8 + 1 + 9 }
    .       .   d d . . . d . . .  d     .  d   d  d . . .  d . . . d     .   .        .       .  . . . . .

In chain_sum to work the sum out, to go on with it, and an answer that was not worked out are decisions; in countdown
the signs are, the first one within its number, and to check or to answer, to try again or to answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mentor_pl.testbed.forms import Form, labels_by
from mentor_pl.testbed.gym.problems import parse
from mentor_pl.testbed.gym.solutions import MAX_ATTEMPTS
from mentor_pl.testbed.tokenizer import EOS

_NUMBER: Final = re.compile(r"-?\d+")


def labels(problem: str, words: Sequence[str]) -> list[bool | None]:
    """For every word of a response whether its position is a decision; None from where it has left the form on.

    Args:
        problem: the question.
        words: of the response; the stop token `<eos>` may be the last.

    Raises:
        UsageError: the problem is of neither task.
    """
    asked = parse(problem)
    form = _sum(len(asked.numbers)) if asked.signs else _search(len(asked.numbers))
    return labels_by(form, words)


def _sum(terms: int) -> Form:
    if (yield False) != "<think>":
        return False
    word, known = (yield True), 0
    if _NUMBER.fullmatch(word):
        word, known = (yield False), 1
        while known < terms and word != "</think>":
            if not (yield from _term(word)):
                return False
            known += 1
            word = yield known < terms
    if word != "</think>" or known == 1 or (yield False) != r"\boxed{":
        return False
    return _NUMBER.fullmatch((yield known < terms)) is not None and (yield False) == "}" and (yield False) == EOS


def _search(terms: int) -> Form:
    if (yield False) != "<think>":
        return False
    word = yield False
    for attempt in range(1, MAX_ATTEMPTS + 1):
        if word != "try" or not _NUMBER.fullmatch((yield True)):
            return False
        for _ in range(terms - 1):
            if not (yield from _term((yield True))):
                return False
        word = yield True
        if word == "check":
            verdict = yield False
            if verdict not in ("yes", "no"):
                return False
            word = yield verdict == "no" and attempt < MAX_ATTEMPTS
        if word == "</think>":
            break
    if word != "</think>" or (yield False) != r"\boxed{" or not _NUMBER.fullmatch((yield False)):
        return False
    for _ in range(terms - 1):
        if (yield False) not in ("+", "-") or not _NUMBER.fullmatch((yield False)):
            return False
    return (yield False) == "}" and (yield False) == EOS


def _term(sign: str) -> Form:
    """The rest of a term whose sign was said: a number and what it comes to."""
    return (
        sign in ("+", "-")
        and _NUMBER.fullmatch((yield False)) is not None
        and (yield False) == "="
        and _NUMBER.fullmatch((yield False)) is not None
    )
