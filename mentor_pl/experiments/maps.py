"""Where which method is better: heat-maps over two grids of a design.

differences    per method its mean difference from the baseline, paired by seed
winners        the method with the best mean, beside the second; tied where the 95 % interval of their paired
               difference includes 0, or there is a single seed

The first two grids with several values are the dials; each combination of further ones has a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mentor_pl.experiments.drawing import Drawing
from mentor_pl.experiments.results import values
from mentor_pl.experiments.statistics import Paired, compare

_COLOURS = "PuOr_r"  # diverging, and told apart without red and green
_CELL = (1.25, 0.72)  # inches


def draw_differences(drawing: Drawing) -> Figure | str:
    """Per method its mean difference from the baseline over the two dials."""
    others = [method for method in drawing.methods if method != drawing.design.baseline]
    found = {
        (method, setting): pair.mean
        for method in others
        for setting in drawing.settings
        if (pair := _against(drawing, method, drawing.design.baseline, setting)) is not None
    }
    if not found:
        return "no seed has a finished run of a method and of the baseline"
    figure, panels = _panels(drawing, others)
    span = max(0.01, *map(abs, found.values()))
    for method, cells, axes in panels:
        heights = np.array([[found.get((method, setting), np.nan) for setting in row] for row in cells])
        image = axes.imshow(heights, cmap=_COLOURS, norm=TwoSlopeNorm(0.0, -span, span), aspect="auto")
        for y, x in np.argwhere(np.isfinite(heights)):
            dark = abs(heights[y, x]) > 0.6 * span
            axes.text(x, y, f"{heights[y, x]:+.3f}", ha="center", va="center", color="white" if dark else "black")
    figure.colorbar(image, ax=figure.axes, label=f"{drawing.design.primary.metric}\nless {drawing.design.baseline}'s")
    return figure


def draw_winners(drawing: Drawing) -> Figure | str:
    """The method with the best mean over the two dials."""
    figure, panels = _panels(drawing, ["best mean"])
    for _, cells, axes in panels:
        colours = np.ones((len(cells), len(cells[0]), 4))  # [Y, X, RGBA]
        for y, row in enumerate(cells):
            for x, setting in enumerate(row):
                ranked = ranking(drawing, setting)
                if ranked:
                    colours[y, x] = to_rgba(drawing.colour(ranked[0][0]), 0.45)
                    axes.text(x, y, _words(drawing, setting, ranked), ha="center", va="center", fontsize=8)
        axes.imshow(colours, aspect="auto")
    known = [Patch(color=to_rgba(drawing.colour(method), 0.45), label=method) for method in drawing.methods]
    figure.legend(handles=known, loc="outside right upper", fontsize=8, frameon=False)
    return figure


def ranking(drawing: Drawing, setting: str) -> list[tuple[str, float]]:
    """(method, mean) of a setting, the best first; less is better where all claims of the design say so."""
    found = {method: values(drawing.results, method, setting, drawing.design.primary) for method in drawing.methods}
    means = [(method, fmean(seeds.values())) for method, seeds in found.items() if seeds]
    less = all(claim.direction == "less" for claim in drawing.design.comparisons)
    return sorted(means, key=lambda one: one[1], reverse=not less)


def tied(drawing: Drawing, setting: str, first: str, second: str) -> bool:
    """Whether the seeds do not tell two methods apart."""
    pair = _against(drawing, first, second, setting)
    return pair is None or not (pair.interval[0] > 0 or pair.interval[1] < 0)  # so is a NaN


def _words(drawing: Drawing, setting: str, ranked: Sequence[tuple[str, float]]) -> str:
    lines = [f"{method} {mean:.3f}" for method, mean in ranked[:2]]
    if len(lines) < 2:
        return lines[0]
    return f"{lines[0]}\n{'=' if tied(drawing, setting, ranked[0][0], ranked[1][0]) else '>'} {lines[1]}"


def _against(drawing: Drawing, ours: str, theirs: str, setting: str) -> Paired | None:
    one, other = (values(drawing.results, method, setting, drawing.design.primary) for method in (ours, theirs))
    return compare(one, other)


def _panels(drawing: Drawing, columns: Sequence[str]) -> tuple[Figure, Iterator[tuple[str, list[list[str]], Axes]]]:
    """A panel for each column and combination of further grids: (column, settings [Y, X], axes)."""
    across, down, *further = drawing.dials()
    labels = {grid: [one.label for one in drawing.design.settings[grid]] for grid in (across, down)}
    rows: dict[str, dict[tuple[str, str], str]] = {}
    for setting, chosen in drawing.design.choices().items():
        rest = ", ".join(f"{grid}={chosen[grid].label}" for grid in further)
        rows.setdefault(rest, {})[chosen[down].label, chosen[across].label] = setting
    width, height = (_CELL[0] * len(labels[across]) + 0.9, _CELL[1] * len(labels[down]) + 0.9)
    figure = Figure(figsize=(width * len(columns) + 1.6, height * len(rows) + 0.2), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)

    def each() -> Iterator[tuple[str, list[list[str]], Axes]]:
        for (rest, cells), line in zip(rows.items(), grid, strict=True):
            for column, axes in zip(columns, line, strict=True):
                axes.set_title(f"{column}  [{rest}]" if rest else column, fontsize=10)
                axes.set_xticks(range(len(labels[across])), labels[across])
                axes.set_yticks(range(len(labels[down])), labels[down])
                axes.set_xlabel(across)
                axes.set_ylabel(down)
                yield column, [[cells[y, x] for x in labels[across]] for y in labels[down]], axes

    return figure, each()
