"""The figures of an experiment, each from its results: none where the runs have not logged what it shows.

curves    the paper's Figure 2: outcome, entropy and length against steps, band of one standard error over seeds
words     the paper's Figure 3: share of responses with each word
pass_at   the paper's Figure 4: pass@k against k
seeds     every seed of the primary outcome as a point, with the IQM and its interval
cost      the primary outcome against what the run has cost
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mentor_pl.experiments.curves import RUN_COLOURS
from mentor_pl.experiments.design import Design
from mentor_pl.experiments.metrics_file import Series
from mentor_pl.experiments.results import Result, values
from mentor_pl.experiments.statistics import mean_and_error, summarise

_STYLES = ("-", "--", ":", "-.")  # for methods beyond the colours
_MARKERS = ("o", "s", "^", "D")
# What is spent -> its sums in the ledger, by the beginning of their names.
_COSTS = {
    "sampled tokens": "cost/sampled_tokens",
    "work of reading tokens (FLOP)": "cost/flops",
    "seconds of all steps": "cost/seconds/",
}
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

    def names(self) -> list[str]:
        """All that any run has logged."""
        return sorted({name for result in self.results for name in result.metrics})

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


def draw_figures(design: Design, results: Sequence[Result]) -> tuple[dict[str, Figure], dict[str, str]]:
    """All figures by name, and why others are missing."""
    drawing, figures, missing = Drawing(design, results), dict[str, Figure](), dict[str, str]()
    makers: dict[str, Callable[[Drawing], Figure | str]] = {
        "seeds": draw_seeds,
        "curves": draw_curves,
        "pass_at": draw_pass_at,
        "words": draw_words,
        "cost": draw_cost,
    }
    for name, make in makers.items():
        made = make(drawing) if drawing.results else "no run has finished"
        if isinstance(made, str):
            missing[name] = made
        else:
            figures[name] = made
    return figures, missing


def draw_curves(drawing: Drawing) -> Figure | str:
    """Outcome, entropy and length against steps."""
    there, last = drawing.names(), drawing.design.primary.metric.rpartition("/")[2]
    wanted = {
        last: (drawing.design.primary.metric,),
        "entropy (nats per token)": (f"{drawing.benchmark}/entropy", "train/on_policy/entropy", "train/entropy"),
        "response length (tokens)": (f"{drawing.benchmark}/length", "train/on_policy/length"),
    }
    found = {title: next((name for name in names if name in there), "") for title, names in wanted.items()}
    found = {f"{title}\n{name}": name for title, name in found.items() if name}
    if not found:
        return f"no run has logged {drawing.design.primary.metric}"
    figure, panels = drawing.panels(list(found))
    for setting, title, axes in panels:
        for method in drawing.methods:
            series = drawing.series(method, setting, found[title])
            steps = sorted(set.intersection(*(set(one) for one in series))) if series else []
            points = [mean_and_error([one[step] for one in series]) for step in steps]
            means, errors = [m for m, _ in points], [0.0 if math.isnan(e) else e for _, e in points]
            colour = drawing.colour(method)
            axes.plot(steps, means, _STYLES[drawing.style(method) % 4], color=colour, label=method)
            low, high = ([m + sign * e for m, e in zip(means, errors, strict=True)] for sign in (-1, 1))
            axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0)
    _legend(figure)
    return figure


def draw_words(drawing: Drawing) -> Figure | str:
    """The share of responses with each word, at the end."""
    head = f"{drawing.benchmark}/words/"
    words = [name.removeprefix(head) for name in drawing.names() if name.startswith(head)]
    if not words:
        return f"no run has logged {head}…: name `words` in callbacks.BenchmarkValidation"
    figure, panels = drawing.panels(["share of responses with the word"])
    figure.set_size_inches(max(6.0, len(words) * (0.4 + 0.14 * len(drawing.methods))), figure.get_size_inches()[1])
    width = 0.8 / len(drawing.methods)
    for setting, _, axes in panels:
        for place, method in enumerate(drawing.methods):
            ends = [drawing.last(method, setting, head + word) for word in words]
            points = [mean_and_error(end) if end else (math.nan, math.nan) for end in ends]
            axes.bar(
                [x + (place - (len(drawing.methods) - 1) / 2) * width for x in range(len(words))],
                [mean for mean, _ in points],
                width,
                yerr=[0.0 if math.isnan(error) else error for _, error in points],
                color=drawing.colour(method),
                hatch=("", "//", "..", "xx")[drawing.style(method) % 4],
                edgecolor="white",
                error_kw={"elinewidth": 0.8},
                label=method,
            )
        axes.set_xticks(range(len(words)), words)
    _legend(figure)
    return figure


def draw_pass_at(drawing: Drawing) -> Figure | str:
    """pass@k at the end, for every k that was measured."""
    head = f"{drawing.benchmark}/pass@"
    ks = sorted(int(name.removeprefix(head)) for name in drawing.names() if name.startswith(head))
    if len(ks) < 2:
        return f"a curve needs {head}k for two k or more: give the benchmark `pass_at: [1, 2, 4, 8, 16, 32]`"
    figure, panels = drawing.panels(["pass@k"])
    for setting, _, axes in panels:
        for method in drawing.methods:
            ends = {k: drawing.last(method, setting, f"{head}{k}") for k in ks}
            points = {k: mean_and_error(end) for k, end in ends.items() if end}
            axes.errorbar(
                list(points),
                [mean for mean, _ in points.values()],
                yerr=[0.0 if math.isnan(error) else error for _, error in points.values()],
                fmt=_STYLES[drawing.style(method) % 4] + _MARKERS[drawing.style(method) % 4],
                ms=4,
                capsize=2,
                color=drawing.colour(method),
                label=method,
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(ks, map(str, ks))
        axes.minorticks_off()
        axes.set_xlabel("k")
    _legend(figure)
    return figure


def draw_seeds(drawing: Drawing) -> Figure | str:
    """Every seed of the primary outcome, with the IQM and its interval."""
    figure, panels = drawing.panels([drawing.design.primary.name])
    rows = len(drawing.methods)
    figure.set_size_inches(7, (0.9 + 0.4 * rows) * len(drawing.settings) + 0.3)
    for setting, _, axes in panels:
        for row, method in enumerate(drawing.methods):
            found = list(values(drawing.results, method, setting, drawing.design.primary).values())
            seeds = summarise(found)
            if seeds is None:
                continue
            colour = drawing.colour(method)
            # The points lie a little below one another, so that equal ones are all seen.
            offsets = [row + 0.22 + 0.2 * place / len(found) for place in range(len(found))]
            axes.scatter(found, offsets, s=16, color=colour, alpha=0.6, linewidth=0)
            axes.plot(seeds.interval, [row, row], color=colour, linewidth=3, solid_capstyle="butt", alpha=0.5)
            axes.plot([seeds.iqm], [row], "|", color=colour, ms=14, mew=2.5)
        axes.set_yticks(range(rows), drawing.methods)
        axes.set_ylim(rows - 0.4, -0.6)
    return figure


def draw_cost(drawing: Drawing) -> Figure | str:
    """The primary metric against what has been spent when it was measured: each seed thin, their mean thick."""
    figure, panels = drawing.panels(list(_COSTS))
    for setting, title, axes in panels:
        for method in drawing.methods:
            chosen = [r for r in drawing.results if (r.cell.method, r.cell.setting) == (method, setting)]
            curves = [curve for one in chosen if (curve := _against_cost(drawing, one, _COSTS[title]))]
            look: dict[str, Any] = {"color": drawing.colour(method), "linestyle": _STYLES[drawing.style(method) % 4]}
            for curve in curves:
                axes.plot(*zip(*curve.values(), strict=True), alpha=0.25, linewidth=0.8, **look)
            steps = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
            means = [[fmean(curve[step][part] for curve in curves) for step in steps] for part in (0, 1)]
            axes.plot(*means, marker=_MARKERS[drawing.style(method) % 4], ms=3, label=method, **look)
        axes.set_xlabel(title)
        axes.set_ylabel(drawing.design.primary.metric)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    _legend(figure)
    return figure


def _against_cost(drawing: Drawing, result: Result, costs: str) -> dict[int, tuple[float, float]]:
    """Step -> (spent until then, primary metric), for every evaluation of a run."""
    spent = [series for name, series in result.metrics.items() if name.startswith(costs)]
    evaluations = result.metrics.get(drawing.design.primary.metric, {})
    return (
        {step: (sum(_until(series, step) for series in spent), y) for step, y in evaluations.items()} if spent else {}
    )


def _until(series: Series, step: int) -> float:
    """The last value up to a step; 0 before the first."""
    return next((value for at, value in reversed(series.items()) if at <= step), 0.0)


def _legend(figure: Figure) -> None:
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
