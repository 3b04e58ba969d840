"""The figure of what a policy took over from the expert: replaced tokens, as they were and as they are scored now."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mentor_pl.experiments.figures.curves import RUN_COLOURS

_GREY = "#888888"


def draw_absorbed(rows: pa.Table) -> Figure:
    """Two panels: how log π has changed since, by the updates since; and the last scores of each token, then and now.

    Args:
        rows: of `read_absorbed`, one at least.
    """
    names = ("age", "scored_at", "expert_then", "expert_now", "draft_then", "draft_now")
    values = {name: rows[name].to_numpy() for name in names}
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    by_age, then_now = figure.subplots(1, 2)
    for colour, who, label in (
        (RUN_COLOURS[1], "expert", "the expert's token"),
        (RUN_COLOURS[0], "draft", "the draft"),
    ):
        _by_age(by_age, values["age"], values[f"{who}_now"] - values[f"{who}_then"], colour, label)
        last = values["scored_at"] == values["scored_at"].max()
        then_now.scatter(
            values[f"{who}_then"][last], values[f"{who}_now"][last], s=14, alpha=0.6, color=colour, label=label
        )
    by_age.axhline(0, color=_GREY, linestyle=":", linewidth=1)
    by_age.set_title("Change of log π since the token was replaced", fontsize=10)
    by_age.set_xlabel("updates since")
    by_age.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    low = min(then_now.get_xlim()[0], then_now.get_ylim()[0])
    then_now.plot([low, 0], [low, 0], color=_GREY, linestyle=":", linewidth=1)
    then_now.set_title(f"log π after step {values['scored_at'].max()}", fontsize=10)
    then_now.set_xlabel("when it was replaced")
    then_now.set_ylabel("now: above the line, likelier")
    for axes in (by_age, then_now):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    return figure


def _by_age(axes: Axes, ages: NDArray[np.int32], changes: NDArray[np.float32], colour: str, label: str) -> None:
    """The median change at each age, and the middle half of the tokens."""
    every = np.unique(ages)
    low, middle, high = (
        [float(np.quantile(changes[ages == age], share)) for age in every] for share in (0.25, 0.5, 0.75)
    )
    axes.plot(every, middle, color=colour, marker="o", ms=3, label=label)
    axes.fill_between(every, low, high, color=colour, alpha=0.15, linewidth=0)
