"""The problems of a source: which of its rows are taken, and why the others are left out."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mentor_pl.problems.columns import Columns, Problem, Unusable, is_unanswered, problem_of
from mentor_pl.problems.filter_report import FilterReport
from mentor_pl.problems.overlap import NEAR, hashed, normalised, read_benchmarks
from mentor_pl.problems.sources import BadRow, SourceRow, read_rows, refuse
from mentor_pl.rewards.answers.lexer import same_text
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.progress import Progress, silent
from mentor_pl.runtime.ranges import check


@dataclass(frozen=True)
class Selection:
    """Which rows of a source become problems. The defaults take every row.

    Attributes:
        split: part of a data set that has parts.
        subset: configuration of a data set on the Hub, or folder inside a folder.
        columns: where a row holds what.
        levels: only problems of these levels; all by default.
        answered: leave out rows whose answer is absent, null or empty, which are bad rows otherwise.
        held_out: share of problems, chosen by a hash of their text, that are never trained on. A problem's side depends
            on nothing but its text, so it stays there when rows are added.
        side: `train`, or `held_out` for the others.
        duplicates: `drop` keeps the first of several rows with one problem (and the demonstrations of all), and none
            where their answers differ; `keep` only counts them.
        exclude: benchmarks (files, folders, Hub names) whose problems are left out.
        near: share of the shorter text's 13-grams from which a problem counts as a benchmark's; above 1 for equal
            texts alone.
        on_bad_row: `error` stops at a row that cannot be used, `skip` leaves it out and lists it.

    Raises:
        UsageError: for shares out of range.
    """

    split: str = "train"
    subset: str | None = None
    columns: Columns = field(default_factory=Columns)
    levels: Sequence[int] | None = None
    answered: bool = False
    held_out: float = 0.0
    side: Literal["train", "held_out"] = "train"
    duplicates: Literal["keep", "drop"] = "keep"
    exclude: Sequence[str] = ()
    near: float = NEAR
    on_bad_row: Literal["error", "skip"] = "error"

    def __post_init__(self) -> None:
        check("select held_out", self.held_out, at_least=0, below=1, because="it is a share of problems")
        if self.side == "held_out" and not self.held_out:
            raise UsageError("select side is held_out, but the share held_out is 0: give the share too")
        check("select near", self.near, above=0, because="it is a share of 13-grams", otherwise=f"such as {NEAR}")


def select_problems(
    sources: Sequence[str | Path], selection: Selection, filter_report: FilterReport, progress: Progress = silent
) -> list[Problem]:
    """The problems of one or more sources, in their order; what is left out goes to `report`.

    Args:
        sources: as `sources.read_rows` takes them.
        selection: which rows are taken.
        report: takes the counts.
        progress: called with the rows read so far.

    Raises:
        UsageError: for a source that cannot be read, for the first bad row unless they are skipped, and where nothing
            is left.
    """
    rows = (problem for source in sources for problem in _read_source(source, selection, filter_report, progress))
    problems = _without_repeats(list(_filtered(rows, selection, filter_report)), selection, filter_report)
    if selection.exclude:
        problems = list(_outside_benchmarks(problems, selection, filter_report))
    if not problems:
        raise UsageError(
            f"{'; '.join(filter_report.lines(', '.join(map(str, sources))))}: nothing is left: ask for less in select"
        )
    return problems


def _read_source(
    source: str | Path, selection: Selection, filter_report: FilterReport, progress: Progress
) -> Iterator[Problem]:
    def bad(row: BadRow) -> None:
        if selection.on_bad_row == "error":
            refuse(BadRow(row.place, f"{row.reason} (select.on_bad_row: skip leaves such rows out)"))
        filter_report.drop("bad row", "they cannot be used", row)

    def unreadable(row: BadRow) -> None:
        filter_report.read += 1
        bad(row)

    for row in read_rows(source, split=selection.split, subset=selection.subset, on_bad=unreadable):
        filter_report.read += 1
        progress(filter_report.read, None)
        if selection.answered and is_unanswered(row, selection.columns):
            filter_report.drop("unanswered", "they have no answer")
            continue
        try:
            yield problem_of(row, filter_report.read - 1, selection.columns)
        except Unusable as problem:
            bad(BadRow(row.place, str(problem)))


def rows_of(source: str | Path, selection: Selection, indices: Container[int]) -> Iterator[tuple[int, SourceRow]]:
    """The rows of a source that `select_problems` gave these indices, as they lie there.

    Raises:
        UsageError: for a source that cannot be read.
    """
    unreadable: list[BadRow] = []
    rows = read_rows(source, split=selection.split, subset=selection.subset, on_bad=unreadable.append)
    for number, row in enumerate(rows):
        if (index := number + len(unreadable)) in indices:
            yield index, row


def _filtered(problems: Iterable[Problem], selection: Selection, filter_report: FilterReport) -> Iterator[Problem]:
    levels = selection.levels
    for problem in problems:
        if levels is not None and problem.level not in levels:
            filter_report.drop("level", f"their level is not one of {', '.join(map(str, levels))}")
        elif selection.held_out and (hashed(problem.problem) < selection.held_out) != (selection.side == "held_out"):
            part = "training" if selection.side == "held_out" else "held-out"
            filter_report.drop("other side", f"they belong to the {part} part")
        else:
            yield problem


def _without_repeats(problems: Sequence[Problem], selection: Selection, filter_report: FilterReport) -> list[Problem]:
    """Each problem once, with the demonstrations of all its rows; choices are part of a problem."""
    rows: dict[str, list[Problem]] = {}
    for problem in problems:
        rows.setdefault(normalised(f"{problem.problem} {problem.metadata.get('choices', '')}"), []).append(problem)
    if selection.duplicates == "keep":
        filter_report.repeated = len(problems) - len(rows)
        return list(problems)
    kept = []
    for first, *others in rows.values():
        other = next((other for other in others if not same_text(first.answer, other.answer)), None)
        if other is None:
            demonstrations = dict.fromkeys(text for one in (first, *others) for text in one.demonstrations)
            kept.append(replace(first, demonstrations=tuple(demonstrations)))
            for _ in others:
                filter_report.drop("duplicate", "they repeat an earlier one")
        else:
            for one in (first, *others):
                reason = f"answered {first.answer!r:.40} at {first.place} and {other.answer!r:.40} at {other.place}"
                filter_report.drop(
                    "contradiction", "rows give one problem different answers", BadRow(one.place, reason)
                )
    return kept


def _outside_benchmarks(
    problems: Iterable[Problem], selection: Selection, filter_report: FilterReport
) -> Iterator[Problem]:
    benchmarks = read_benchmarks(selection.exclude)
    filter_report.compared = benchmarks.counts
    for problem in problems:
        overlap = benchmarks.find(problem.problem, selection.near)
        if overlap is None:
            yield problem
            continue
        filter_report.overlaps.append((problem, overlap))
        if overlap.same:
            row = BadRow(problem.place, f"the same text as {overlap.benchmark}")
            filter_report.drop("in a benchmark", "their text stands in a benchmark", row)
        else:
            row = BadRow(problem.place, f"{overlap.shared:.0%} of 13-grams shared with {overlap.benchmark}")
            filter_report.drop(
                "near a benchmark", f"they share {selection.near:.0%} of 13-grams or more with a benchmark", row
            )
