"""A wrong setting or input, and trying it: the command's status, what it says on standard error, and what it cost."""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from faults.report import Outcome

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 10.0  # that a mistake may cost
EXPECTED = "status 2, one line with key, value and remedy"
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "WANDB_MODE": "offline",
    "TOKENIZERS_PARALLELISM": "false",
    "COLUMNS": "500",  # argparse breaks what it says at the terminal's width
}


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        kind: what sort of mistake it is, for the table by kinds.
        command: as typed behind `mentor`, or `scripts/NAME.py …`; `fit` and the like get a configuration that works.
        says: what the line must have, between bars: the key, the value, the remedy.
        prepare: makes what the case needs in its folder.
    """

    kind: str
    command: str
    says: str
    prepare: Callable[[Path], None] | None = None


def cases(kind: str, command: str, mistakes: Mapping[str, str]) -> list[Case]:
    """A case for each of several options, behind one command."""
    return [Case(kind, f"{command} {options}", says) for options, says in mistakes.items()]


def words_of(case: Case) -> list[str]:
    """The arguments of the process that tries a case."""
    first, *rest = shlex.split(case.command)
    if first.startswith("scripts/"):
        return [sys.executable, str(ROOT / first), *rest]
    base = ["--config", "base.yaml"] if first in ("fit", "validate", "test") else []
    return [sys.executable, "-m", "mentor_pl.cli", first, *base, *rest]


def prepare(case: Case, folder: Path, testbed: Path, base: str) -> None:
    """Make the folder that a case starts in, with the testbed and a configuration that works."""
    (folder / "data").mkdir(parents=True)
    (folder / "data/testbed").symlink_to(testbed)
    (folder / "base.yaml").write_text(base, encoding="utf-8")
    if case.prepare is not None:
        case.prepare(folder)


def run(case: Case, folder: Path, timeout: float = 120.0) -> tuple[int, str, float]:
    """Exit status, standard error and processor seconds of a case, in its folder."""
    errors = folder.parent / f"{folder.name}.stderr"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            words_of(case),
            cwd=folder,
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        limit = (int(timeout), int(timeout))
        resource.prlimit(process.pid, resource.RLIMIT_CPU, limit)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, errors.read_text(encoding="utf-8", errors="replace"), usage.ru_utime + usage.ru_stime


def judge(case: Case, status: int, told: str, seconds: float) -> Outcome:
    """Whether a case ended as it should."""
    lines = [line for line in told.splitlines() if re.match(r"\w+: error: ", line)]
    faults = []
    if status != 2:
        faults.append(f"status {status}")
    if "Traceback" in told:
        faults.append("a traceback")
    if len(lines) != 1 or told.rstrip().splitlines()[-1:] != lines:
        faults.append(f"{len(lines)} lines of error, or another behind it: {told.strip()[-200:]}")
    faults += [f"no '{part}'" for part in case.says.split("|") if not any(part in line for line in lines)]
    if seconds > CPU_SECONDS:
        faults.append("slow")
    line = lines[0].partition("error: ")[2] if lines else ""
    seen = f"{seconds:.1f} s: {line[:140]}" + (f" ({'; '.join(faults)})" if faults else "")
    return Outcome(f"{case.kind}: {case.command}", EXPECTED, seen, not faults)
