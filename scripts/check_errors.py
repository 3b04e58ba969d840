"""Try wrong settings and inputs, and print how each ended; exit 1 where one is not one line with status 2.

    python scripts/check_errors.py [--only TEXT] [--jobs 2 | --warm]

Each mistake is made in a process of its own, in a folder of its own, with the embedded testbed and a configuration that
works. What the line must have (the key, the value, a remedy) lies with the cases, in scripts/faults/wrong_*.py. Files
that nobody may read are left out where the user is root, who reads them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faults import wrong, wrong_commands, wrong_files, wrong_settings
from faults.report import Outcome, finish
from faults.warm import Warm

from mentor_pl.testbed.maze.build import build

CASES = [*wrong_settings.CASES, *wrong_files.CASES, *wrong_commands.CASES]
AT_LEAST = 80


def main() -> int:
    """Try every case; 1 where one fails, or where they are too few."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose kind or command has this text")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--warm", action="store_true", help="fork them from one that has imported everything")
    arguments = parser.parse_args()
    chosen = [case for case in CASES if arguments.only in f"{case.kind}: {case.command}"]
    outcomes: list[Outcome] = []

    def tried() -> Iterator[Outcome]:
        with tempfile.TemporaryDirectory() as place:
            attempt = Attempt(Path(place), warm=arguments.warm)
            with ThreadPoolExecutor(arguments.jobs) as pool:
                for outcome in map(attempt, chosen) if arguments.warm else pool.map(attempt, chosen):
                    outcomes.append(outcome)
                    yield outcome

    status = finish("Wrong settings and inputs", tried())
    print("\n| kind | tried | one line, status 2 |\n| --- | --- | --- |")
    kinds = Counter(case.kind for case in chosen)
    passed = Counter(case.kind for case, outcome in zip(chosen, outcomes, strict=True) if outcome.passed)
    for kind, count in kinds.items():
        print(f"| {kind} | {count} | {passed[kind]} |")
    return status or int(not arguments.only and len(chosen) < AT_LEAST)


class Attempt:
    """Tries a case in a folder of its own."""

    def __init__(self, place: Path, *, warm: bool) -> None:
        self.place = place
        build(place / "testbed", train_problems=200, heldout_problems=4)
        self.base = (wrong.ROOT / "configs/quickstart.yaml").read_text(encoding="utf-8")
        self.run = Warm(place / "warm").run if warm else wrong.run

    def __call__(self, case: wrong.Case) -> Outcome:
        folder = self.place / f"case{CASES.index(case)}"
        wrong.prepare(case, folder, self.place / "testbed", self.base)
        try:
            return wrong.judge(case, *self.run(case, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
