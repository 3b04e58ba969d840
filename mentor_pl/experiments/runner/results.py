"""What came out of the cells: their evaluations and the summaries of each, what they cost, and results.jsonl."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from mentor_pl.experiments.design.design import Cell, Design
from mentor_pl.experiments.design.outcome import CELL, SAMPLED, WHOLE, At, Outcome, summary, total
from mentor_pl.experiments.metrics_file import Series, read_metrics, until
from mentor_pl.experiments.runner.folder import State, folder_of, read_state
from mentor_pl.runtime.errors import UsageError


@dataclass(frozen=True)
class Result:
    """One cell.

    Attributes:
        metrics: what its run logged, as far as it came, and seconds and cpu_seconds of the command below `cell/`.
        budget: of sampled tokens, of its seed in its setting (see `outcome`).
    """

    cell: Cell
    state: State
    metrics: Mapping[str, Series]
    budget: float = math.inf

    @property
    def finished(self) -> bool:
        """Only then does it count."""
        return self.state.status == "finished"

    def value(self, outcome: Outcome) -> float | None:
        """The outcome of a finished cell; none of one that is not, or where the metric does not give it."""
        return self.summary(outcome) if self.finished else None

    def summary(self, outcome: Outcome) -> float | None:
        """Likewise of any cell, by what it has logged so far."""
        return summary(self.metrics.get(outcome.metric, {}), outcome, self.metrics.get(SAMPLED), self.budget)

    def costs(self) -> dict[str, float]:
        """The run's sums in the ledger, by name without `cost/`."""
        sums = {name.removeprefix("cost/"): series for name, series in self.metrics.items() if _is_sum(name)}
        return {name: total(series) for name, series in sums.items()}


def _is_sum(name: str) -> bool:
    return name.startswith("cost/") and not name.startswith("cost/step/")


def collect(out: Path, design: Design) -> list[Result]:
    """Every cell, in the order of the design."""
    results = []
    for cell in design.cells():
        state = read_state(out, cell)
        try:
            metrics = read_metrics([folder_of(out, cell)])
        except UsageError:  # it has logged nothing yet
            metrics = {}
        whole = {f"{CELL}{name}": {design.steps: getattr(state, name)} for name in WHOLE}
        results.append(Result(cell, state, metrics | whole))
    return with_budgets(results)


def with_budgets(results: Sequence[Result]) -> list[Result]:
    """The results, each with the least that any finished run of its seed and setting has sampled, if it has any."""
    budgets: dict[tuple[str, int], float] = {}
    for one in results:
        place, sampled = (one.cell.setting, one.cell.seed), total(one.metrics.get(SAMPLED))
        if one.finished and sampled:
            budgets[place] = min(sampled, budgets.get(place, math.inf))
    return [replace(one, budget=budgets.get((one.cell.setting, one.cell.seed), math.inf)) for one in results]


def values(results: Sequence[Result], method: str, setting: str, outcome: Outcome) -> dict[int, float]:
    """Seed -> outcome, of the cells that have one."""
    found = {r.cell.seed: r.value(outcome) for r in results if (r.cell.method, r.cell.setting) == (method, setting)}
    return {seed: value for seed, value in found.items() if value is not None}


def results_lines(design: Design, results: Sequence[Result], evaluations: bool = True) -> str:
    """One line of JSON per cell; what is no number is null.

    Args:
        design: of the experiment.
        results: of its cells.
        evaluations: whether every one of them is told, or only what becomes of them.
    """
    lines = [_line(design, result) for result in results]
    if not evaluations:
        lines = [{name: value for name, value in line.items() if name != "evaluations"} for line in lines]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _line(design: Design, result: Result) -> dict[str, Any]:
    cell, state = result.cell, result.state
    evaluations = {
        name: {
            str(step): value if math.isfinite(value) else None for step, value in result.metrics.get(name, {}).items()
        }
        for name in design.metrics()
    }
    both = [replace(design.primary, at=at) for at in get_args(At)]
    steps = result.metrics.get(design.primary.metric, {})
    sampled = result.metrics.get(SAMPLED, {})
    return {
        "method": cell.method,
        "setting": cell.setting,
        "seed": cell.seed,
        "threads": cell.threads,
        "status": state.status,
        "reason": state.reason,
        "seconds": round(state.seconds, 3),
        "cpu_seconds": round(state.cpu_seconds, 3),
        "outcomes": {one.name: result.summary(one) for one in dict.fromkeys([*both, *design.outcomes()])},
        "evaluations": evaluations,
        "sampled_tokens": {str(step): until(sampled, step) for step in steps},
        "budget": result.budget if math.isfinite(result.budget) else None,
        "cost": result.costs(),
        "design": design.sha256,
        "cell": cell.identity,
        "commits": list(state.commits),
        "versions": dict(state.versions),
    }
