"""Runs the cells of an experiment: each a `mentor fit` of its own, so many at a time, and what is finished stays.

A cell goes on from its newest checkpoint (`--resume auto`). One that fails is noted, and the others go on. On SIGINT or
SIGTERM every run is told once, saves and ends; the same command then goes on with all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mentor_pl.experiments.design import Cell
from mentor_pl.experiments.folder import State, folder_of, last_line, read_state, versions, write_state
from mentor_pl.runtime import signals

_POLL = 0.1  # seconds between two looks at the runs
# Is told how the cells get on: the states of all, and for how many seconds each one that runs has been running.
Watcher = Callable[[Mapping[Cell, State], Mapping[Cell, float]], None]
# One thread for each run: of several with all processors each, every one would wait for the others.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


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


def start(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start `mentor` in a process group of its own: of a terminal's Ctrl-C it hears from this process alone, once."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mentor_pl.cli", *arguments]
    with log.open("ab") as file:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=os.environ | THREADS, process_group=0
        )


@dataclass
class _Run:
    cell: Cell
    before: State
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def state(self, status: int | None, out: Path) -> State:
        """Of the cell, once its process has ended with this status; none for one that was stopped."""
        spent = self.before.seconds + self.seconds
        if status == 0:
            return State("finished", self.cell.identity, spent, versions=versions())
        if status is None:
            return State("begun", self.cell.identity, spent, versions=versions())
        reason = f"status {status}: {last_line(folder_of(out, self.cell) / 'log.txt')}"
        return State("failed", self.cell.identity, spent, reason, versions())


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
                begun = State("begun", cell.identity, states[cell].seconds)
                write_state(out, cell, begun)
                log = folder_of(out, cell) / "log.txt"
                running.append(_Run(cell, begun, start(fit_arguments(cell, out), log)))
                states[cell] = begun
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                states[run.cell] = run.state(run.process.returncode, out)
                write_state(out, run.cell, states[run.cell])
            watch(states, {run.cell: run.seconds for run in running})
            if running:
                time.sleep(_POLL)
    except BaseException as error:
        for run in running:
            if not isinstance(error, signals.Stopped):  # which has been passed on already
                run.process.terminate()
        for run in running:
            status = run.process.wait()
            write_state(out, run.cell, run.state(0 if status == 0 else None, out))
        raise
    finally:
        signals.pass_on(list)
    signals.be_careless()
    return states
