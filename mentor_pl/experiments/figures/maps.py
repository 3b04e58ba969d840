"""Where which method is better: heat-maps over two grids of a design.

differences    per method its mean difference from the baseline, paired by seed
winners        the method with the best mean, beside the second; tied where the 95 % interval of their paired
               difference includes 0, or there is a single seed

The first two grids with several values are the dials; each combination of further ones has a row of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from mentor_pl.experiments.figures.drawing import Drawing
from mentor_pl.experiments.runner.results import values
from mentor_pl.experiments.statistics.statistics import Paired, compare

_COLOURS = "PuOr_r"  # diverging, and told apart without red and green
_ACROSS = 3  # panels beside one another
_LETTER, _LINE = 0.072, 0.72  # inches of a letter, and of a cell's height


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
    figure, panels = _panels(drawing, others, letters=9)
    span = max(0.01, *map(abs, found.values()))
    for method, cells, axes in panels:
        heights = np.array([[found.get((method, setting), np.nan) for setting in row] for row in cells])
        image = axes.imshow(heights, cmap=_COLOURS, norm=TwoSlopeNorm(0.0, -span, span), aspect="auto")
        for y, x in np.argwhere(np.isfinite(heights)):
            dark = abs(heights[y, x]) > 0.72 * span
            words = f"{round(heights[y, x], 3) + 0.0:+.3f}".replace("-", "−")
            axes.text(x, y, words, ha="center", va="center", fontsize=9, color="white" if dark else "black")
    words = f"{drawing.design.primary.metric}, less that of {drawing.design.baseline}"
    figure.colorbar(image, ax=figure.axes, label=words, shrink=0.8)
    return figure


def draw_winners(drawing: Drawing) -> Figure | str:
    """The method with the best mean over the two dials."""
    longest = max(map(len, drawing.methods))
    figure, panels = _panels(drawing, ["best mean"], letters=longest + 10)
    for _, cells, axes in panels:
        colours = np.ones((len(cells), len(cells[0]), 4))  # [Y, X, RGBA]
        for y, row in enumerate(cells):
            for x, setting in enumerate(row):
                ranked = ranking(drawing, setting)
                if not ranked:
                    continue
                colours[y, x] = to_rgba(drawing.colour(ranked[0][0]), 0.45)
                lines = [f"{sign}{method} {mean:.3f}" for sign, (method, mean) in zip(("", "> "), ranked, strict=False)]
                if len(ranked) > 1 and tied(drawing, setting, ranked[0][0], ranked[1][0]):
                    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, hatch="//", edgecolor="white"))
                    lines[1] = lines[1].replace("> ", "= ", 1)
                axes.text(x, y, "\n".join(lines), ha="center", va="center", fontsize=8)
        axes.imshow(colours, aspect="auto")
    known = [Patch(color=to_rgba(drawing.colour(method), 0.45), label=method) for method in drawing.methods]
    figure.legend(handles=known, loc="outside right upper", fontsize=8, frameon=False)
    return figure


def ranking(drawing: Drawing, setting: str) -> list[tuple[str, float]]:
    """(method, mean) of a setting, the best first; less is better where all claims about the outcome say so."""
    found = {method: values(drawing.results, method, setting, drawing.design.primary) for method in drawing.methods}
    means = [(method, fmean(seeds.values())) for method, seeds in found.items() if seeds]
    design = drawing.design
    directions = {claim.direction for claim in design.comparisons if design.outcome(claim) == design.primary}
    return sorted(means, key=lambda one: one[1], reverse=directions != {"less"})


def tied(drawing: Drawing, setting: str, first: str, second: str) -> bool:
    """Whether the seeds do not tell two methods apart."""
    pair = _against(drawing, first, second, setting)
    return pair is None or not (pair.interval[0] > 0 or pair.interval[1] < 0)  # so is a NaN


def _against(drawing: Drawing, ours: str, theirs: str, setting: str) -> Paired | None:
    one, other = (values(drawing.results, method, setting, drawing.design.primary) for method in (ours, theirs))
    return compare(one, other)


def _panels(
    drawing: Drawing, names: Sequence[str], letters: int
) -> tuple[Figure, Iterator[tuple[str, list[list[str]], Axes]]]:
    """A panel for each name and combination of further grids: (name, settings [Y, X], axes)."""
    across, down, *further = drawing.dials()
    labels = {grid: [one.label for one in drawing.design.settings[grid]] for grid in (across, down)}
    maps: dict[str, dict[tuple[str, str], str]] = {}
    for setting, chosen in drawing.design.choices().items():
        rest = ", ".join(f"{grid}={chosen[grid].label}" for grid in further)
        maps.setdefault(rest, {})[chosen[down].label, chosen[across].label] = setting
    panels = [(name, rest) for rest in maps for name in names]
    columns = min(_ACROSS, len(panels))
    rows = math.ceil(len(panels) / columns)
    size = (_LETTER * letters * len(labels[across]) + 0.9, _LINE * len(labels[down]) + 0.9)
    figure = Figure(figsize=(size[0] * columns + 1.6, size[1] * rows + 0.2), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flat

    def each() -> Iterator[tuple[str, list[list[str]], Axes]]:
        for (name, rest), axes in zip(panels, places, strict=False):
            axes.set_title(f"{name}  [{rest}]" if rest else name, fontsize=10)
            axes.set_xticks(range(len(labels[across])), labels[across])
            axes.set_yticks(range(len(labels[down])), labels[down])
            axes.set_xlabel(across)
            axes.set_ylabel(down)
            yield name, [[maps[rest][y, x] for x in labels[across]] for y in labels[down]], axes
        for axes in figure.axes[len(panels) :]:
            axes.set_axis_off()

    return figure, each()
