"""Findings, and how they are printed: grouped, each fine, a warning or a problem, with the remedy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from rich.console import Console
from rich.text import Text

_WIDTH, _MAX_WIDTH = 120, 140  # where the output is no terminal; of lines that can still be read


class Level(Enum):
    """How bad a finding is, as it is printed."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    DETAIL = ""


_MARK = 1 + max(len(level.value) for level in Level)
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red", Level.DETAIL: ""}


@dataclass(frozen=True)
class Finding:
    """One line of the report, and what to do about it."""

    level: Level
    text: str
    remedy: str = ""


def ok(text: str) -> Finding:
    """What is as it should be."""
    return Finding(Level.OK, text)


def warning(text: str, remedy: str = "") -> Finding:
    """What may be meant, and may be not."""
    return Finding(Level.WARNING, text, remedy)


def problem(text: str, remedy: str = "") -> Finding:
    """What stops a run, or makes it worthless."""
    return Finding(Level.PROBLEM, text, remedy)


def detail(text: str) -> Finding:
    """What belongs to the line before it."""
    return Finding(Level.DETAIL, text)


def size(count: float) -> str:
    """Bytes in a unit that leaves few digits: 1.5 GiB, 20.0 MiB."""
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"


class Report:
    """Prints groups as they come, and counts."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.console.width = min(self.console.width, _MAX_WIDTH) if self.console.is_terminal else _WIDTH
        self.counts: Counter[Level] = Counter()

    def group(self, title: str, findings: list[Finding]) -> None:
        """Print a group under its title."""
        self.counts.update(finding.level for finding in findings)
        self.console.print(Text(title, "bold"))
        for finding in findings:
            level = finding.level
            self._print(Text(f"  {level.value:<{_MARK}}", _STYLES[level]), Text(finding.text))
            if finding.remedy:
                self._print(Text(" " * (2 + _MARK) + "→ "), Text(finding.remedy, "bold"))
        self.console.print()

    def _print(self, mark: Text, text: Text) -> None:
        """`text` behind its mark, wrapped below itself; without spaces at the ends of lines."""
        for line in text.wrap(self.console, self.console.width - len(mark)):
            line.rstrip()
            self.console.print(Text.assemble(mark, line))
            mark = Text(" " * len(mark))

    def close(self, seconds: float) -> int:
        """Print the sum; the exit status, 1 where there are problems."""
        problems, warnings = self.counts[Level.PROBLEM], self.counts[Level.WARNING]
        verdict = (
            "all is fine" if not problems + warnings else f"{_many(problems, 'problem')}, {_many(warnings, 'warning')}"
        )
        self.console.print(Text(f"{verdict} ({seconds:.1f} s)", "bold red" if problems else "bold"))
        return int(problems > 0)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
