"""What the benchmarks share: figures with their bars, the machine they hold for, the table, `--json` and `--check`."""

from __future__ import annotations

import argparse
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from mentor_pl.runtime.machine import cores, processor


@dataclass(frozen=True)
class Figure:
    """One measured number, and the bar that it must reach where there is one.

    Attributes:
        name: what was measured; unique in a report.
        value: the number in `unit`; none where it could not be measured.
        unit: of value and bar; empty for a ratio.
        bar: what `--check` asks for; none for a figure that only informs.
        sense: the side of the bar that is good; the bar itself is.
        detail: what the number is made of, such as the rounds behind a median.
    """

    name: str
    value: float | None
    unit: str = ""
    bar: float | None = None
    sense: Literal["at least", "at most"] = "at least"
    detail: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the bar is reached; none without a bar. What was not measured, or is no number, does not reach it."""
        if self.bar is None:
            return None
        if self.value is None:
            return False
        return self.value >= self.bar if self.sense == "at least" else self.value <= self.bar

    @property
    def shown(self) -> str:
        return "not measured" if self.value is None else f"{_short(self.value)} {self.unit}".strip()

    @property
    def shown_bar(self) -> str:
        return "" if self.bar is None else f"{self.sense} {_short(self.bar)} {self.unit}".strip()


def _short(value: float) -> str:
    """Three figures that count, and all of those before the point."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """The options `--json` and `--check`."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to FILE")
    parser.add_argument("--check", action="store_true", help="exit with status 1, naming each figure below its bar")


def machine(device: str = "cpu") -> dict[str, Any]:
    """What the figures hold for: processor, cores and threads of this process, versions, date, GPU if used."""
    settings = {
        "processor": processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": date.today().isoformat(),
    }
    if device.startswith("cuda"):
        settings["gpu"] = torch.cuda.get_device_name(device)
    return settings


def finish(
    title: str,
    figures: Sequence[Figure],
    settings: Mapping[str, Any],
    options: argparse.Namespace,
    notes: Sequence[str],
) -> int:
    """Print the table, write `--json`, and give the exit status that `--check` asks for.

    Args:
        title: of the table.
        figures: in the order they are shown.
        settings: of the machine and the run, name -> value.
        options: with `json` and `check`, from `add_report_options`.
        notes: lines below the table: what the reader must know to judge the figures.
    """
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file needs no line breaks
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for column in ("figure", "value", "bar", "", "detail"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for figure in figures:
        mark = {True: "ok", False: "BELOW", None: ""}[figure.passed]
        table.add_row(figure.name, figure.shown, figure.shown_bar, mark, figure.detail)
    console.print(table)
    for line in [*notes, ", ".join(f"{name} {value}" for name, value in settings.items())]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if options.json:
        write(options.json, title, figures, settings, notes)
    return check(figures) if options.check else 0


def write(path: Path, title: str, figures: Sequence[Figure], settings: Mapping[str, Any], notes: Sequence[str]) -> None:
    """What `--json` asks for."""
    rows = [asdict(figure) | {"passed": figure.passed} for figure in figures]
    report = {"title": title, "settings": dict(settings), "notes": list(notes), "figures": rows}
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with each block between its marks, `<!-- name -->` and `<!-- end -->`.

    Raises:
        ValueError: for a block that the page has no marks for.
    """
    for name, text in blocks.items():
        pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, count = pattern.subn(lambda found, text=text: found[1] + text + found[2], page)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the page has {count} places for {name}: mark one with <!-- {name} --> and <!-- end -->")
    return page


def check(figures: Sequence[Figure]) -> int:
    """1 and a line on standard output for each figure below its bar; 0 where there is none."""
    below = [figure for figure in figures if figure.passed is False]
    for figure in below:
        print(f"below its bar: {figure.name} is {figure.shown}, must be {figure.shown_bar}")
    return 1 if below else 0
