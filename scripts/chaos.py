"""Runs under kills, signals, full and read-only disks, damaged checkpoints, and failing graders.

    python scripts/chaos.py [--only kills,signals,disks,damage,graders,memory] [--kills 30] [--steps 1000]

Every case ends in the final weights, moments and rows of an undisturbed run, bit for bit, or in the one line that is
expected of it. Needs `mentor testbed build`; takes about half an hour on two cores. Exit status 1 where a case fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from faults import damaged, disks, endurance, graders, kills, signalled
from faults.environment import ROOT
from faults.report import Outcome, finish
from faults.runs import SmallRun

PARTS = ("kills", "signals", "disks", "damage", "graders", "memory")


def main() -> int:
    """Try what is asked for; 1 where a case fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by comma")
    parser.add_argument("--kills", type=int, default=30, help="how many kills in all")
    parser.add_argument("--steps", type=int, default=1000, help="steps of the run whose memory is watched")
    parser.add_argument("--other", type=Path, default=Path("/dev/shm"), help="a folder on another file system")
    options = parser.parse_args()
    only = options.only.split(",")
    if unknown := sorted(set(only) - set(PARTS)):
        parser.error(f"--only {','.join(unknown)}: parts are {', '.join(PARTS)}")
    if not (ROOT / "data/testbed/policy").is_dir():
        parser.error("there is no data/testbed: run `mentor testbed build` first")
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory(dir=options.other) as other:
        return finish("Chaos", cases(Path(here), Path(other), only, options))


def cases(here: Path, other: Path, only: list[str], options: argparse.Namespace) -> Iterator[Outcome]:
    """All that was asked for."""
    cache = here / "cache"
    whole = SmallRun(here / "whole", cache)
    two, sharded = SmallRun(here / "two", cache, 2), SmallRun(here / "sharded", cache, 2, sharded=True)
    for name, run, wanted in (
        ("one process", whole, {"kills", "signals", "disks", "damage"}),
        ("two processes", two, {"signals"}),
        ("two processes, a file of each", sharded, {"damage", "kills"}),
    ):
        if wanted.intersection(only):
            ended = run.go()
            yield Outcome(f"undisturbed run, {name}", "status 0", f"status {ended.status}", ended.status == 0)
    if "kills" in only:
        yield from kills.cases(here, other, whole, sharded, options.kills)
    if "signals" in only:
        yield from signalled.cases(here, whole, two)
    if "disks" in only:
        yield from disks.cases(here, whole)
    if "damage" in only:
        yield from damaged.cases(here, whole, sharded)
    if "graders" in only:
        yield from graders.cases()
    if "memory" in only:
        yield from endurance.cases(here, cache, options.steps)


if __name__ == "__main__":
    sys.exit(main())
