r"""Which words of a response are decisions, and which are forced.

A label belongs to a position: it is a *decision* where the form allows several words that lead to different outcomes,
*forced* where problem and words before leave one, or several that come to the same.

    <think> try L X check no try D c32 R c33 L c32 R c33 check yes </think> \boxed{ D R L R }
    .       .   d . d     .  d   d .   d .   d .   d .   d     .   .        .       . . . . .

Decisions are the moves; after an attempt, to check it or to answer; after `check no`, to try again or to answer. A
redundant word changes nothing, so in front of `try` it is forced; in front of a move the position is the move's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mentor_pl.rewards.maze import CELLS, CHESS, MOVES, OFF, WALK_LENGTH, parse_problem
from mentor_pl.testbed.forms import Form, labels_by
from mentor_pl.testbed.maze.solutions import FILLERS, MAX_ATTEMPTS
from mentor_pl.testbed.tokenizer import EOS

_PLACES: Final = {*CELLS, *CHESS, OFF}


def labels(problem: str, words: Sequence[str]) -> list[bool | None]:
    """For every word of a response whether its position is a decision; None from where it has left the form on.

    Args:
        problem: the maze as its prompt words it.
        words: of the response; the stop token `<eos>` may be the last.

    Raises:
        UsageError: the problem is no maze.
    """
    parse_problem(problem)
    return labels_by(_response(), words)


def _response() -> Form:
    """The form of a response; what deviates ends it."""
    if (yield False) != "<think>":
        return False
    word = yield False
    for attempt in range(1, MAX_ATTEMPTS + 1):
        if word in FILLERS:
            word = yield False
        if word != "try":
            return False
        moves = 0
        while moves < WALK_LENGTH:
            word = yield True
            if word in FILLERS and moves:
                word = yield True
            if word not in MOVES:
                return False
            moves += 1
            place = yield False
            if place not in _PLACES:
                return False
            if place == OFF:
                break
        word = yield True
        if word == "check":
            verdict = yield False
            if verdict not in ("yes", "no"):
                return False
            word = yield verdict == "no" and attempt < MAX_ATTEMPTS
        if word == "</think>":
            break
    if word != "</think>" or (yield False) != r"\boxed{":
        return False
    for _ in range(moves):
        if (yield False) not in MOVES:
            return False
    return (yield False) == "}" and (yield False) == EOS
