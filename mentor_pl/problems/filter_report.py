"""A count of the rows that were read, and of those left out, by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mentor_pl.problems.columns import Problem
from mentor_pl.problems.overlap import Overlap
from mentor_pl.problems.sources import BadRow


@dataclass
class FilterReport:
    """What was read, what was left out and why.

    Attributes:
        read: rows of the source, bad ones included.
        counts: reason -> rows left out for it; a row counts once, for the first reason met.
        sentences: reason -> the same as the end of a sentence, "… left out, their level is not one of 3, 4, 5".
        listed: reason -> the rows a user may want to look at: bad ones, contradictory ones, those in a benchmark.
        overlaps: those in or near a benchmark, with the benchmark's problem.
        compared: benchmark's file -> its problems that were compared with.
        repeated: rows kept although they repeat an earlier problem.
        levels: level -> prompts kept; None where a row names none.
    """

    read: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    sentences: dict[str, str] = field(default_factory=dict)
    listed: dict[str, list[BadRow]] = field(default_factory=dict)
    overlaps: list[tuple[Problem, Overlap]] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    levels: Counter[int | None] = field(default_factory=Counter)

    def drop(self, reason: str, sentence: str, row: BadRow | None = None) -> None:
        """Count a row that is left out, and list it if it is given."""
        self.counts[reason] += 1
        self.sentences[reason] = sentence
        if row is not None:
            self.listed.setdefault(reason, []).append(row)

    def lines(self, source: str | Path) -> list[str]:
        """One line per reason."""
        lines = []
        for reason, count in self.counts.items():
            first = self.listed.get(reason, [])[:2]
            examples = "".join(f"; {row.place}: {row.reason}" for row in first)
            more = f"; and {count - len(first)} more" if first and count > len(first) else ""
            lines.append(
                f"{source}: {count} of {self.read} problems left out, {self.sentences[reason]}{examples}{more}"
            )
        if self.repeated:
            lines.append(
                f"{source}: {self.repeated} of {self.read} problems repeat an earlier one and are kept; "
                "select.duplicates: drop leaves them out"
            )
        return lines
