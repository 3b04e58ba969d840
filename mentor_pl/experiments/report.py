"""The report of an experiment: what was asked, what came out, what may be concluded, and how to run any of it again."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mentor_pl.experiments.design import ALL, Design
from mentor_pl.experiments.document import Block, Code, Heading, Picture, Table, Text, to_html, to_markdown
from mentor_pl.experiments.figures import draw_figures, save_figures
from mentor_pl.experiments.folder import Fixed
from mentor_pl.experiments.results import Result, outcomes, values, write_results
from mentor_pl.experiments.runner import THREADS, rerun_arguments
from mentor_pl.experiments.statistics import mean_and_error, summarise
from mentor_pl.experiments.verdicts import Verdict, judge
from mentor_pl.runtime.errors import UsageError

_CAPTIONS = {
    "seeds": "Every seed as a point; bar and band: interquartile mean with its 95 % BCa interval over seeds",
    "curves": "Means over seeds against steps, with a band of one standard error",
    "pass_at": "pass@k at the end of the runs, mean and standard error over seeds",
    "words": "Share of responses with each word at the end of the runs, mean and standard error over seeds",
    "cost": "The primary metric against what had been spent when it was measured: seeds thin, their mean thick",
}
_NOTES = (
    "mean ± s.e.: the standard error is over seeds. IQM: mean of the middle half of the seeds, with a 95 % BCa "
    "bootstrap interval over seeds. Difference: by seed, with the interval of its mean; positive is the better "
    "direction. d: Cohen's, paired: mean ÷ standard deviation of the differences. Improvement: chance that a seed of "
    "the one is better than a seed of the other. p: one-sided paired permutation test over seeds, after Holm's "
    "correction over all claims."
)


@dataclass(frozen=True)
class Report:
    """What `write_report` has written, and what it says of the claims.

    Attributes:
        folder: of the report.
        verdicts: on each claim in each setting.
    """

    folder: Path
    verdicts: Sequence[Verdict]


def write_report(out: Path, name: str, design: Design, fixed: Fixed, results: Sequence[Result]) -> Report:
    """Write report.md, report.html, results.jsonl and figures/ into `out`.

    Args:
        out: the experiment's folder.
        name: of the design's file, which is the title.
        design: as it is at present.
        fixed: as it was before the first run.
        results: of all cells.
    """
    verdicts = judge(design, results)
    figures, missing = draw_figures(design, results)
    try:
        save_figures(figures, out / "figures")
        write_results(out / "results.jsonl", design, results)
        blocks = [
            *_opening(name, design, fixed),
            *_claims(design, verdicts),
            *_outcomes(design, results),
            Heading("Figures"),
            *(Picture(f"figures/{figure}", _CAPTIONS[figure]) for figure in figures),
            *(Text(f"Left out: {figure}: {why}.") for figure, why in missing.items()),
            *_costs(design, results),
            *_runs(out, design, results),
        ]
        (out / "report.md").write_text(to_markdown(blocks), encoding="utf-8")
        (out / "report.html").write_text(to_html(blocks, name, out), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out}: the report cannot be written ({error.strerror}): make room, or mend it") from error
    return Report(out, verdicts)


def _opening(name: str, design: Design, fixed: Fixed) -> list[Block]:
    grids = [f"{grid}: {', '.join(one.label for one in choices)}" for grid, choices in design.settings.items()]
    rows = [
        ("methods", ", ".join(design.methods)),
        ("settings", "; ".join(grids) or "one"),
        ("seeds", ", ".join(map(str, design.seeds))),
        ("steps", f"{design.steps} batches of rollouts in every run"),
        ("primary outcome", design.primary.name),
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
    return [*blocks, Heading("Design"), Table(("part", "value"), rows)]


def _claims(design: Design, verdicts: Sequence[Verdict]) -> list[Block]:
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
    return [Heading("Claims"), Text(rule), Table(columns, rows)]


def _outcomes(design: Design, results: Sequence[Result]) -> list[Block]:
    blocks: list[Block] = [Heading("Outcomes"), Text(_NOTES)]
    blocks.append(Text(f"Primary: {design.primary.name}. The others likewise; nothing is tested on them."))
    primary, *others = outcomes(design)
    columns = ["method", "seeds", f"{primary.metric}, mean ± s.e.", "IQM [95 %]", *(one.metric for one in others)]
    for setting in design.combinations():
        rows = []
        for method in design.methods:
            seeds = summarise(list(values(results, method, setting, primary).values()))
            shown = ["0", "–", "–"]
            if seeds is not None:
                shown = [str(seeds.n), _with_error(seeds.mean, seeds.error), _with_interval(seeds.iqm, seeds.interval)]
            beside = [list(values(results, method, setting, one).values()) for one in others]
            rows.append([method, *shown, *(_with_error(*mean_and_error(some)) if some else "–" for some in beside)])
        if setting != ALL:
            blocks.append(Text(f"Setting {setting}:"))
        blocks.append(Table(columns, rows))
    return blocks


def _costs(design: Design, results: Sequence[Result]) -> list[Block]:
    finished = [result for result in results if result.finished]
    names = sorted({name for result in finished for name in result.costs()}, key=lambda name: ("/" in name, name))
    rows = []
    for method in design.methods:
        chosen = [result for result in finished if result.cell.method == method]
        columns = [[one.costs()[name] for one in chosen if name in one.costs()] for name in names]
        columns.append([one.state.seconds for one in chosen])
        rows.append([method, *(_with_error(*mean_and_error(column)) if column else "–" for column in columns)])
    words = (
        f"Every run has {design.steps} batches of rollouts; what these cost is measured. Mean ± s.e. over all finished "
        "runs of a method; seconds/… are parts of a run, the last column is whole commands."
    )
    return [Heading("Cost"), Text(words), Table(["method", *names, "seconds, whole"], rows)]


def _runs(out: Path, design: Design, results: Sequence[Result]) -> list[Block]:
    lost = [result for result in results if not result.finished]
    blocks: list[Block] = [Heading("Runs")]
    if lost:
        blocks.append(Text(f"{len(lost)} of {len(results)} runs have not finished and do not count.", strong=True))
    rows = []
    for result in results:
        value = result.value(design.primary)
        why = result.state.reason or ("too few evaluations, or one is no number" if result.finished else "")
        shown = _cell(value) if value is not None else f"– {why}".strip()
        rows.append([result.cell.name, result.state.status, shown, f"{result.state.seconds:.0f}"])
    blocks.append(Table(["run", "status", design.primary.metric, "seconds"], rows))
    threads = " ".join(f"{name}={value}" for name, value in THREADS.items())
    commands = [shlex.join(["mentor", *rerun_arguments(result.cell, out)]) for result in results]
    blocks += [
        Heading("Run a cell again"),
        Text("Each beside this experiment, from the folder that it was started in, with one thread as here:"),
        Code(f"export {threads}\n" + "\n".join(commands)),
    ]
    versions = {tuple(sorted(result.state.versions.items())) for result in results if result.state.versions}
    lines = ["; ".join(f"{name} {version}" for name, version in some) for some in sorted(versions)]
    return [*blocks, Heading("Versions"), Code("\n".join(lines) or "none has run")]


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
