r"""Multiple choice: the letter that a response settles on, A–J, against the letter of the key.

What stands before `</think>` does not count. The letter is looked for in this order:

    the last \boxed{}, which must state one letter (see `stated_letter`)
    `answer is (C)`, `Answer: C`: the last, or the first, as an argument says; one that states several is none
    `C.` or `(C)` at the very beginning, or a small letter alone
    the last `option C` or `choice C`
    the last letter alone, in brackets or with a full stop, unless they are the options in their order

A letter behind *not*, *but* or *than* is not chosen, nor is `I` or `A` as a word. Where the prompt's metadata has
`choices`, a box or an `answer is` of the last line that repeats one choice's text counts as that choice. Scanning is
linear in the last 4,000 characters, so nothing needs a worker.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from mentor_pl.rewards.answers.extract import TAIL, last_boxed
from mentor_pl.rewards.answers.letters import LETTERS, stated_letter
from mentor_pl.rewards.answers.lexer import same_text
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

Settled = Literal["first", "last"]

# Repeats are bounded: two unbounded ones side by side would take quadratic time on a run of what they share.
_OPEN = r"[\s:*$_#]{0,9}(?:\\(?:text|mathrm|mathbf|textbf|boxed)\s?\{|\\\()?[\s*(\[{\"'‘“`_]{0,9}"
_ENDS = r"(?![a-zA-Z]|['’][a-z])"
# As words: I think, a cell; a letter of another kind may be followed by any.
_NO_WORD = r"(?:(?<![AI])|(?=[^\w\s]|\s*(?:\n|$|[^\w\s]|(?:since|because|as|and|or)\b)))"
_LETTER = rf"([A-J]){_ENDS}{_NO_WORD}"
_SURE = r"(?:\s+(?:for\s+sure|definitely|clearly|probably|most\s+likely|indeed|therefore|I\s+(?:think|believe|guess)))?"
_STATEMENT = re.compile(
    rf"\banswer\s*(?:\([^()\n]{{0,20}}\)\s*)?(?:is|:|would\s+be|must\s+be|should\s+be)(?:\s+(?:option|choice|letter))?"
    rf"{_SURE}{_OPEN}(?-i:{_LETTER})|\banswer\s*(?:is|:)[\s:*$]*(?:\(([a-j])\)|([a-j])[.)]?[*$]*\s*?(?:\n|\Z))",
    re.IGNORECASE,
)
_WEAKER = (
    re.compile(rf"\A\s*{_OPEN}([A-J])(?:[\])]|[.:](?=\s|$)|\s*$|\n)|\A\s*\(?([a-j])[).]?\s*\Z"),
    re.compile(rf"\b(?i:option|choice)\s*{_OPEN}{_LETTER}"),
    re.compile(r"\(([A-J])\)"),
    re.compile(r"(?<![\w'’])([B-HJ])(?![\w'’])|(?<![\w'’])([AI])(?=[.):,]|\s*$)"),
)
_MORE = re.compile(r"[\s*$)\]}.]{0,4}(?:[,/&(\[]|,?\s?\b(?:and|or)\b(?:\s+maybe)?)[\s*$(\[{]{0,4}[A-J](?![\w'’])")
_DENIED = re.compile(
    r"(?:\b(?:not|cannot|(?:any|no|every)thing\s+but|all\s+but|than|nor|neither|never|except|unlikely|either)|n['’]t)"
    r"(?:\s+(?:to\s+)?be)?[\s\"'(*]*\Z|\b[A-J][)\]}*]{0,2}\s*(?:,?\s*or(?:\s+maybe)?|/)[\s\"'(*]*\Z",
    re.IGNORECASE,
)
_LISTED = re.compile(r"(?:^|[\s(])([A-J])[).:]", re.MULTILINE)  # options
_BOXES = re.compile(r"\}\s*(?:or|/)\s*\$?\\boxed")  # several, one of which is meant
_STATED = re.compile(r"answer(?:\s+is|:)\s*", re.IGNORECASE)


def chosen_letter(text: str, choices: Sequence[str] = (), settled: Settled = "last") -> str | None:
    """The letter that a response chooses, or None."""
    text = _spaced(unicodedata.normalize("NFKC", text[-TAIL:])).rpartition("</think>")[2]
    boxed = last_boxed(text)
    if boxed is not None and _BOXES.search(text):
        return None
    if boxed is not None:
        return stated_letter(boxed) or _by_text(boxed, choices)
    if stated := list(_STATEMENT.finditer(text)):
        single = [match for match in stated if not _MORE.match(text, match.end())]
        return _letter(single[0 if settled == "first" else -1]) if single else None
    if letter := _by_text(_STATED.split(text.strip().rpartition("\n")[2])[-1], choices):
        return letter
    if len(listed := "".join(_LISTED.findall(text))) > 2 and LETTERS.startswith(listed):
        return None
    denied: set[int] = set()
    for pattern in _WEAKER:
        found = list(pattern.finditer(text))
        denied |= {match.end(match.lastindex or 0) for match in found if _DENIED.search(text, 0, match.start())}
        letters = [_letter(match) for match in found if match.end(match.lastindex or 0) not in denied]
        if letters:
            return None if len(letters) > 2 and "".join(letters[-3:]) in LETTERS else letters[-1]
    return None


def _letter(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group).upper()


def _spaced(text: str) -> str:
    """With one space or line break for several."""
    return re.sub(r"\s+", lambda run: "\n" if "\n" in run[0] else " ", text)


def _by_text(answer: str, choices: Sequence[str]) -> str | None:
    """The letter of the one choice that `answer` repeats."""
    hits = [letter for letter, choice in zip(LETTERS, choices, strict=False) if same_text(answer, choice)]
    return hits[0] if len(hits) == 1 else None


class ChoiceReward(Reward):
    """1 where the chosen letter is the key's, else 0. Parts: `outcome`.

    Args:
        settled: which of several `answer is` counts: `last`, or `first`, which is MMLU-Pro's own protocol, for base
            models that run on into questions of their own making. A box goes before either.

    Raises:
        UsageError: when called, for a prompt whose answer is not a letter A–J.
    """

    range = (0.0, 1.0)

    def __init__(self, settled: Settled = "last") -> None:
        self.settled: Settled = settled

    def grade(self, prompt: Prompt, response: Response) -> Grade:
        """Grade one response."""
        key = prompt.answer.strip().strip("()").upper()
        if len(key) != 1 or key not in LETTERS:
            raise UsageError(
                f"answer={prompt.answer!r} of prompt {prompt.index} is not a letter A-J, as multiple choice needs; "
                "give the letter in the data set's answer column"
            )
        choices = prompt.metadata.get("choices") or ()
        outcome = float(chosen_letter(response.text, tuple(map(str, choices)), self.settled) == key)
        return Grade(outcome, {"outcome": outcome})

    def example(self, prompt: Prompt) -> str | None:
        """The key's letter in a box."""
        return rf"\boxed{{{prompt.answer}}}"
