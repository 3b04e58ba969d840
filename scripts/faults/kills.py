"""Runs that are killed, again and again, and gone on with by the same command."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

from faults.report import Outcome
from faults.runs import SmallRun, difference

# Moments and how often they come before the kill: of runs on one process, and of one on two.
MOMENTS = (
    *("loading:1", "sampling:9", "updating:1", "writing:1", "writing:40", "placing:1", "metrics:2", "validating:20"),
    *("sampling:60", "updating:3", "placing:2", "writing:90", "grading:40", "sampling:200", "metrics:1", "placing:1"),
)
SHARDED = ("placing:1", "sampling:90", "placing:2", "updating:3")


def cases(folder: Path, other: Path, whole: SmallRun, sharded: SmallRun, kills: int) -> Iterator[Outcome]:
    """Kill runs in chains: at moments of the run's own, then at random times; last, rank 0 of two.

    Args:
        folder: to work in.
        other: a folder on another file system than TMPDIR, where one chain lies.
        whole, sharded: undisturbed runs, on one process, and on two with a file of each.
        kills: how many in all.
    """
    chance, done, chain = random.Random(7), 0, 0
    moments = list(MOMENTS)
    of_ranks = SHARDED[: max(0, kills - len(MOMENTS))]
    kills -= len(of_ranks)
    while done < kills:
        on_other = chain % 2 == 1
        run = whole.beside((other if on_other else folder) / f"killed-{chain}")
        struck: list[str] = []
        while len(struck) < 8 and done < kills:
            if moments:
                moment = moments.pop(0)
                ended = run.go(strike=f"{moment}:SIGKILL")
            else:
                moment = "random time"
                process = run.start()
                wait = time.monotonic() + chance.uniform(4, 12)
                while time.monotonic() < wait and process.poll() is None:
                    time.sleep(0.05)
                process.kill()
                ended = run.end(process)
            if ended.status == 0:
                break  # it was through before the moment came
            struck.append(moment)
            done += 1
        yield _ended(run, whole, struck, "run folder on another file system than TMPDIR" if on_other else "")
        chain += 1
    if of_ranks:
        run = sharded.beside(folder / "killed-rank")
        struck = [moment for moment in of_ranks if run.go(strike=f"{moment}:SIGKILL").status == 137]
        yield _ended(run, sharded, struck, "rank 0 of two, a file of each", len(of_ranks))


def _ended(run: SmallRun, whole: SmallRun, struck: list[str], where: str, kills: int = 1) -> Outcome:
    """Go on once more, to the end; at least `kills` must have come."""
    ended = run.go()
    left = [path.name for path in (run.run_folder / "checkpoints").glob(".*")]
    problem = f"status {ended.status}: {ended.last_line}" if ended.status else difference(run, whole)
    problem = problem or (f"left behind: {left}" if left else "")
    problem = problem or (f"{len(struck)} of {kills} kills came" if len(struck) < kills else "")
    return Outcome(
        f"SIGKILL × {len(struck)} ({', '.join(struck)}){where and ', '}{where}",
        "the same command ends the run: weights, moments and rows bit for bit",
        problem or "equal",
        not problem,
    )
