"""How long an experiment will take: from its finished cells, or else from a short run of one cell.

short run of s steps       wall = start + e(s) · evaluation + Σ steps
whole cell of S steps      start + e(S) · evaluation + S · mean step      e: evaluations in so many steps
"""

from __future__ import annotations

import difflib
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from mentor_pl.experiments.design.design import Cell, Design
from mentor_pl.experiments.metrics_file import Series, read_metrics
from mentor_pl.experiments.runner.folder import State, folder_of, last_line
from mentor_pl.experiments.runner.runner import start
from mentor_pl.runtime.errors import RunError

SHORT = 3  # steps
_STEP = ("time/sampling", "time/grading", "time/scoring", "time/update")  # parts of a step


class NotMeasured(RunError):
    """The short run cannot be made here."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of one cell.

    Attributes:
        seconds: by method.
        source: what it was measured on.
    """

    seconds: Mapping[str, float]
    source: str

    def left(self, states: Mapping[Cell, State], running: Mapping[Cell, float], jobs: int) -> float:
        """Seconds until all cells are done.

        Args:
            states: of all cells.
            running: seconds that each one that runs has been running.
            jobs: cells at a time.
        """
        open_cells = [cell for cell, state in states.items() if state.status in ("waiting", "begun") or cell in running]
        parts = [self.seconds[cell.method] - running.get(cell, 0.0) for cell in open_cells]
        return sum(max(0.0, part) for part in parts) / min(jobs, max(1, len(parts)))


def from_finished(states: Mapping[Cell, State]) -> Estimate | None:
    """From cells that have finished, each method's own where it has some; none where none has."""
    known: dict[str, list[float]] = {}
    for cell, state in states.items():
        if state.status == "finished":
            known.setdefault(cell.method, []).append(state.seconds)
    if not known:
        return None
    overall = fmean(seconds for some in known.values() for seconds in some)
    count = sum(map(len, known.values()))
    seconds = {cell.method: fmean(known.get(cell.method, [overall])) for cell in states}
    return Estimate(seconds, f"the mean of {count} finished cell{'' if count == 1 else 's'}")


def measure(design: Design, cell: Cell) -> Estimate:
    """From a run of one cell over `SHORT` steps, in a folder that is then gone; every method is taken to be like it.

    Raises:
        NotMeasured: where that run fails.
        RunError: where it shows that whole ones will not have the design's outcomes.
    """
    steps = min(SHORT, design.steps)
    short = replace(cell, arguments=(*cell.arguments, f"--data.steps={steps}"))
    with tempfile.TemporaryDirectory(prefix="mentor-experiment-") as name:
        out = Path(name)
        folder, log, began = folder_of(out, short), out / "log.txt", time.time()
        process = start(short, out, log)
        try:
            status = process.wait()
        finally:
            process.kill()  # nothing, to one that has ended
        wall = time.time() - began
        if status != 0:
            raise NotMeasured(f"a short run of {cell.name} fails with status {status}: {last_line(log)}")
        metrics, config = read_metrics([folder]), folder / "config.yaml"
        begin = config.stat().st_mtime - began
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    _check_outcomes(design, metrics, settings)
    worked = [sum(parts) for parts in zip(*(metrics[name].values() for name in _STEP if name in metrics), strict=True)]
    evaluation = max(0.0, wall - begin - sum(worked)) / max(1, evaluations(settings, steps))
    whole = begin + evaluation * evaluations(settings, design.steps) + design.steps * (fmean(worked) if worked else 0.0)
    return Estimate(dict.fromkeys(design.methods, whole), f"a run of {cell.name} over {steps} steps, {wall:.0f} s")


def _check_outcomes(design: Design, metrics: Mapping[str, Series], settings: Mapping[str, Any]) -> None:
    for name in design.metrics():
        if name not in metrics:
            near = difflib.get_close_matches(name, metrics, n=1)
            remedy = f"did you mean {near[0]}?" if near else "name a metric that runs log in metrics.csv"
            raise RunError(f"the design has the outcome {name}, but a short run has not logged it: {remedy}")
    count = evaluations(settings, design.steps)
    if design.primary.summary == "last" and 0 < count < design.primary.last:
        raise RunError(
            f"primary.last is {design.primary.last}, but a run of {design.steps} steps is evaluated {count} times: "
            "evaluate more often, by evaluate_every, or lower it"
        )


def evaluations(settings: Mapping[str, Any], steps: int) -> int:
    """How often a run of these settings is evaluated in so many steps."""
    callbacks: Sequence[Any] = settings["trainer"]["callbacks"] or []
    arguments = [one.get("init_args") or {} for one in callbacks if isinstance(one, Mapping)]
    often = [one for one in arguments if "benchmarks" in one and "every_n_steps" in one]
    return sum(bool(one.get("at_start", True)) + math.ceil(steps / one["every_n_steps"]) for one in often)


def in_words(seconds: float) -> str:
    """A duration: 40 s, 12 min, 3 h 05 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
