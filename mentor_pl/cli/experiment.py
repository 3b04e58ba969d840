"""`mentor experiment`: runs a design of methods × settings × seeds, and reports what it shows."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from mentor_pl.experiments.design.design import Cell, Design, read_design
from mentor_pl.experiments.report.page import write_page
from mentor_pl.experiments.report.report import Report, write_report
from mentor_pl.experiments.runner.cells import at_a_time, check_whole
from mentor_pl.experiments.runner.estimate import Estimate, NotMeasured, from_finished, in_words, measure
from mentor_pl.experiments.runner.folder import State, fix, fixed, read_state
from mentor_pl.experiments.runner.results import collect
from mentor_pl.experiments.runner.runner import Watcher, fit_arguments, run_cells
from mentor_pl.runtime.errors import RunError, UsageError
from mentor_pl.runtime.folders import check_folder, claim, release
from mentor_pl.runtime.printable import printable
from mentor_pl.runtime.ranges import check
from mentor_pl.runtime.signals import Stopped

_DONE = ("finished", "failed", "other")


def experiment(
    design: Path,
    base: Sequence[str] = (),
    out: Path | None = None,
    jobs: int | None = None,
    dry: bool = False,
    report_only: bool = False,
    page: Path | None = None,
) -> None:
    """Run every cell of a design, a `mentor fit` each, and report what they show.

    A first one, of a minute: `mentor experiment configs/experiments/smoke.yaml`, with --dry to see what it will do.
    The design's hash is written before the first run, and the report of a design that was changed since says so.
    Finished cells are not run again, begun ones go on, and one that fails leaves the others alone: after Ctrl-C or a
    failure, the same command goes on. What comes out is in one folder: report.html, report.md, results.jsonl, figures/.

    Args:
        design: file of the design (docs/experiments.md).
        base: configuration over those of the design's `base`, such as that of a model; give several, later ones win.
            (`--config` gives options of this command as YAML.)
        out: folder of the runs and the report; by default runs/experiments/ and the name of the design, with those of
            --base behind it.
        jobs: cells at a time; by default as many as there are cores for their threads, but 1 where there is a GPU,
            which they would share, or where a cell takes several devices.
        dry: only show the command of every cell and how long all will take, by its finished cells or, where one can be
            made here, a short run.
        report_only: run nothing; report what is there.
        page: also write a page for a repository: this name with .md, and a folder of this name with small figures,
            results and the design beside it.

    Raises:
        UsageError: for a design that cannot be run, a number of jobs below 1, or a folder that cannot be written to.
        RunError: once all else is done and reported, where cells have failed.
    """
    plan, name = read_design(design, base), "-".join(Path(file).stem for file in (str(design), *base))
    folder = out if out is not None else Path("runs/experiments") / name
    check_whole(plan)
    check("--jobs", jobs, at_least=1, because="it counts cells at a time")
    check_folder("--out", folder)
    if page is not None:
        check_folder("--page", page)
    if dry and report_only:
        raise UsageError("--dry and --report_only are both given: one runs nothing, the other reports: give one")
    if dry and page is not None:
        raise UsageError("--dry and --page are both given: a dry run writes nothing: give one")
    at_once = jobs if jobs is not None else at_a_time(plan)
    if dry:
        _show(plan, folder, at_once)
        return
    kept = fixed(folder, plan) if report_only else None
    if kept is None:
        with _alone(folder):
            kept = fix(folder, plan)
            for change in kept.changes:
                print(f"the design has changed since it was fixed: {printable(change)}", file=sys.stderr)
            _run(plan, folder, at_once)
    results = collect(folder, plan)
    report = write_report(folder, name, plan, kept, results)
    _tell(report)
    if page is not None:
        command = ["mentor", "experiment", str(design), *(word for file in base for word in ("--base", file))]
        print(f"page    {write_page(page, command, report, plan, kept, results)}")
    lost = [result for result in results if result.state.status in ("failed", "other")]
    if lost and not report_only:
        raise RunError(
            f"{len(lost)} of {len(results)} cells failed, such as {lost[0].cell.name} ({lost[0].state.reason}): the "
            f"report in {folder} names them; the same command tries them again"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        claim(folder)
    except UsageError:
        raise UsageError(
            f"another mentor experiment is running in {folder}: let it end, or give this one a folder by --out"
        ) from None
    try:
        yield
    finally:
        release()


def _run(plan: Design, folder: Path, jobs: int) -> None:
    with _progress(jobs) as watch:
        try:
            run_cells(plan.cells(), folder, jobs, watch)
        except Stopped:
            states = [read_state(folder, cell).status for cell in plan.cells()]
            count = f"{states.count('finished')} of {len(states)} cells are finished"
            print(f"{count}; the same command goes on with the others", file=sys.stderr)
            raise


@contextmanager
def _progress(jobs: int) -> Iterator[Watcher]:
    """A bar on standard error: cells done, running, failed, and the time left; in a log file a line for each cell."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    shown = sys.stderr.isatty()
    told: set[Cell] = set()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as bar:
        task = bar.add_task("", total=None)

        def watch(states: Mapping[Cell, State], running: Mapping[Cell, float]) -> None:
            done = [cell for cell, state in states.items() if state.status in _DONE]
            for cell in [cell for cell in done if cell not in told]:
                state = states[cell]
                words = f"{cell.name}: {state.status} {in_words(state.seconds)} {state.reason}".rstrip()
                bar.console.print(words, markup=False, highlight=False, soft_wrap=True)
            told.update(done)
            estimate = from_finished(states)
            left = f", {in_words(estimate.left(states, running, jobs))} left" if estimate else ""
            failed = sum(states[cell].status != "finished" for cell in done)
            words = f"{len(running)} running" + (f", {failed} failed" if failed else "") + left
            bar.update(task, completed=len(done), total=len(states), description=words)

        yield watch


def _show(plan: Design, folder: Path, jobs: int) -> None:
    """What would be run, and for how long."""
    states = {cell: read_state(folder, cell) for cell in plan.cells()}
    for cell, state in states.items():
        print(f"# {cell.name}: {state.status} {state.reason}".rstrip())
        print(shlex.join(["mentor", *fit_arguments(cell, folder)]))
    counts = Counter(state.status for state in states.values())
    print(f"\n{len(states)} cells: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    print(f"design  {plan.sha256}")
    if (folder / "design.json").is_file():
        changes = fixed(folder, plan).changes
        print("the one that was fixed before the first run" if not changes else "changed since it was fixed:")
        print("".join(f"  {printable(change)}\n" for change in changes), end="")
    todo = [cell for cell, state in states.items() if state.status not in ("finished", "other")]
    if not todo:
        print("nothing is left to run")
        return
    estimate: Estimate | None = from_finished(states)
    if estimate is None:
        print(f"measuring a short run of {todo[0].name} …", file=sys.stderr)
        try:
            estimate = measure(plan, todo[0])
        except NotMeasured as error:
            print(f"not estimated: {error}")
            return
    again = {cell: State("waiting", cell.identity) for cell in todo}
    left = in_words(estimate.left(again, {}, jobs))
    print(f"about {left} with {jobs} at a time, by {estimate.source}")


def _tell(report: Report) -> None:
    for verdict in report.verdicts:
        print(f"{verdict.answer:<15} {verdict.claim} [{verdict.setting}]: {verdict.why}")
    for judged in report.judged:
        print(f"{judged.answer:<15} {judged.criterion.name} [{judged.setting}]: {judged.why}")
    print(f"report  {report.folder / 'report.html'}")
