"""Run folders that are full, read-only or deleted while a run writes to them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from faults.report import Outcome
from faults.runs import SmallRun, difference

SIZE = "6m"  # of the small disk: a run takes about 4 MiB


def cases(folder: Path, whole: SmallRun) -> Iterator[Outcome]:
    """Disks that give out before the second checkpoint, and then are mended.

    Args:
        folder: to work in.
        whole: an undisturbed run.
    """
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        yield Outcome("full and read-only disks", "small disks can be mounted", "not here: that takes root", False)
        return
    for name, action in (("a disk that is full", "fill"), ("a disk that becomes read-only", "readonly")):
        run = whole.beside(folder / action)
        with small_disk(run.folder / "runs") as mend:
            yield _struck(name, run, whole, f"placing:2:{action}" if action == "readonly" else "updating:9:fill", mend)
    run = whole.beside(folder / "deleted")
    yield _deleted(run, whole)


@contextmanager
def small_disk(place: Path) -> Iterator[Callable[[], None]]:
    """A small disk at `place`; what it yields makes room on it and has it writable again."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)], check=True)

    def mend() -> None:
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
        for filler in place.rglob("filler"):
            filler.unlink()

    try:
        yield mend
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _struck(name: str, run: SmallRun, whole: SmallRun, strike: str, mend: Callable[[], None]) -> Outcome:
    ended = run.go(strike=strike)
    lines = [line for line in ended.text.splitlines() if line.startswith("mentor: error:")]
    left = [path.name for path in run.checkpoints()]
    problems = [] if ended.status == 1 and len(lines) == 1 else [f"status {ended.status}, {len(lines)} lines"]
    problems += ["a traceback"] * ("Traceback" in ended.text)
    problems += [f"checkpoints left: {left}"] * (left != ["step=3.ckpt"])
    for path in run.checkpoints():
        torch.load(path, weights_only=True)
    mend()
    after = run.go()
    problems += [f"then status {after.status}: {after.last_line}"] if after.status else [difference(run, whole)]
    problem = "; ".join(filter(None, problems))
    return Outcome(
        f"{name} before the second checkpoint",
        "status 1 and one line, the first checkpoint intact; once mended the command ends the run bit for bit equal",
        problem or f"{lines[0][15:100]}…; equal",
        not problem,
    )


def _deleted(run: SmallRun, whole: SmallRun) -> Outcome:
    """The folder goes while the run is at it: what is written afterwards makes it anew, and the run ends."""
    ended = run.go(strike="updating:9:delete")
    problems = [] if ended.status in (0, 1) else [f"status {ended.status}"]
    problems += ["a traceback"] * ("Traceback" in ended.text)
    problems += ["no word of it"] * ("metrics.csv" not in ended.text)
    ours, theirs = (one.checkpoints()[-1:] for one in (run, whole))
    if not ours or ours[0].name != theirs[0].name:
        problems.append("no checkpoint of the last step")
    else:
        states = [torch.load(path, weights_only=True)["state_dict"] for path in (ours[0], theirs[0])]
        problems += ["the weights differ"] * (not all(torch.equal(states[0][n], v) for n, v in states[1].items()))
    problem = "; ".join(problems)
    return Outcome(
        "the run's folder is deleted in its fifth step",
        "the logger's failure is named, and the last checkpoint holds the weights of an undisturbed run",
        problem or f"status {ended.status}; equal weights",
        not problem,
    )
