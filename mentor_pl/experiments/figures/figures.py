"""The figures of an experiment, each from its results: none where the runs have not logged what it shows.

curves    the paper's Figure 2: outcome, entropy and length against steps, band of one standard error over seeds
words     the paper's Figure 3: share of responses with each word
pass_at   the paper's Figure 4: pass@k against k
seeds     every seed of the primary outcome as a point, with the IQM and its interval
cost      the primary outcome against what the run has cost

Those of criteria are in `bounds`, the maps of two dials in `maps`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mentor_pl.experiments.design.design import Design
from mentor_pl.experiments.figures.bounds import draw_criteria
from mentor_pl.experiments.figures.drawing import MARKERS, STYLES, Drawing, legend
from mentor_pl.experiments.figures.maps import draw_differences, draw_winners
from mentor_pl.experiments.metrics_file import until
from mentor_pl.experiments.runner.results import Result, values
from mentor_pl.experiments.statistics.statistics import mean_and_error, summarise

# The most telling ones first: a page of a repository may have room for some alone.
CAPTIONS = {
    "criteria": "What every seed must keep to: the curve of each seed, the worst one thick, and each seed's value with "
    "the bound",
    "differences": "Difference from the baseline at each pair of dials, mean over seeds",
    "winners": "The method with the best mean at each pair of dials, and the second; hatched, and with =, where the "
    "95 % interval of their difference includes 0",
    "seeds": "Every seed as a point; bar and band: interquartile mean with its 95 % BCa interval over seeds",
    "curves": "Means over seeds against steps, with a band of one standard error",
    "pass_at": "pass@k at the end of the runs, mean and standard error over seeds",
    "words": "Share of responses with each word at the end of the runs, mean and standard error over seeds",
    "cost": "The primary metric against what had been spent when it was measured: seeds thin, their mean thick",
}
# What is spent -> its sums in the ledger, by the beginning of their names.
_COSTS = {
    "sampled tokens": "cost/sampled_tokens",
    "work of reading tokens (FLOP)": "cost/flops",
    "seconds of all steps": "cost/seconds/",
}


def draw_figures(design: Design, results: Sequence[Result]) -> tuple[dict[str, Figure], dict[str, str]]:
    """All figures by name, and why others are missing."""
    drawing, figures, missing = Drawing(design, results), dict[str, Figure](), dict[str, str]()
    makers: dict[str, Callable[[Drawing], Figure | str]] = {}
    if design.criteria:
        makers["criteria"] = draw_criteria
    if len(drawing.dials()) >= 2:
        makers |= {"winners": draw_winners, "differences": draw_differences}
    makers |= {
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
            axes.plot(steps, means, STYLES[drawing.style(method) % 4], color=colour, label=method)
            low, high = ([m + sign * e for m, e in zip(means, errors, strict=True)] for sign in (-1, 1))
            axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.set_ylim(bottom=0)
    legend(figure)
    return figure


def draw_words(drawing: Drawing) -> Figure | str:
    """The share of responses with each word, at the end."""
    benchmark, words = drawing.of_benchmark("words/")
    head = f"{benchmark}/words/"
    if not words:
        return f"no run has logged {head}…: name `words` in callbacks.BenchmarkValidation"
    figure, panels = drawing.panels([f"{benchmark}: share of responses with the word"])
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
    legend(figure)
    return figure


def draw_pass_at(drawing: Drawing) -> Figure | str:
    """pass@k at the end, for every k that was measured."""
    benchmark, measured = drawing.of_benchmark("pass@")
    head, ks = f"{benchmark}/pass@", sorted(map(int, measured))
    if len(ks) < 2:
        return f"a curve needs {head}k for two k or more: give the benchmark `pass_at: [1, 2, 4, 8, 16, 32]`"
    figure, panels = drawing.panels([f"{benchmark}: pass@k"])
    for setting, _, axes in panels:
        for method in drawing.methods:
            ends = {k: drawing.last(method, setting, f"{head}{k}") for k in ks}
            points = {k: mean_and_error(end) for k, end in ends.items() if end}
            axes.errorbar(
                list(points),
                [mean for mean, _ in points.values()],
                yerr=[0.0 if math.isnan(error) else error for _, error in points.values()],
                fmt=STYLES[drawing.style(method) % 4] + MARKERS[drawing.style(method) % 4],
                ms=4,
                capsize=2,
                color=drawing.colour(method),
                label=method,
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(ks, map(str, ks))
        axes.minorticks_off()
        axes.set_xlabel("k")
    legend(figure)
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
            look: dict[str, Any] = {"color": drawing.colour(method), "linestyle": STYLES[drawing.style(method) % 4]}
            for curve in curves:
                axes.plot(*zip(*curve.values(), strict=True), alpha=0.25, linewidth=0.8, **look)
            steps = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
            means = [[fmean(curve[step][part] for curve in curves) for step in steps] for part in (0, 1)]
            axes.plot(*means, marker=MARKERS[drawing.style(method) % 4], ms=3, label=method, **look)
        axes.set_xlabel(title)
        axes.set_ylabel(drawing.design.primary.metric)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    legend(figure)
    return figure


def _against_cost(drawing: Drawing, result: Result, costs: str) -> dict[int, tuple[float, float]]:
    """Step -> (spent until then, primary metric), for every evaluation of a run."""
    spent = [series for name, series in result.metrics.items() if name.startswith(costs)]
    evaluations = result.metrics.get(drawing.design.primary.metric, {})
    return {step: (sum(until(series, step) for series in spent), y) for step, y in evaluations.items()} if spent else {}
