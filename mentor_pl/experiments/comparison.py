"""Methods side by side: a table of mean ± standard error over seeds with every seed listed, and curves with a band."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from mentor_pl.experiments.curves import RUN_COLOURS
from mentor_pl.experiments.metrics_file import Series, read_metrics


@dataclass(frozen=True)
class Run:
    """One finished run of a method.

    Attributes:
        method: name of its configuration.
        seed: its `seed_everything`.
        seconds: wall time of the whole command.
        metrics: what it logged.
    """

    method: str
    seed: int
    seconds: float
    metrics: Mapping[str, Series]

    def last(self, metric: str) -> float:
        """The last value of a metric; NaN where the run has none."""
        series = self.metrics.get(metric)
        return next(reversed(series.values())) if series else math.nan

    def total(self, metric: str) -> float:
        """The sum of a metric over steps."""
        return sum(self.metrics.get(metric, {}).values())


def read_run(folder: Path, method: str, seed: int, seconds: float) -> Run:
    """The run that logged into `folder`.

    Raises:
        UsageError: where it logged nothing.
    """
    return Run(method, seed, seconds, read_metrics([folder]))


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error of the mean; the error of a single value is NaN."""
    if len(values) < 2:
        return values[0], math.nan
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def comparison_table(runs: Sequence[Run], metrics: Sequence[str]) -> str:
    """A Markdown table: one row per seed and method, then one of mean ± standard error per method.

    Args:
        runs: finished runs of several methods and seeds.
        metrics: names; the last value of each is shown.
    """
    columns = ["method", "seed", *metrics, "response tokens", "seconds"]
    rows = []
    for method in dict.fromkeys(run.method for run in runs):
        chosen = sorted((run for run in runs if run.method == method), key=lambda run: run.seed)
        values = [[run.last(m) for m in metrics] + [run.total("train/response_tokens"), run.seconds] for run in chosen]
        rows += [[method, str(run.seed), *_row_cells(row)] for run, row in zip(chosen, values, strict=True)]
        summary = [mean_and_error(column) for column in zip(*values, strict=True)]
        rows.append(
            [f"**{method}**", "mean ± s.e.", *(f"{_cell(m)} ± {_cell(e)}" for m, e in summary)],
        )
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def progress_table(runs: Sequence[Run], metrics: Sequence[str]) -> str:
    """A Markdown table: mean ± standard error over seeds at every step that all runs of a method measured.

    Args:
        runs: finished runs of several methods and seeds.
        metrics: names of metrics that are measured now and then, on the same steps.
    """
    rows = []
    steps: list[int] = []
    for metric in metrics:
        for method in dict.fromkeys(run.method for run in runs):
            series = [run.metrics.get(metric, {}) for run in runs if run.method == method]
            steps = sorted(set.intersection(*(set(s) for s in series)))
            summary = [mean_and_error([s[step] for s in series]) for step in steps]
            rows.append([metric, method, *(f"{_cell(mean)} ± {_cell(error)}" for mean, error in summary)])
    lines = [["metric", "method", *(f"step {step}" for step in steps)], ["---"] * (len(steps) + 2), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _row_cells(values: Sequence[float]) -> list[str]:
    return [_cell(value) for value in values]


def _cell(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 20 else f"{value:.3f}"


def draw_comparison(runs: Sequence[Run], panels: Mapping[str, str]) -> Figure:
    """Mean over seeds with a band of one standard error, a panel per metric and a colour per method.

    Args:
        runs: finished runs.
        panels: metric -> title.
    """
    rows = math.ceil(len(panels) / 2)
    figure = Figure(figsize=(10, 3.2 * rows), layout="constrained")
    methods = list(dict.fromkeys(run.method for run in runs))
    for axes, (metric, title) in zip(figure.subplots(rows, 2, squeeze=False).flat, panels.items(), strict=False):
        for method, colour in zip(methods, RUN_COLOURS, strict=False):
            series = [run.metrics.get(metric, {}) for run in runs if run.method == method]
            steps = sorted(set.intersection(*(set(s) for s in series)))
            if not steps:
                continue
            points = [mean_and_error([s[step] for s in series]) for step in steps]
            means, errors = [m for m, _ in points], [0 if math.isnan(e) else e for _, e in points]
            axes.plot(steps, means, color=colour, label=f"{method} ({len(series)} seeds)")
            low, high = ([m + sign * e for m, e in zip(means, errors, strict=True)] for sign in (-1, 1))
            axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(fontsize=8, frameon=False)
    return figure
