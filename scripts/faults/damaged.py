"""Checkpoints that a disk has damaged: cut, emptied, one byte flipped, a file of a folder gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.report import Outcome
from faults.runs import SmallRun, difference


def cut(path: Path) -> None:
    """Lose the end."""
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path: Path) -> None:
    """Lose everything."""
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """Flip one bit."""
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3] ^= 16
    path.write_bytes(whole)


def cases(folder: Path, whole: SmallRun, sharded: SmallRun) -> Iterator[Outcome]:
    """Damage the newest checkpoint of a finished run, or both, and go on.

    Args:
        folder: to work in.
        whole, sharded: undisturbed runs, on one process, and on two with a file of each.
    """
    for harm in (cut, empty, flip):
        yield _before(f"the newest checkpoint: {harm.__name__}", _copy(whole, folder / harm.__name__), whole, harm)
    harms = {
        "a shard is cut": lambda path: cut(path / "__1_0.distcp"),
        "a byte of a shard is flipped": lambda path: flip(path / "__0_0.distcp"),
        "a shard is gone": lambda path: (path / "__1_0.distcp").unlink(),
        "the list of checksums is gone": lambda path: (path / "checksums.json").unlink(),
    }
    for number, (name, shard_harm) in enumerate(harms.items()):
        run = _copy(sharded, folder / f"sharded-{number}")
        yield _before(f"the newest sharded checkpoint: {name}", run, sharded, shard_harm)
    run = _copy(whole, folder / "both")
    for path in run.checkpoints():
        flip(path)
    ended = run.go()
    passed = ended.status == 2 and "has no checkpoint that is whole" in ended.last_line
    yield Outcome("both checkpoints: a byte is flipped", "status 2 and one line", ended.last_line[:120], passed)


def _copy(run: SmallRun, folder: Path) -> SmallRun:
    copy = run.beside(folder)
    shutil.copytree(run.folder / "runs", folder / "runs")
    return copy


def _before(name: str, run: SmallRun, whole: SmallRun, harm: Callable[[Path], object]) -> Outcome:
    harm(run.checkpoints()[-1])
    ended = run.go()
    problem = f"status {ended.status}: {ended.last_line}" if ended.status else difference(run, whole)
    problem = problem or ("" if "is damaged" in ended.text else "no word of it")
    expected = "said, the one before is taken, and the run ends bit for bit equal"
    return Outcome(name, expected, problem or "equal", not problem)
