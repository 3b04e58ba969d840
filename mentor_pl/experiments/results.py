"""What came out of the cells: their evaluations and the two summaries of each, what they cost, and results.jsonl."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mentor_pl.experiments.design import Cell, Design, Outcome
from mentor_pl.experiments.folder import State, folder_of, read_state
from mentor_pl.experiments.metrics_file import Series, read_metrics
from mentor_pl.runtime.errors import UsageError


@dataclass(frozen=True)
class Result:
    """One cell.

    Attributes:
        metrics: what its run logged, as far as it came.
    """

    cell: Cell
    state: State
    metrics: Mapping[str, Series]

    @property
    def finished(self) -> bool:
        """Only then does it count."""
        return self.state.status == "finished"

    def value(self, outcome: Outcome) -> float | None:
        """The outcome of a finished cell; none of one that is not, or where the metric does not give it."""
        return summary(self.metrics.get(outcome.metric, {}), outcome) if self.finished else None

    def costs(self) -> dict[str, float]:
        """The run's sums in the ledger, by name without `cost/`."""
        sums = {name.removeprefix("cost/"): series for name, series in self.metrics.items() if _is_sum(name)}
        return {name: next(reversed(series.values())) for name, series in sums.items()}


def _is_sum(name: str) -> bool:
    return name.startswith("cost/") and not name.startswith("cost/step/")


def summary(evaluations: Series, outcome: Outcome) -> float | None:
    """One number of a run's evaluations by step, in order; none where they are too few or one is no finite number.

    `area` is ∫ value d step by trapezoids ÷ (last step − first step): the mean height, in units of the metric.
    """
    steps, values = list(evaluations), list(evaluations.values())
    if not values or not all(map(math.isfinite, values)):
        return None
    if outcome.summary == "last":
        return fmean(values[-outcome.last :]) if len(values) >= outcome.last else None
    if len(values) < 2:
        return None
    parts = zip(steps, steps[1:], values, values[1:], strict=False)
    return sum((b - a) * (left + right) / 2 for a, b, left, right in parts) / (steps[-1] - steps[0])


def outcomes(design: Design) -> list[Outcome]:
    """The primary outcome, then the secondary ones, summarised alike."""
    others = [Outcome(name, design.primary.summary, design.primary.last) for name in design.secondary]
    return [design.primary, *others]


def collect(out: Path, design: Design) -> list[Result]:
    """Every cell, in the order of the design."""
    results = []
    for cell in design.cells():
        try:
            metrics = read_metrics([folder_of(out, cell)])
        except UsageError:  # it has logged nothing yet
            metrics = {}
        results.append(Result(cell, read_state(out, cell), metrics))
    return results


def values(results: Sequence[Result], method: str, setting: str, outcome: Outcome) -> dict[int, float]:
    """Seed -> outcome, of the cells that have one."""
    found = {r.cell.seed: r.value(outcome) for r in results if (r.cell.method, r.cell.setting) == (method, setting)}
    return {seed: value for seed, value in found.items() if value is not None}


def write_results(file: Path, design: Design, results: Sequence[Result]) -> None:
    """Write one line of JSON per cell; what is no number is null."""
    lines = [json.dumps(_line(design, result), ensure_ascii=False) + "\n" for result in results]
    file.write_text("".join(lines), encoding="utf-8")


def _line(design: Design, result: Result) -> dict[str, Any]:
    cell, state, last = result.cell, result.state, design.primary.last
    measured = {}
    for name in dict.fromkeys([design.primary.metric, *design.secondary]):
        series = result.metrics.get(name, {})
        both = {kind: summary(series, Outcome(name, kind, last)) for kind in ("last", "area")}
        steps = {str(step): value if math.isfinite(value) else None for step, value in series.items()}
        measured[name] = {"evaluations": steps, **both}
    return {
        "method": cell.method,
        "setting": cell.setting,
        "seed": cell.seed,
        "status": state.status,
        "reason": state.reason,
        "seconds": round(state.seconds, 3),
        "outcomes": measured,
        "cost": result.costs(),
        "design": design.sha256,
        "cell": cell.identity,
        "versions": dict(state.versions),
    }
