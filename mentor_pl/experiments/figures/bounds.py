"""The figure of criteria: the curve of every seed, the worst one thick, and each seed's value beside the bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mentor_pl.experiments.design.design import ALL
from mentor_pl.experiments.design.outcome import CELL
from mentor_pl.experiments.figures.drawing import Drawing
from mentor_pl.experiments.statistics.criteria import Judged, judge_criteria

_BOUND, _BEYOND = "#222222", "#d55e00"


def draw_criteria(drawing: Drawing) -> Figure | str:
    """A row for each criterion in each setting: curves on the left, values on the right."""
    judged = [one for one in judge_criteria(drawing.design, drawing.results) if one.values]
    if not judged:
        return "no run has what a criterion is about"
    figure = Figure(figsize=(9.5, 2.9 * len(judged)), layout="constrained")
    for one, (curves, points) in zip(judged, figure.subplots(len(judged), 2, squeeze=False), strict=True):
        _draw_values(one, points)
        where = one.criterion.method if one.setting == ALL else f"{one.criterion.method}  [{one.setting}]"
        points.set_title(f"{where}: {one.answer}\n{one.criterion.outcome.name}", fontsize=9)
        if one.criterion.metric.startswith(CELL):  # which has no curve
            curves.set_axis_off()
        else:
            _draw_curves(drawing, one, curves)
            curves.set_title(where, fontsize=9)
    return figure


def _draw_curves(drawing: Drawing, one: Judged, axes: Axes) -> None:
    """Of a fall, what the worst seed must not go below: the best before less the bound."""
    for result in drawing.results:
        if (result.cell.method, result.cell.setting) != (one.criterion.method, one.setting):
            continue
        series = result.metrics.get(one.criterion.metric, {})
        worst = result.cell.seed == one.worst
        look: dict[str, Any] = {"color": drawing.colour(one.criterion.method), "linewidth": 2.0 if worst else 0.8}
        axes.plot(
            list(series), list(series.values()), alpha=1.0 if worst else 0.4,
            label=f"seed {one.worst}, the worst" if worst else None, zorder=3 if worst else 2, **look,
        )  # fmt: skip
        if worst and one.criterion.summary == "fall":
            floor = [best - one.criterion.at_most for best in accumulate(series.values(), max)]
            label = f"best before less {one.criterion.at_most:g}"
            axes.plot(list(series), floor, "--", color=_BOUND, linewidth=1.0, label=label)
    if one.criterion.summary == "last":
        _draw_bounds(one, axes.axhline)
    axes.set_xlabel("step")
    axes.set_ylabel(one.criterion.metric, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_values(one: Judged, axes: Axes) -> None:
    """Every seed as a point on a line of its own, those beyond the bound in a colour of their own."""
    seeds = list(one.values)
    colours = [_BEYOND if seed in one.beyond else "#888888" for seed in seeds]
    axes.scatter(list(one.values.values()), range(len(seeds)), s=22, color=colours)
    _draw_bounds(one, axes.axvline)
    axes.set_yticks(range(len(seeds)), [f"seed {seed}" for seed in seeds], fontsize=7)
    axes.set_ylim(len(seeds) - 0.4, -0.6)
    axes.margins(x=0.1)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_bounds(one: Judged, line: Callable[..., Any]) -> None:
    for bound in (one.criterion.at_most, one.criterion.at_least):
        if math.isfinite(bound):
            line(bound, linestyle="--", color=_BOUND, linewidth=1.0)
