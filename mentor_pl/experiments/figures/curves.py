"""The picture of a run: accuracy, entropy, response length and guidance against steps, after the paper's Figure 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mentor_pl.experiments.metrics_file import Series

RUN_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito: safe to tell apart


@dataclass(frozen=True)
class Line:
    """One curve of a panel: which metric, its label, how it is drawn."""

    metric: str
    label: str
    style: str = "-"
    colour: str = RUN_COLOURS[0]
    marker: str = ""


def _panels(names: list[str]) -> dict[str, list[Line]]:
    """Panel title -> its curves, for the metrics that a run has."""
    benchmarks = sorted({name.split("/")[1] for name in names if name.startswith("val/")})
    kinds = {"on_policy": "on-policy", "mixed": "mixed", "demonstration": "traces"}
    entropies, lengths = (
        [
            Line(f"train/{kind}/{what}", label, colour=colour)
            for (kind, label), colour in zip(kinds.items(), RUN_COLOURS, strict=False)
        ]
        for what in ("entropy", "length")
    )
    accuracy = [
        Line("train/on_policy/outcome", "training, on-policy", ":", "#888888"),
        Line("train/mixed/outcome", "training, mixed", "-.", "#bbbbbb"),
    ]
    for colour, benchmark in zip(RUN_COLOURS, benchmarks, strict=False):
        for name in names:
            head, _, metric = name.rpartition("/")
            if head == f"val/{benchmark}" and metric.startswith(("avg@", "pass@", "greedy")):
                style = {"a": "-", "p": "--", "g": "-."}[metric[0]]
                accuracy.append(Line(name, f"{benchmark} {metric}", style, colour, "o"))
    guidance = [
        Line("train/mixed/guided", "guided tokens"),
        Line("train/mixed/replaced", "replaced tokens", "-", RUN_COLOURS[1]),
        Line("train/alpha", "α", ":", "#888888"),
    ]
    return {
        "Accuracy": accuracy,
        "Policy entropy (nats per token)": entropies,
        "Response length (tokens)": lengths,
        "Share of guided tokens, and α": guidance,
    }


def draw_curves(metrics: Mapping[str, Series], title: str) -> Figure:
    """The four panels of one run.

    Args:
        metrics: name -> values by step, from `read_metrics`.
        title: above the panels.
    """
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    figure.suptitle(title)
    for axes, (name, lines) in zip(figure.subplots(2, 2).flat, _panels(list(metrics)).items(), strict=True):
        _draw_panel(axes, name, [line for line in lines if line.metric in metrics], metrics)
    return figure


def _draw_panel(axes: Axes, name: str, lines: list[Line], metrics: Mapping[str, Series]) -> None:
    for line in lines:
        series = metrics[line.metric]
        axes.plot(
            list(series),
            list(series.values()),
            line.style,
            color=line.colour,
            marker=line.marker,
            ms=3,
            label=line.label,
        )
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("step")
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if lines:
        axes.legend(fontsize=8, frameon=False)
    else:
        axes.text(0.5, 0.5, "nothing logged", ha="center", transform=axes.transAxes, color="#888888")


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG and return its path."""
    figure.savefig(path, dpi=150)
    return Path(path)
