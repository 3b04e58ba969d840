"""Tables and the figure of what MENTOR costs beside on-policy RL, from what was measured and what is modelled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from cost_model import GATHERING, WAITING, Cost, Device, Setting, overhead, rates, step
from matplotlib.figure import Figure as Drawing
from overhead_sides import SIDES, Measured
from shapes import EXPERT_OF, memory, model, setting_of
from stopwatch import PARTS

from mentor_pl.experiments.figures.curves import RUN_COLOURS

MENTOR, PLAIN = SIDES
Runs = Mapping[str, Sequence[Measured]]  # side -> rounds
WEIGHTS, DISTANCES = (0.02, 0.05, 0.1, 0.2), (0.1, 0.2, 0.4)
GIB, MIB = 2**30, 2**20


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def shown(value: float) -> str:
    """Three figures that count; nothing for nothing."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def parts_of(runs: Sequence[Measured], kind: str) -> dict[str, float]:
    """Part -> median over rounds."""
    columns = [getattr(run, kind) for run in runs]
    return {part: median(column.get(part, 0.0) for column in columns) for part in PARTS}


def ratio(runs: Runs) -> tuple[float, float, float]:
    """Processor seconds of a step, MENTOR ÷ on-policy RL of the same round: median, lowest, highest."""
    found = [mine.step / plain.step for mine, plain in zip(runs[MENTOR], runs[PLAIN], strict=True)]
    return median(found), min(found), max(found)


def per_token(runs: Runs) -> float:
    """The same per response token."""
    pairs = zip(runs[MENTOR], runs[PLAIN], strict=True)
    return median(mine.step / mine.tokens / (plain.step / plain.tokens) for mine, plain in pairs)


def measured_table(runs: Runs) -> str:
    """By part: processor milliseconds of both sides, and their shares beside those of FLOP."""
    seconds = {side: parts_of(some, "processor") for side, some in runs.items()}
    flops = {side: parts_of(some, "flops") for side, some in runs.items()}
    whole = {side: sum(parts.values()) for side, parts in seconds.items()}
    read = {side: sum(parts.values()) for side, parts in flops.items()}
    header = ["part", *(f"{side}, ms" for side in SIDES), "MENTOR: share of time", "of FLOP"]
    rows = []
    for part in PARTS:
        times = [f"{1000 * seconds[side][part]:,.1f}" for side in SIDES]
        shares = [f"{seconds[MENTOR][part] / whole[MENTOR]:.0%}", f"{flops[MENTOR][part] / read[MENTOR]:.0%}"]
        rows.append([part, *times, *shares])
    rows.append(["**a step**", *(f"**{1000 * whole[side]:,.0f}**" for side in SIDES), "", ""])
    wall = {side: median(sum(run.wall.values()) for run in some) for side, some in runs.items()}
    rows.append(["wall", *(f"{1000 * wall[side]:,.0f}" for side in SIDES), "", ""])
    for name, get in (
        ("response tokens", lambda run: run.tokens),
        ("tokens per processor second", lambda run: run.tokens / run.step),
        ("peak memory, MiB", lambda run: run.memory / MIB),
        ("FLOP of reading, G", lambda run: sum(run.flops.values()) / 1e9),
    ):
        rows.append([name, *(shown(median(map(get, runs[side]))) for side in SIDES), "", ""])
    return table(header, rows)


def modelled_table(costs: Mapping[str, Cost], setting: Setting) -> str:
    """By part: seconds of each, and their FLOP on one GPU."""
    rows = []
    for part in (*PARTS, GATHERING, WAITING):
        values = [cost.seconds.get(part, 0.0) for cost in costs.values()]
        if any(values):
            flops = costs[MENTOR].flops.get(part, 0.0)
            rows.append([part, *(f"{value:,.1f}" for value in values), f"{flops / 1e15:.2f}" if flops else ""])
    rows.append(["**a step**", *(f"**{cost.total:,.0f}**" for cost in costs.values()), ""])
    for name in ("sampling", "step"):
        words = "response tokens per second of sampling" if name == "sampling" else "of the whole step"
        rows.append([words, *(f"{rates(cost, setting)[name]:,.0f}" for cost in costs.values()), ""])
    return table(["part", *(f"{name}, s" for name in costs), "MENTOR: PFLOP"], rows)


def modelled(name: str, setting: Setting, device: Device) -> dict[str, Cost]:
    """MENTOR, on-policy RL in two phases, on-policy RL."""
    policy, expert = model(name), model(EXPERT_OF[name])
    return {
        MENTOR: step(policy, expert, setting, device),
        f"{PLAIN} in two phases": step(policy, None, setting, device, two_phases=True),
        PLAIN: step(policy, None, setting, device),
    }


def models_table(device: Device) -> tuple[str, dict[str, Any]]:
    """A line for each policy: seconds, ratios, and memory of a GPU at its peak."""
    rows, plain = [], {}
    for name, expert in EXPERT_OF.items():
        setting = setting_of(name)
        costs = modelled(name, setting, device)
        of_step, of_run = overhead(model(name), model(expert), setting, device)
        held = memory(name, setting)
        gib = [f"{held[side]['peak'] / GIB:.0f}" for side in SIDES]
        seconds = [f"{costs[side].total:,.0f}" for side in SIDES]
        rows.append([f"{name} under {expert}", *seconds, f"{of_step:.2f}", f"{of_run:.2f}", *gib])
        plain[name] = {"seconds": {side: dict(cost.seconds) for side, cost in costs.items()}, "memory": held}
    header = ["policy and expert", *(f"{side}, s" for side in SIDES), "ratio, guided step", "ratio, run"]
    return table([*header, *(f"{side}, GiB" for side in SIDES)], rows), plain


def sensitivity_table(name: str, setting: Setting, device: Device) -> str:
    """Ratio of a guided step for mean w and TV."""
    policy, expert = model(name), model(EXPERT_OF[name])
    rows = []
    for weight in WEIGHTS:
        some = [replace(setting, weight=weight, distance=distance) for distance in DISTANCES]
        values = [overhead(policy, expert, one, device)[0] for one in some]
        replaced = " / ".join(f"{weight * distance:.3f}" for distance in DISTANCES)
        rows.append([f"{weight:.2f}", *(f"{value:.2f}" for value in values), replaced])
    return table(["mean w", *(f"TV {distance}" for distance in DISTANCES), "replaced per token"], rows)


def draw(path: Path, bars: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """A panel for each case: stacked bars of both sides by part, on-policy RL's step being 1; a PNG."""
    names = [*PARTS, GATHERING, WAITING]
    figure = Drawing(figsize=(3.1 * len(bars) + 2.6, 3.6), layout="constrained")
    panels = figure.subplots(1, len(bars), sharey=True, squeeze=False)[0]
    handles: dict[str, Any] = {}
    for axes, (case, sides) in zip(panels, bars.items(), strict=True):
        unit, bottoms = sum(sides[PLAIN].values()), dict.fromkeys(sides, 0.0)
        for place, part in enumerate(names):
            heights = {side: parts.get(part, 0.0) / unit for side, parts in sides.items()}
            if not any(heights.values()):
                continue
            look = {"color": RUN_COLOURS[place % len(RUN_COLOURS)], "hatch": ("", "///")[place >= len(RUN_COLOURS)]}
            drawn = axes.bar(list(sides), list(heights.values()), bottom=list(bottoms.values()), width=0.6, **look)
            if max(heights.values()) > 0.005:  # what can be seen
                handles.setdefault(part, drawn)
            bottoms = {side: bottoms[side] + heights[side] for side in sides}
        axes.set_title(case, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        for side, height in bottoms.items():
            axes.text(side, height, f"{height:.2f}", ha="center", va="bottom", fontsize=8)
    panels[0].set_ylabel("time ÷ a step of on-policy RL")
    figure.legend(handles.values(), handles, loc="outside right upper", fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def records(runs: Mapping[str, Runs], **beside: Any) -> str:
    """All numbers as JSON: a line for each process, and one for each of what is `beside`; five figures that count."""
    measured = [
        {"case": case, "side": side, "round": place, **asdict(run)}
        for case, sides in runs.items()
        for side, some in sides.items()
        for place, run in enumerate(some)
    ]
    parts = [f"{json.dumps(name)}: {_plain(value)}" for name, value in beside.items()]
    parts.append('"measured": [\n' + ",\n".join(map(_plain, measured)) + "\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _plain(value: Any) -> str:
    exact = json.loads(json.dumps(value, default=float), parse_float=lambda text: float(f"{float(text):.5g}"))
    return json.dumps(exact)
