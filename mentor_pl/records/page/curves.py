"""The curves above a page: reward, accuracy, entropy, length and guidance, from what a run logged to metrics.csv."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

from mentor_pl.records.damaged import DamagedFile

POINTS: Final = 300  # of a curve; more are not seen


class Curve(NamedTuple):
    """Metrics that belong into one picture.

    Attributes:
        title: of the picture.
        metrics: pattern of a metric's name -> how its line is called.
    """

    title: str
    metrics: tuple[tuple[str, str], ...]


_KINDS: Final = (("on_policy", "policy"), ("mixed", "mixture"), ("demonstration", "demonstration"))


def _of_kinds(metric: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"train/{kind}/{metric}", name) for kind, name in _KINDS)


CURVES: Final = (
    Curve("reward", _of_kinds("reward")),
    Curve("accuracy", (*_of_kinds("outcome"), (r"val/([^/]+)/avg@\d+", "held out"))),
    Curve("entropy, nats", _of_kinds("entropy")),
    Curve("length, tokens", _of_kinds("length")),
    Curve("guided share", (("train/mixed/guided", "guided"), ("train/mixed/replaced", "replaced"))),
    Curve("γ_p", (("train/gamma", "γ_p"),)),
)


def curves_of(run: Path) -> list[dict[str, Any]]:
    """The pictures of a run that have a line; none where it has no metrics.csv.

    Raises:
        DamagedFile: where the file cannot be read as one.
    """
    file = run / "metrics.csv"
    if not file.is_file():
        return []
    metrics: dict[str, dict[int, float]] = {}
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                _take(row, metrics)
    except (OSError, ValueError, csv.Error) as problem:
        reason = " ".join(str(problem).split())[:120]
        raise DamagedFile(file, f"is no table of metrics ({reason}): move it away") from None
    drawn = [{"title": curve.title, "lines": _lines(curve, metrics)} for curve in CURVES]
    return [picture for picture in drawn if picture["lines"]]


def _take(row: dict[str, str], metrics: dict[str, dict[int, float]]) -> None:
    """Add a row's numbers, where it is whole: a kill cuts the last one."""
    if None in row or None in row.values():
        return
    step = int(row["step"])
    for name, text in row.items():
        if text and name.startswith(("train/", "val/")) and math.isfinite(value := float(text)):
            metrics.setdefault(name, {})[step] = value


def _lines(curve: Curve, metrics: dict[str, dict[int, float]]) -> list[dict[str, Any]]:
    lines = []
    for pattern, called in curve.metrics:
        for name, series in metrics.items():
            if match := re.fullmatch(pattern, name):
                label = f"{called} ({match[1]})" if match.groups() else called
                steps = _thinned(sorted(series))
                lines.append({"name": label, "steps": steps, "values": [float(f"{series[s]:.5g}") for s in steps]})
    return lines


def _thinned(steps: list[int]) -> list[int]:
    """At most POINTS of them, evenly, the first and the last among them."""
    if len(steps) <= POINTS:
        return steps
    return [steps[round(place * (len(steps) - 1) / (POINTS - 1))] for place in range(POINTS)]
