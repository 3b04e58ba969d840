"""Try wrong settings and inputs, and print how each ended; exit 1 where one is not one line with status 2.

    python scripts/check_errors.py [--only TEXT] [--jobs 2]

Each mistake is made in a process of its own, in a folder of its own, with the embedded testbed and a configuration that
works. What the line must have (the key, the value, a remedy) lies with the cases, in scripts/faults/wrong_*.py. Files
that nobody may read are left out where the user is root, who reads them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faults import wrong, wrong_commands, wrong_files, wrong_settings
from faults.report import Outcome, finish

from mentor_pl.testbed.build import build

CASES = [*wrong_settings.CASES, *wrong_files.CASES, *wrong_commands.CASES]
AT_LEAST = 80


def main() -> int:
    """Try every case; 1 where one fails, or where they are too few."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose kind or command has this text")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    arguments = parser.parse_args()
    chosen = [case for case in CASES if arguments.only in f"{case.kind}: {case.command}"]
    outcomes: list[Outcome] = []

    def tried() -> Iterator[Outcome]:
        with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(arguments.jobs) as pool:
            folder = Path(place)
            build(folder / "testbed", train_problems=200, heldout_problems=4)
            base = (wrong.ROOT / "configs/quickstart.yaml").read_text(encoding="utf-8")
            numbered = list(enumerate(chosen))
            for outcome in pool.map(
                lambda one: attempt(one[1], folder / f"case{one[0]}", folder / "testbed", base), numbered
            ):
                outcomes.append(outcome)
                yield outcome

    status = finish("Wrong settings and inputs", tried())
    print("\n| kind | tried | one line, status 2 |\n| --- | --- | --- |")
    kinds = Counter(case.kind for case in chosen)
    passed = Counter(case.kind for case, outcome in zip(chosen, outcomes, strict=True) if outcome.passed)
    for kind, count in kinds.items():
        print(f"| {kind} | {count} | {passed[kind]} |")
    return status or int(not arguments.only and len(chosen) < AT_LEAST)


def attempt(case: wrong.Case, folder: Path, testbed: Path, base: str) -> Outcome:
    """Try one case in a new folder."""
    wrong.prepare(case, folder, testbed, base)
    return wrong.judge(case, *wrong.run(case, folder))


if __name__ == "__main__":
    sys.exit(main())
