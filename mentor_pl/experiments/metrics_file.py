"""Reads what a run logged: its `metrics.csv`, and those of the runs it was resumed from."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from mentor_pl.runtime.errors import UsageError

Series = dict[int, float]  # step -> value


def read_metrics(folders: Sequence[str | Path]) -> dict[str, Series]:
    """Metric name -> its values by step, later folders overriding the steps they share with earlier ones.

    Raises:
        UsageError: where a folder has no metrics.
    """
    metrics: dict[str, Series] = {}
    for folder in folders:
        file = Path(folder) / "metrics.csv"
        if not file.is_file():
            raise UsageError(f"{file}: no such file: give a run folder that lightning's CSVLogger wrote")
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                for name, value in row.items():
                    if value and name not in ("step", "epoch"):
                        metrics.setdefault(name, {})[int(row["step"])] = float(value)
    return {name: dict(sorted(series.items())) for name, series in metrics.items()}


def until(series: Series, step: float) -> float:
    """The last value up to a step; 0 before the first."""
    return next((value for at, value in reversed(series.items()) if at <= step), 0.0)
