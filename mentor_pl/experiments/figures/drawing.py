"""What the figures of an experiment share: the results, the look of each method, panels by setting, a legend, files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mentor_pl.experiments.design.design import Design
from mentor_pl.experiments.figures.curves import RUN_COLOURS
from mentor_pl.experiments.metrics_file import Series
from mentor_pl.experiments.runner.results import Result

STYLES = ("-", "--", ":", "-.")  # for methods beyond the colours
MARKERS = ("o", "s", "^", "D")
_WIDTH, _HEIGHT = 5.0, 3.4  # inches of a panel


class Drawing:
    """What all figures of an experiment share: its results and what each method looks like.

    Args:
        design: of the experiment.
        results: of its cells; those that have not finished are left out.
    """

    def __init__(self, design: Design, results: Sequence[Result]) -> None:
        self.design, self.results = design, [result for result in results if result.finished]
        self.methods, self.settings = list(design.methods), list(design.combinations())
        self.benchmark = design.primary.metric.rpartition("/")[0]  # val/maze

    def colour(self, method: str) -> str:
        """The same in every figure."""
        return RUN_COLOURS[self.methods.index(method) % len(RUN_COLOURS)]

    def style(self, method: str) -> int:
        """Which style of line or marker, where colours have run out."""
        return self.methods.index(method) // len(RUN_COLOURS)

    def dials(self) -> list[str]:
        """The grids that have more than one value."""
        return [grid for grid, choices in self.design.settings.items() if len(choices) > 1]

    def names(self) -> list[str]:
        """All that any run has logged."""
        return sorted({name for result in self.results for name in result.metrics})

    def of_benchmark(self, part: str) -> tuple[str, list[str]]:
        """The benchmark that has most metrics `<benchmark>/<part>…`, and what follows the part in each of them.

        Among equals it is the primary outcome's: an experiment may measure more at the end of its runs alone.
        """
        names = [name.partition(f"/{part}") for name in self.names()]
        found: dict[str, list[str]] = {self.benchmark: []}
        for benchmark, is_one, rest in names:
            if is_one and benchmark.startswith("val/"):
                found.setdefault(benchmark, []).append(rest)
        return max(found.items(), key=lambda one: len(one[1]))

    def series(self, method: str, setting: str, metric: str) -> list[Series]:
        """The metric in every finished run that has it."""
        chosen = [r for r in self.results if (r.cell.method, r.cell.setting) == (method, setting)]
        return [result.metrics[metric] for result in chosen if metric in result.metrics]

    def last(self, method: str, setting: str, metric: str) -> list[float]:
        """Each run's mean over its last evaluations, as many as the design says, or all that there are."""
        return [fmean(list(one.values())[-self.design.primary.last :]) for one in self.series(method, setting, metric)]

    def panels(self, columns: Sequence[str]) -> tuple[Figure, Iterator[tuple[str, str, Axes]]]:
        """A figure with a row for each setting: (setting, column, axes)."""
        size = (_WIDTH * len(columns), _HEIGHT * len(self.settings))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(self.settings), len(columns), squeeze=False)

        def each() -> Iterator[tuple[str, str, Axes]]:
            for setting, row in zip(self.settings, grid, strict=True):
                for column, axes in zip(columns, row, strict=True):
                    axes.grid(alpha=0.25)
                    axes.spines[["top", "right"]].set_visible(False)
                    axes.set_title(column if len(self.settings) == 1 else f"{column}  [{setting}]", fontsize=10)
                    yield setting, column, axes

        return figure, each()


def legend(figure: Figure) -> None:
    """One beside the panels, each method once."""
    known = dict[str, Any]()
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            known.setdefault(label, handle)
    if known:
        figure.legend(known.values(), known.keys(), loc="outside right upper", fontsize=8, frameon=False)


def save_figures(figures: dict[str, Figure], folder: Path) -> None:
    """Write each as PNG and SVG; the same figure gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": "mentor"}):
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.png", dpi=130)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
