"""Makes problems that a small language model can learn, each with its solution: chain_sum of reasoning-gym.

    pip install mentor-pl[environments]
    python scripts/chain_sums.py --out data/chain_sum

The folder gets train.jsonl and heldout.jsonl: sums of three terms of one or two digits, and in `demonstrations` how one
is done, step by step:

    12 - 5 = 7
    7 + 20 = 27
    \\boxed{27}
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mentor_pl.rewards.environments.tasks import Task
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.folders import check_folder

SETTINGS = {"min_terms": 3, "max_terms": 3, "min_digits": 1, "max_digits": 2}
SIZES = {"heldout": 200, "train": 2000}  # in this order: what is held out is not learned


def main(argv: Sequence[str] | None = None) -> int:
    """Write both files; 2 for what the user has to fix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data/chain_sum"), help="folder (default: %(default)s)")
    out = parser.parse_args(argv).out
    try:
        check_folder("--out", str(out))
        write(out)
    except UsageError as error:
        print("chain_sums: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


def write(out: Path) -> None:
    """The files in the folder `out`; no problem is in both, or twice in one.

    Raises:
        UsageError: where reasoning-gym is not installed.
    """
    seen: dict[str, dict[str, Any]] = {}
    for seed, (split, size) in enumerate(SIZES.items()):
        rows = {row["problem"]: row for row in problems(seed, size) if row["problem"] not in seen}
        seen |= rows
        out.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(row) + "\n" for row in rows.values())
        (out / f"{split}.jsonl").write_text(text, encoding="utf-8")
        print(f"{out / split}.jsonl: {len(rows)} problems")


def problems(seed: int, size: int) -> Iterator[dict[str, Any]]:
    """Problem, answer and solution of each entry of the task."""
    entries = Task("chain_sum", seed, size, SETTINGS).dataset()
    for place in range(size):
        entry = entries[place]
        solution = solved(entry["metadata"]["expression"])
        assert solution.endswith(f"\\boxed{{{entry['answer']}}}")
        yield {"problem": entry["question"], "answer": entry["answer"], "demonstrations": [solution]}


def solved(expression: str) -> str:
    """The steps of a sum such as `12 - 5 + 20`, from the left, and its value in a box."""
    first, *rest = re.findall(r"[+-]|\d+", expression)
    total, lines = int(first), []
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        after = total + int(term) if sign == "+" else total - int(term)
        lines.append(f"{total} {sign} {term} = {after}")
        total = after
    return "\n".join([*lines, f"\\boxed{{{total}}}"])


if __name__ == "__main__":
    sys.exit(main())
