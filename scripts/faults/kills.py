"""Runs that are killed, again and again, and gone on with by the same command."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

from faults.report import Outcome
from faults.runs import SmallRun, difference

# moments and how often they come before the kill, for runs that are killed on until they are through
MOMENTS = (
    *("loading:1", "sampling:9", "updating:1", "writing:1", "writing:40", "placing:1", "metrics:2", "validating:20"),
    *("sampling:60", "updating:3", "placing:2", "writing:90", "grading:40", "sampling:200", "metrics:1", "placing:1"),
)


def cases(folder: Path, other: Path, whole: SmallRun, kills: int = 30) -> Iterator[Outcome]:
    """Kill runs in chains: at a moment of the run's own, then at a random time.

    Args:
        folder: to work in.
        other: a folder on another file system than TMPDIR, where one chain lies.
        whole: an undisturbed run.
        kills: how many in all.
    """
    chance, done, chain = random.Random(7), 0, 0
    moments = list(MOMENTS)
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
        ended = run.go()
        left = [path.name for path in (run.run_folder / "checkpoints").glob(".*")]
        problem = f"status {ended.status}: {ended.last_line}" if ended.status else difference(run, whole)
        problem = problem or (f"left behind: {left}" if left else "")
        where = ", run folder on another file system than TMPDIR" if on_other else ""
        yield Outcome(
            f"SIGKILL × {len(struck)} ({', '.join(struck)}){where}",
            "the same command ends the run: weights, moments and rows bit for bit",
            problem or "equal",
            not problem,
        )
        chain += 1
