"""The parts of a report: what was asked, what came out, what may be concluded, and how to run any of it again."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mentor_pl.experiments.design.design import ALL, Design
from mentor_pl.experiments.design.outcome import Outcome
from mentor_pl.experiments.report.document import Block, Code, Heading, Table, Text
from mentor_pl.experiments.runner.folder import Fixed
from mentor_pl.experiments.runner.results import Result, values
from mentor_pl.experiments.runner.runner import rerun_arguments
from mentor_pl.experiments.statistics.criteria import Judged
from mentor_pl.experiments.statistics.statistics import mean_and_error, summarise
from mentor_pl.experiments.statistics.verdicts import Verdict

_NOTES = (
    "mean ± s.e.: the standard error is over seeds. IQM: mean of the middle half of the seeds, with a 95 % BCa "
    "bootstrap interval over seeds. Difference: by seed, with the interval of its mean; positive is the better "
    "direction. d: Cohen's, paired: mean ÷ standard deviation of the differences. Improvement: chance that a seed of "
    "the one is better than a seed of the other. p: one-sided paired permutation test over seeds, after Holm's "
    "correction over all claims."
)


def opening(name: str, design: Design, fixed: Fixed, results: Sequence[Result]) -> list[Block]:
    """What was asked, by which design, and whether it is the one that was fixed."""
    grids = [f"{grid}: {', '.join(one.label for one in choices)}" for grid, choices in design.settings.items()]
    rows = [
        ("methods", ", ".join(design.methods)),
        ("settings", "; ".join(grids) or "one"),
        ("seeds", ", ".join(map(str, design.seeds))),
        ("steps", f"{design.steps} batches of rollouts in every run"),
        ("primary outcome", design.primary.name),
        ("threads", ", ".join(str(one) for one in sorted({result.cell.threads for result in results})) + " per run"),
        ("level", f"{design.level:g}, after Holm's correction over all claims"),
        ("base", ", ".join(design.base)),
    ]
    blocks: list[Block] = [Heading(name, 1), Text(design.question)]
    if fixed.changes:
        blocks.append(Text("This is not the design that was fixed before the first run.", strong=True))
        blocks.append(Text(f"Fixed {fixed.written}, SHA-256 {fixed.sha256}; that of this report is {design.sha256}."))
        blocks.append(Code("\n".join(fixed.changes)))
    else:
        blocks.append(Text(f"The design was fixed {fixed.written}, before the first run: SHA-256 {fixed.sha256}."))
    blocks.append(Text(f"The code was then of commit {fixed.commit}."))
    others = [one for one in results if one.state.commits and tuple(one.state.commits) != (fixed.commit,)]
    if others:
        by = ", ".join(
            dict.fromkeys(commit for one in others for commit in one.state.commits if commit != fixed.commit)
        )
        named = f", such as {others[0].cell.name}" if len(others) < len(results) else ""
        words = f"{len(others)} of {len(results)} runs were made, in part or whole, by other code{named}: commit {by}."
        blocks.append(Text(words, strong=True))
    return [*blocks, Heading("Design"), Table(("part", "value"), rows)]


def claims(design: Design, verdicts: Sequence[Verdict]) -> list[Block]:
    """Which claims hold; nothing for a design without."""
    columns = [
        "claim",
        "setting",
        "answer",
        "difference [95 %]",
        "d",
        "improvement",
        "pairs",
        "p",
        "p of contrary",
        "why",
    ]
    rows = []
    for one in verdicts:
        pair = one.paired
        shown = ["–"] * 4
        if pair is not None:
            shown = [_with_interval(pair.mean, pair.interval), _cell(pair.d), _cell(pair.improvement)]
            shown += [str(len(pair.seeds))]
        rows.append([one.claim, one.setting, one.answer, *shown, f"{one.p:.3g}", f"{one.p_against:.3g}", one.why])
    if list(design.combinations()) == [ALL]:
        columns, rows = _without(columns, 1), [_without(row, 1) for row in rows]
    rule = (
        f"A claim holds where the adjusted p of a difference above its threshold is at most {design.level:g}, does not "
        "hold where that of a difference below the threshold is, and cannot be told else."
    )
    return [Heading("Claims"), Text(rule), Table(columns, rows)] if rows else []


def criteria(design: Design, judged: Sequence[Judged]) -> list[Block]:
    """Which criteria are met; nothing for a design without."""
    columns = ["criterion", "setting", "answer", "seeds beyond", "why"]
    rows = [
        [one.criterion.name, one.setting, one.answer, ", ".join(map(str, one.beyond)) or "–", one.why] for one in judged
    ]
    if list(design.combinations()) == [ALL]:
        columns, rows = _without(columns, 1), [_without(row, 1) for row in rows]
    rule = "A criterion is met where every seed keeps to it, not met where one does not, and cannot be told else."
    return [Heading("Criteria"), Text(rule), Table(columns, rows)] if rows else []


def outcome_tables(design: Design, results: Sequence[Result]) -> list[Block]:
    """Every method's outcomes in every setting."""
    blocks: list[Block] = [Heading("Outcomes"), Text(_NOTES)]
    blocks.append(Text(f"Primary: {design.primary.name}. Nothing is tested on those that no claim names."))
    primary, *others = design.outcomes()
    same = replace(primary, at="tokens" if primary.at == "steps" else "steps")
    at = {one.at: f"{one.metric} at equal {one.at}, mean ± s.e." for one in (primary, same)}
    columns = ["method", "seeds", at[primary.at], "IQM [95 %]", at[same.at]]
    for setting in design.combinations():

        def shown(method: str, outcome: Outcome, setting: str = setting) -> str:
            found = list(values(results, method, setting, outcome).values())
            return _with_error(*mean_and_error(found)) if found else "–"

        rows = []
        for method in design.methods:
            seeds = summarise(list(values(results, method, setting, primary).values()))
            n, iqm = (str(seeds.n), _with_interval(seeds.iqm, seeds.interval)) if seeds else ("0", "–")
            rows.append([method, n, shown(method, primary), iqm, shown(method, same)])
        if setting != ALL:
            blocks.append(Text(f"Setting {setting}:"))
        blocks.append(Table(columns, rows))
        if others:
            beside = [[one.name, *(shown(method, one) for method in design.methods)] for one in others]
            blocks.append(Table(["mean ± s.e.", *design.methods], beside))
    return blocks


def costs(design: Design, results: Sequence[Result]) -> list[Block]:
    """What the runs of each method have cost."""
    finished = [result for result in results if result.finished]
    names = sorted({name for result in finished for name in result.costs()}, key=lambda name: ("/" in name, name))
    rows = []
    for method in design.methods:
        chosen = [result for result in finished if result.cell.method == method]
        columns = [[one.costs()[name] for one in chosen if name in one.costs()] for name in names]
        columns += [[one.state.seconds for one in chosen], [one.state.cpu_seconds for one in chosen]]
        rows.append([method, *(_with_error(*mean_and_error(column)) if column else "–" for column in columns)])
    words = (
        f"Every run has {design.steps} batches of rollouts; what these cost is measured. Mean ± s.e. over all finished "
        "runs of a method; seconds/… are parts of a run, the last two columns whole commands, by the clock and in "
        "processor time."
    )
    return [Heading("Cost"), Text(words), Table(["method", *names, "seconds, whole", "CPU seconds, whole"], rows)]


def runs(design: Design, results: Sequence[Result]) -> list[Block]:
    """Every run, with its outcome or why it has none."""
    lost = [result for result in results if not result.finished]
    blocks: list[Block] = [Heading("Runs")]
    if lost:
        blocks.append(Text(f"{len(lost)} of {len(results)} runs have not finished and do not count.", strong=True))
    rows = []
    for result in results:
        value, state = result.value(design.primary), result.state
        why = state.reason or ("too few evaluations, or one is no number" if result.finished else "")
        shown = _cell(value) if value is not None else f"– {why}".strip()
        rows.append([result.cell.name, state.status, shown, f"{state.seconds:.0f}", f"{state.cpu_seconds:.0f}"])
    return [*blocks, Table(["run", "status", design.primary.metric, "seconds", "CPU seconds"], rows)]


def every_seed(design: Design, results: Sequence[Result]) -> list[Block]:
    """The primary outcome of every seed, a line for each method and setting."""
    rows = []
    for setting in design.combinations():
        for method in design.methods:
            found = values(results, method, setting, design.primary)
            rows.append([method, setting, *(_cell(found[seed]) if seed in found else "–" for seed in design.seeds)])
    lost = [one for one in results if one.value(design.primary) is None]
    why = ", ".join(f"{one.cell.name} ({one.state.status} {one.state.reason}".rstrip() + ")" for one in lost)
    words = f"{design.primary.name}." + (f" Without: {why}." if lost else "")
    columns = ["method", "setting", *(f"seed {seed}" for seed in design.seeds)]
    return [Heading("Every seed"), Text(words), Table(columns, rows)]


def reruns(out: Path, results: Sequence[Result]) -> list[Block]:
    """The command of every run."""
    words = "Each beside this experiment, from the folder that it was started in:"
    commands = [shlex.join(["mentor", *rerun_arguments(result.cell, out)]) for result in results]
    return [Heading("Run a cell again"), Text(words), Code("\n".join(commands))]


def versions(results: Sequence[Result]) -> list[Block]:
    """What the runs were made with and on."""
    known = {tuple(sorted(result.state.versions.items())) for result in results if result.state.versions}
    lines = ["; ".join(f"{name} {version}" for name, version in some) for some in sorted(known)]
    return [Heading("Versions and machine"), Code("\n".join(lines) or "none has run")]


def _without(row: Sequence[str], place: int) -> list[str]:
    return [*row[:place], *row[place + 1 :]]


def _cell(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1e7:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 20 else f"{value:.3f}"


def _with_error(mean: float, error: float) -> str:
    return _cell(mean) if math.isnan(error) else f"{_cell(mean)} ± {_cell(error)}"


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return _cell(value) if math.isnan(low) else f"{_cell(value)} [{_cell(low)}, {_cell(high)}]"
