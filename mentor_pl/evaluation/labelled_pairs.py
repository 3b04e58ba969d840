"""Grading pairs of prediction and gold from anywhere, with the code that grades a run's responses.

A pair is a mapping with `prediction` and `gold` and, where known, `correct`, `kind` and `choices`. A pair whose kind
says multiple choice, or that has choices, is graded by its letter; any other by `MathReward`. A prediction may be a
whole response, whose answer is looked for as `MathReward(answer_in="anywhere")` does; where none is marked in it, or
where its kind is `answer`, it is the answer itself. A gold may be a worked solution that ends in its answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mentor_pl.rewards.answers.extract import TAIL, final_answer, last_boxed
from mentor_pl.rewards.answers.letters import LETTERS
from mentor_pl.rewards.answers.lexer import MAX_ANSWER, same_text
from mentor_pl.rewards.choice import chosen_letter
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.pool.pool import Failure
from mentor_pl.runtime.errors import UsageError

_FORMULA = re.compile(r"\$[^$]*\$|\\\(.*?\\\)|\\\[.*?\\\]", re.DOTALL)
_WORKED = 8  # words beside formulas from which a gold is a worked solution, not an answer


@dataclass(frozen=True)
class GradedPair:
    """One graded pair."""

    index: int  # place in the file, from 0
    answer: str  # what was taken from the prediction
    gold: str  # what was taken from the gold
    accepted: bool
    failed: bool  # over its deadline or its memory
    correct: bool | None  # the label, where there is one
    kind: str = ""
    line: int = 0  # of the file, from 1; 0 where the pair was not read from one

    @property
    def agrees(self) -> bool | None:
        """Whether the grade is the label; None without a label."""
        return None if self.correct is None else self.accepted == self.correct


@dataclass(frozen=True)
class Report:
    """The verdicts on a file of pairs, in its order."""

    verdicts: Sequence[GradedPair]

    @property
    def labelled(self) -> int:
        """How many pairs carry a label."""
        return sum(verdict.correct is not None for verdict in self.verdicts)

    @property
    def disagreements(self) -> list[GradedPair]:
        """Pairs whose grade is not their label."""
        return [verdict for verdict in self.verdicts if verdict.agrees is False]

    @property
    def agreement(self) -> float:
        """Share of labelled pairs graded as labelled; nan without labels."""
        return 1 - len(self.disagreements) / self.labelled if self.labelled else float("nan")

    def kinds(self) -> dict[str, Report]:
        """A report for each kind, in the order in which they first occur; empty where no pair has one."""
        names = dict.fromkeys(verdict.kind for verdict in self.verdicts)
        if set(names) <= {""}:
            return {}
        return {name: Report([verdict for verdict in self.verdicts if verdict.kind == name]) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """Counts, agreement and every disagreement, for JSON; agreement is null without labels."""
        return {
            "pairs": len(self.verdicts),
            "accepted": sum(verdict.accepted for verdict in self.verdicts),
            "failed": sum(verdict.failed for verdict in self.verdicts),
            "labelled": self.labelled,
            "agreement": self.agreement if self.labelled else None,
            "kinds": {
                kind: {"pairs": len(part.verdicts), "agreement": part.agreement if part.labelled else None}
                for kind, part in self.kinds().items()
            },
            "disagreements": [
                {name: value for name, value in asdict(verdict).items() if name != "failed"}
                for verdict in self.disagreements
            ],
        }


def read_pairs(path: str | Path) -> list[dict[str, Any]]:
    """The pairs of a JSON-lines file, each with its `line`.

    Raises:
        UsageError: the file cannot be read, or a line is not a pair; the message names file, line and field.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as UTF-8 text ({error}); give a file of JSON lines") from None
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {number} is not JSON ({error}); write one object per line") from None
        if not isinstance(row, dict):
            raise UsageError(f"{path}, line {number} is not an object; write one object per line")
        for field, (wanted, fits) in _FIELDS.items():
            if not fits(row.get(field)):
                shown = f"is {row[field]!r:.60}" if field in row else "is missing"
                raise UsageError(f"{path}, line {number}: {field} {shown}; it must be {wanted}")
        pairs.append(row | {"line": number})
    return pairs


_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "prediction": ("a string", lambda value: isinstance(value, str)),
    "gold": (
        "a string or a number",
        lambda value: isinstance(value, str | int | float) and not isinstance(value, bool),
    ),
    "correct": ("true, false or absent", lambda value: value is None or isinstance(value, bool)),
    "kind": ("a string or absent", lambda value: value is None or isinstance(value, str)),
    "choices": ("a list or absent", lambda value: value is None or isinstance(value, list)),
}


def grade_pairs(
    pairs: Iterable[Mapping[str, Any]], reward: MathReward | None = None, graded: Callable[[], None] | None = None
) -> Report:
    """Grade pairs, in their order.

    Args:
        pairs: what to grade.
        reward: brings the conventions and the workers; by default `MathReward()`.
        graded: called after each pair.
    """
    own = MathReward() if reward is None else reward
    try:
        pending: list[tuple[Mapping[str, Any], str, str, Future[Any] | None]] = []
        for pair in pairs:
            prediction, gold = pair["prediction"], str(pair["gold"])
            if _is_choice(pair):
                letter = chosen_letter(prediction, tuple(map(str, pair.get("choices") or ())), "first")
                pending.append((pair, letter or "", gold.strip().strip("()"), None))
            else:
                answer, reference = taken_answer(prediction, str(pair.get("kind") or "")), taken_gold(gold)
                settled = len(answer) > MAX_ANSWER or same_text(answer, reference)
                request = own.conventions.request(answer, reference)
                future = None if settled else own.pool.submit(request)
                pending.append((pair, answer, reference, future))
        verdicts = []
        for index, (pair, answer, reference, future) in enumerate(pending):
            result = None if future is None else future.result()
            accepted = result is True if future is not None else _equal(pair, answer, reference)
            failed, kind, line = isinstance(result, Failure), pair.get("kind") or "", pair.get("line", 0)
            verdicts.append(GradedPair(index, answer, reference, accepted, failed, pair.get("correct"), kind, line))
            if graded is not None:
                graded()
        return Report(verdicts)
    finally:
        if reward is None:
            own.close()


def _equal(pair: Mapping[str, Any], answer: str, reference: str) -> bool:
    return answer == reference.upper() if _is_choice(pair) else same_text(answer, reference)


def _is_choice(pair: Mapping[str, Any]) -> bool:
    """Whether a pair is multiple choice: its kind says so, or it has choices and a letter for gold."""
    letter = str(pair["gold"]).strip().strip("()").upper()
    asked = "multiple-choice" in str(pair.get("kind") or "").replace(" ", "-") or bool(pair.get("choices"))
    return asked and len(letter) == 1 and letter in LETTERS


def taken_answer(prediction: str, kind: str = "") -> str:
    """The answer of a prediction: what it boxes or marks, or all of it."""
    if kind == "answer" and last_boxed(prediction) is None:
        return prediction
    return final_answer(prediction) or prediction


def taken_gold(gold: str) -> str:
    """The answer of a gold: what it boxes, what a worked solution ends in, or all of it."""
    boxed = last_boxed(gold)
    if boxed is not None:
        return boxed
    tail = gold[-TAIL:]
    beside = _FORMULA.sub(" ", tail)
    worked = beside != tail and len(re.findall(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}", beside)) >= _WORKED
    return (final_answer(gold) if worked else None) or gold
