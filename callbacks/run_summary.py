"""Draws the run's curves when training ends and prints where everything lies."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from rich import get_console
from rich.table import Column, Table

from mentor_pl.experiments.figures.curves import draw_curves, save_figure
from mentor_pl.experiments.metrics_file import Series, read_metrics
from mentor_pl.runtime.errors import UsageError

ARTEFACTS = {
    "curves.png": "picture",
    "metrics.csv": "metrics",
    "config.yaml": "configuration",
    "checkpoints": "checkpoints",
    "policy": "policy",
}

_UNITS = {"cost/flops": "FLOP"}
_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


class RunSummary(Callback):
    """Writes `curves.png` into the run's folder and prints a summary; needs lightning's `CSVLogger`.

    A run that was begun from the checkpoint of another (`--ckpt_path`) has a folder of its own; the picture joins both.

    Raises:
        UsageError: at the start of training, where no CSVLogger logs.
    """

    def __init__(self) -> None:
        self.earlier: list[str] = []
        self.folder = ""
        self.started = 0.0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        folders = [logger.log_dir for logger in trainer.loggers if isinstance(logger, CSVLogger)]
        if not folders:
            raise UsageError("RunSummary draws what a CSVLogger wrote: add one to trainer.logger, or drop RunSummary")
        self.folder = folders[0]
        self.started = time.perf_counter()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        folder = Path(self.folder)
        for logger in trainer.loggers:
            logger.save()
        runs = [Path(run) for run in [*(run for run in self.earlier if run != self.folder), self.folder]]
        metrics = read_metrics([run for run in runs if (run / "metrics.csv").is_file()])
        save_figure(draw_curves(metrics, folder.as_posix()), folder / "curves.png")
        console = get_console()  # the progress bar's own, which prints above the bar
        minutes, seconds = divmod(round(time.perf_counter() - self.started), 60)
        console.print(f"Trained in {minutes} min {seconds:02d} s", highlight=False)
        if (measured := _measured(metrics)).row_count:
            console.print(measured)
        console.print(_costs(pl_module.ledger.totals()))  # type: ignore[operator, union-attr]
        for words in [words for one in trainer.callbacks for words in getattr(one, "said", {}).values()]:  # type: ignore[attr-defined]
            console.print(f"warned at {words}", highlight=False, markup=False, soft_wrap=True)
        for name, meaning in ARTEFACTS.items():
            if (folder / name).exists():
                console.print(f"{meaning:<14} {folder / name}", highlight=False, soft_wrap=True)

    def state_dict(self) -> dict[str, Any]:
        return {"earlier": [*self.earlier, self.folder]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.earlier = list(state_dict["earlier"])


def _measured(metrics: Mapping[str, Series]) -> Table:
    """The benchmarks' metrics, first and last."""
    table = Table("measured", Column("first", justify="right"), Column("last", justify="right"))
    for name, series in metrics.items():
        if name.startswith("val/") and name.split("/")[2] != "words":  # of which there are a dozen
            values = list(series.values())
            table.add_row(name, f"{values[0]:.3f}", f"{values[-1]:.3f}")
    return table


def _costs(totals: Mapping[str, float]) -> Table:
    """What the run has cost, those it continues included."""
    table = Table("cost, over all ranks; seconds of one", Column("sum", justify="right"))
    for name, value in totals.items():
        table.add_row(name, f"{value:,.1f} s" if "/seconds/" in name else readable(value, _UNITS.get(name, "tokens")))
    return table


def readable(value: float, unit: str) -> str:
    """A count with four digits at most and a prefix: 8,888 tokens, 1.23 M tokens, 3.40 TFLOP."""
    if value < 10_000 and unit == "tokens":
        return f"{value:,.0f} {unit}"
    power = min(max(0, math.floor(math.log10(max(value, 1)) / 3)), len(_PREFIXES) - 1)
    space = "" if unit == "FLOP" else " "
    return f"{value / 1000**power:,.3g} {_PREFIXES[power]}{space}{unit}"
