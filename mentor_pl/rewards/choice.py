r"""Multiple choice: the letter that a response settles on, A–J, against the letter of the key.

The letter is looked for in this order:

    the last \boxed{}
    `answer is (C)`, `Answer: C`: the first, which is MMLU-Pro's own protocol, since base models run on into questions
        of their own making; or the last, as an argument says
    `C.` or `(C)` at the very beginning
    the last `option C` or `choice C`
    the last letter alone, in brackets or with a full stop

Small letters count in a box, or where nothing follows them: `answer: c`. Where the prompt's metadata has `choices`, a
box or an `answer is` of the last line that repeats one choice's text counts as that choice. Scanning is linear in the
last 4,000 characters, so nothing needs a worker.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from mentor_pl.rewards.answers.extract import TAIL, last_boxed
from mentor_pl.rewards.answers.text import same_text
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

Settled = Literal["first", "last"]
LETTERS = "ABCDEFGHIJ"

# Repeats are bounded: two unbounded ones side by side would take quadratic time on a run of what they share.
_OPEN = r"[\s:*$]{0,9}(?:\\(?:text|mathrm|mathbf|textbf|boxed)\s?\{|\\\()?[\s*(\[{\"'‘“`]{0,9}"
_ENDS = r"(?![a-zA-Z]|['’][a-z]|\s+(?:think|believe|guess|would|am|have|will|can)\b)"  # I think, I'd
_BOXED = re.compile(
    rf"{_OPEN}(?:(?:option|choice|answer)\b{_OPEN}[}}]?{_OPEN})?([A-J]){_ENDS}(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE,
)
_ORDERED = (
    re.compile(rf"\banswer\s*(?:\([^()\n]{{0,20}}\)\s*)?(?:is|:|would\s+be|must\s+be|should\s+be)"
               rf"(?:\s+(?:option|choice|letter))?{_OPEN}([A-J]){_ENDS}", re.IGNORECASE),
    re.compile(r"\banswer\s*(?:is|:)[\s:*$]*(?:\(([a-j])\)|([a-j])[.)]?[*$]*\s*?(?:\n|\Z))", re.IGNORECASE),
    re.compile(rf"\A\s*{_OPEN}([A-J])(?:[\])]|[.:](?=\s|$)|\s*$|\n)"),
    re.compile(rf"\b(?:option|choice)\s*{_OPEN}([A-J]){_ENDS}", re.IGNORECASE),
    re.compile(r"\(([A-J])\)"),
    re.compile(r"(?<![\w'’])([B-HJ])(?![\w'’])|(?<![\w'’])([AI])(?=[.):,]|\s*$)"),
)  # fmt: skip
_STATED = re.compile(r"answer(?:\s+is|:)\s*", re.IGNORECASE)
_LOWER = 1  # the pattern that takes small letters too, since nothing but the letter follows


def chosen_letter(text: str, choices: Sequence[str] = (), settled: Settled = "first") -> str | None:
    """The letter that a response chooses, or None."""
    text = _spaced(text[-TAIL:])
    boxed = last_boxed(text)
    if boxed is not None:
        match = _BOXED.fullmatch(boxed)
        alone = match is not None and not re.search(r"\w", match["rest"])
        if match and (match[1].isupper() or alone) and not re.match(r"\s*[-+*/^=_]", match["rest"]):
            return match[1].upper()
        return _by_text(boxed, choices)
    for rank, pattern in enumerate(_ORDERED):
        letters = [next(group for group in match.groups() if group) for match in pattern.finditer(text)]
        letters = [letter.upper() for letter in letters if letter.isupper() or rank == _LOWER]
        if letters:
            return letters[0 if rank <= _LOWER and settled == "first" else -1]
        if rank == _LOWER and (letter := _by_text(_STATED.split(text.strip().rpartition("\n")[2])[-1], choices)):
            return letter
    return None


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
        settled: which of several `answer is` counts, `first` or `last`. A box goes before either.

    Raises:
        UsageError: when called, for a prompt whose answer is not a letter A–J.
    """

    range = (0.0, 1.0)

    def __init__(self, settled: Settled = "first") -> None:
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
