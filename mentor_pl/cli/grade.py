"""`mentor grade`: pairs of prediction and gold, or kept samples, graded with the code that grades a run's responses."""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mentor_pl.evaluation.labelled_pairs import Report, grade_pairs, read_pairs
from mentor_pl.rewards.base import Reward
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.pool.pool import WorkerError
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.printable import printable
from mentor_pl.runtime.progress import progress_bar

_WIDTH = 160  # of the tables where the output is no terminal
_SHOWN = 300  # characters of an answer


def grade(
    pairs: Path | None = None,
    samples: Path | None = None,
    reward: Reward | None = None,
    json: Path | None = None,
    workers: int = 2,
    timeout: float = 1.0,
) -> None:
    """Grade a file of pairs, or what `mentor validate` sampled; a model is needed for neither.

    Of pairs, counts, agreement with their labels and every disagreement are printed.

    Each line is one JSON object: `prediction` (a response, or an answer alone), `gold` and, where known, `correct`
    (the label, true or false), `kind` (reported apart; `multiple-choice` is graded by its letter, `answer` as an answer
    alone) and `choices` (the texts of A, B, …).

    Args:
        pairs: a file of JSON lines with `prediction`, `gold` and, where known, `correct`, `kind` and `choices`.
        samples: instead of pairs, a folder of samples such as runs/benchmarks/Qwen2.5-3B-1a2b3c4d, a model's, or one of
            its benchmarks'. They are graded in place, and the table with its intervals is printed and written anew.
        reward: grader of the samples; by default the one that graded them before, with the same settings,
            where it is one of this package that runs no code.
        json: also write the report to this file.
        workers: grading processes, for pairs.
        timeout: seconds of processor time that one pair may take; a pair over it is not accepted, and counted.

    Raises:
        UsageError: no file, one that cannot be read or written, or a bad line; the message names line and field.
    """
    if (pairs is None) == (samples is None):
        raise UsageError(
            "mentor grade needs a file of pairs or a folder of samples, not both: give --pairs FILE.jsonl, with "
            "prediction and gold a line, or --samples FOLDER, which mentor validate wrote"
        )
    if json is not None and not json.absolute().parent.is_dir():
        raise UsageError(f"json={str(json)!r}: there is no folder {json.parent} to write to; make it first")
    if samples is not None:
        _write(json, _grade_samples(samples, reward))
        return
    assert pairs is not None
    rows = read_pairs(pairs)
    if not rows:
        raise UsageError(f"{pairs} has no pairs: give at least one line with prediction and gold")
    reward, done = MathReward(workers=workers, timeout=timeout), 0

    with progress_bar(pairs.name) as progress:

        def graded() -> None:
            nonlocal done
            done += 1
            progress(done, len(rows))

        try:
            report = grade_pairs(rows, reward, graded)
        except WorkerError as error:
            raise UsageError(f"{pairs} cannot be graded here: {error}") from None
        finally:
            reward.close()
    _print(report, pairs)
    _write(json, report.as_dict())


def _write(json: Path | None, report: Mapping[str, Any]) -> None:
    if json is not None:
        try:
            json.write_text(json_format.dumps(report, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"json={str(json)!r} cannot be written ({error}); name another file") from None


def _grade_samples(samples: Path, reward: Reward | None) -> Mapping[str, Any]:
    """Grade a folder of samples and print its table."""
    from mentor_pl.evaluation.regrade import regrade
    from mentor_pl.evaluation.table import to_markdown  # they bring in much that pairs do not need

    try:
        summary, changes = regrade(samples, reward)
    except WorkerError as error:
        raise UsageError(f"{samples} cannot be graded here: {error}") from None
    table = printable(to_markdown(summary), keep="\n")
    print(f"\n{table}\n{changes} responses changed between right and wrong; results: {samples}")
    return summary


def _print(report: Report, path: Path) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    table = Table(title=_printable(str(path)), title_justify="left")
    table.add_column("kind")
    for name in ("pairs", "accepted", "overran", "labelled", "agreement", "wrongly accepted", "wrongly rejected"):
        table.add_column(name, justify="right")
    for name, part in [*report.kinds().items(), ("all", report)]:
        false = sum(verdict.accepted for verdict in part.disagreements)
        cells = (len(part.verdicts), sum(v.accepted for v in part.verdicts), sum(v.failed for v in part.verdicts))
        agreement = f"{100 * part.agreement:.2f} %" if part.labelled else "-"
        labels = (str(part.labelled), agreement, str(false), str(len(part.disagreements) - false))
        table.add_row(_printable(name), *map(str, cells), *labels)
    console.print(table)
    if not report.disagreements:
        return
    listed = Table(title="disagreements", title_justify="left", show_lines=True)
    for name in ("line", "graded", "label", "answer", "gold"):
        listed.add_column(name, justify="right" if name == "line" else "left", overflow="fold")
    for verdict in report.disagreements:
        graded = "overran" if verdict.failed else "right" if verdict.accepted else "wrong"
        label = "right" if verdict.correct else "wrong"
        answers = (_printable(text) if text else Text("none", style="dim") for text in (verdict.answer, verdict.gold))
        listed.add_row(str(verdict.line), graded, label, *answers)
    console.print(listed)


def _printable(text: str) -> Text:
    """Text as a terminal can show it, cut to `_SHOWN`, no markup."""
    return Text(printable(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else ""))
