"""Runs the cells of an experiment: each a `mentor fit` of its own, so many at a time, and what is finished stays.

A cell goes on from its newest checkpoint (`--resume auto`). One that fails is noted, and the others go on. On SIGINT or
SIGTERM every run is told once, saves and ends; the same command then goes on with all of them.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mentor_pl.experiments.design.design import Cell
from mentor_pl.experiments.runner.commit import commit
from mentor_pl.experiments.runner.folder import State, folder_of, last_line, read_state, versions, write_state
from mentor_pl.runtime import signals

_POLL = 0.1  # seconds between two looks at the runs
# Is told how the cells get on: the states of all, and for how many seconds each one that runs has been running.
Watcher = Callable[[Mapping[Cell, State], Mapping[Cell, float]], None]


def fit_arguments(cell: Cell, out: Path) -> list[str]:
    """What follows `mentor` in the command of a cell."""
    folder = folder_of(out, cell)
    places = {"save_dir": str(folder.parent.parent), "name": folder.parent.name, "version": folder.name}
    logger = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": places}
    quiet = "--trainer.enable_progress_bar=false"
    return ["fit", *cell.arguments, quiet, f"--trainer.logger={json.dumps(logger)}", "--resume=auto"]


def rerun_arguments(cell: Cell, out: Path) -> list[str]:
    """What follows `mentor` in a command that runs a cell once more, beside the experiment."""
    places = {"save_dir": str(out / "reruns" / cell.method), "name": f"{cell.setting}-seed{cell.seed}"}
    logger = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": places}
    return ["fit", *cell.arguments, f"--trainer.logger={json.dumps(logger)}"]


def start(cell: Cell, out: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a cell in a process group of its own: of a terminal's Ctrl-C it hears from this process alone, once."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mentor_pl.cli", *fit_arguments(cell, out)]
    with log.open("ab") as file:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, process_group=0)


@dataclass
class _Run:
    cell: Cell
    before: State
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    cpu_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def ended(self, wait: bool = False) -> bool:
        """Whether its process has ended, whose processor time is then known.

        It is what this process's ended children have used, together, before and after one more has ended.
        """
        before = _children_seconds()
        status = self.process.wait() if wait else self.process.poll()
        self.cpu_seconds += _children_seconds() - before
        return status is not None

    def state(self, out: Path, stopped: bool = False) -> State:
        """Of the cell, once its process has ended; one that was stopped has not failed."""
        spent, status = self.before.seconds + self.seconds, self.process.returncode
        now = replace(
            self.before, seconds=spent, cpu_seconds=self.before.cpu_seconds + self.cpu_seconds, versions=versions()
        )
        if status == 0 or stopped:
            return replace(now, status="finished" if status == 0 else "begun")
        reason = f"status {status}: {last_line(folder_of(out, self.cell) / 'log.txt')}"
        return replace(now, status="failed", reason=reason)


def _children_seconds() -> float:
    """Processor time, user and system, of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_cells(cells: Iterable[Cell], out: Path, jobs: int, watch: Watcher) -> dict[Cell, State]:
    """Run what is not finished, `jobs` at a time.

    Args:
        cells: in their order.
        out: the experiment's folder.
        jobs: processes at a time.
        watch: is told of every change, and now and then.

    Returns:
        the state of each cell. Those that failed before are tried again, those with another run in their folder not.

    Raises:
        Stopped: on a signal, once every run has ended and its state is kept.
    """
    states = {cell: read_state(out, cell) for cell in cells}
    waiting = deque(cell for cell, state in states.items() if state.status not in ("finished", "other"))
    running: list[_Run] = []
    signals.pass_on(lambda: [run.process for run in running])
    signals.be_careful()  # a signal is passed on at once, and noted here
    try:
        while waiting or running:
            signals.check()
            while waiting and len(running) < jobs:
                cell = waiting.popleft()
                begun = _begun(cell, states[cell])
                write_state(out, cell, begun)
                log = folder_of(out, cell) / "log.txt"
                running.append(_Run(cell, begun, start(cell, out, log)))
                states[cell] = begun
            for run in [run for run in running if run.ended()]:
                running.remove(run)
                states[run.cell] = run.state(out)
                write_state(out, run.cell, states[run.cell])
            watch(states, {run.cell: run.seconds for run in running})
            if running:
                time.sleep(_POLL)
    except BaseException as error:
        for run in running:
            if not isinstance(error, signals.Stopped):  # which has been passed on already
                run.process.terminate()
        for run in running:
            run.ended(wait=True)
            write_state(out, run.cell, run.state(out, stopped=True))
        raise
    finally:
        signals.pass_on(list)
    signals.be_careless()
    return states


def _begun(cell: Cell, before: State) -> State:
    """A cell that starts, or goes on: with this code."""
    commits = tuple(dict.fromkeys([*before.commits, commit()]))
    return State("begun", cell.identity, before.seconds, cpu_seconds=before.cpu_seconds, commits=commits)
