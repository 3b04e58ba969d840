"""Kept samples as a table: each benchmark's accuracy with its confidence interval, and the mean of all benchmarks.

A summary is what `results.json` holds: shares as numbers from 0 to 1, the intervals of those that are shares of right
responses. The table is the same in per cent, as Markdown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mentor_pl.evaluation.evaluate import measure, part_names, values
from mentor_pl.evaluation.intervals import LEVEL, RESAMPLES, interval, resampled_means
from mentor_pl.evaluation.metrics import REASONING_WORDS, avg_at_k, pass_at_k
from mentor_pl.evaluation.samples_file import Answered, replace_file

Summary = dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """The finished problems of one benchmark.

    Attributes:
        name: of the benchmark.
        answered: at least one problem.
        pass_at: the k of each pass@k.
        without: ids of the problems that a second row leaves out.
    """

    name: str
    answered: Sequence[Answered]
    pass_at: Sequence[int]
    without: frozenset[str] = frozenset()


def summarise(benchmarks: Sequence[Kept], words: Sequence[str] = REASONING_WORDS) -> Summary:
    """What was measured on these benchmarks, and the mean of their avg@n, each benchmark weighing the same."""
    rows, means = {}, []
    for kept in benchmarks:
        rows[kept.name], drawn = _row(kept, words)
        means.append((rows[kept.name]["metrics"][f"avg@{rows[kept.name]['samples']}"], drawn))
        left = [one for one in kept.answered if one.id not in kept.without]
        if left and len(left) < len(kept.answered):
            name = f"{kept.name} without {len(kept.answered) - len(left)}"
            rows[name] = _row(Kept(name, left, kept.pass_at), words)[0]
    mean = {
        "benchmarks": len(means),
        "value": float(np.mean([value for value, _ in means])),
        "interval": interval(np.mean([drawn for _, drawn in means], axis=0)),
    }
    return {"benchmarks": rows, "mean": mean, "level": LEVEL, "resamples": RESAMPLES}


def _row(kept: Kept, words: Sequence[str]) -> tuple[Summary, NDArray[np.float64]]:
    """A benchmark's part of the summary, and the resampled means of its avg@n."""
    n = len(kept.answered[0].responses)
    correct = torch.tensor([[response.correct for response in one.responses] for one in kept.answered])
    shares = {f"pass@{k}": pass_at_k(correct, k) for k in kept.pass_at} | {f"avg@{n}": avg_at_k(correct)}
    greedy = [one.greedy for one in kept.answered if one.greedy is not None]
    if greedy:
        shares["greedy"] = torch.tensor([response.correct for response in greedy]).double()
    drawn = {name: resampled_means(per_problem.tolist(), kept.name) for name, per_problem in shares.items()}
    parts = sorted(part_names(kept.answered))
    metrics = values(measure(kept.answered, kept.pass_at, words, parts, sync_on_compute=False))  # by one rank alone
    intervals = {name: interval(means) for name, means in drawn.items()}
    row = {"problems": len(kept.answered), "samples": n, "metrics": metrics, "intervals": intervals}
    return row, drawn[f"avg@{n}"]


def to_markdown(summary: Summary) -> str:
    """The summary as an aligned Markdown table, in per cent."""
    level = f"[{summary['level']:.0%}]"
    head = ["benchmark", "problems", "accuracy", level, "pass@k", level, "greedy", level, "tokens", "cut off"]
    cells = [head, *(_cells(name, row) for name, row in summary["benchmarks"].items())]
    mean = summary["mean"]
    if mean["benchmarks"] > 1:
        value, bounds = _per_cent(mean["value"], mean["interval"])
        cells.append([f"**mean of {mean['benchmarks']}**", "", f"**{value}**", bounds, *[""] * (len(head) - 4)])
    used = [i for i in range(len(head)) if i < 4 or any(row[i] for row in cells[1:])]
    cells = [[row[i] for i in used] for row in cells]
    widths = [max(len(row[i]) for row in cells) for i in range(len(used))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    rule = " | ".join("-" * width for width in widths)
    return "".join(f"| {line} |\n" for line in [lines[0], rule, *lines[1:]])


def _cells(name: str, row: Summary) -> list[str]:
    """A benchmark's line; of several pass@k it has the one of the greatest k."""
    metrics, n = row["metrics"], row["samples"]
    cells = [name, str(row["problems"])]
    passed = max((int(metric[5:]) for metric in metrics if metric.startswith("pass@")), default=1)
    for label in (f"avg@{n}", f"pass@{passed}" if passed > 1 else "", "greedy"):
        value, bounds = _per_cent(metrics[label], row["intervals"][label]) if label in metrics else ("", "")
        cells += [f"{label} {value}" if "@" in label else value, bounds]
    return [*cells, f"{metrics['length']:,.0f}", f"{metrics['truncated']:.1%}"]


def _per_cent(value: float, bounds: Sequence[float]) -> tuple[str, str]:
    return f"{100 * value:.1f}", f"[{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]"


def save_summary(summary: Mapping[str, Any], folder: Path) -> None:
    """Write `results.json` and `results.md`."""
    replace_file(folder / "results.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    replace_file(folder / "results.md", to_markdown(dict(summary)))
