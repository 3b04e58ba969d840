"""What an experiment keeps on disk: the design as it was before the first run, and the state of every cell.

out/design.json                 the design, its hash, when and by which commit it was written; never written again
out/cells/<method>/<setting>/seed<n>/
    cell.json                   what has been run, by which commit, how it ended, seconds over all attempts
    log.txt                     what the runs said
    metrics.csv, checkpoints/   as of any run of `mentor fit`
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from mentor_pl.experiments.design.design import Cell, Design
from mentor_pl.experiments.runner.commit import NONE, commit
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.machine import described
from mentor_pl.runtime.printable import printable
from mentor_pl.runtime.whole_files import whole_file

LIBRARIES = ("mentor-pl", "torch", "lightning", "transformers", "numpy", "scipy")


@dataclass(frozen=True)
class State:
    """How far a cell has come.

    Attributes:
        status: waiting; begun and not ended; finished; failed; other: in its folder lies a run with other settings.
        identity: of what was run.
        seconds: of all attempts.
        reason: last line of the log of what failed.
        versions: of the libraries that ran it, and `machine`.
        cpu_seconds: of processor time, user and system, of all attempts.
        commits: of the code that ran it, each once, in order.
    """

    status: Literal["waiting", "begun", "finished", "failed", "other"]
    identity: str
    seconds: float = 0.0
    reason: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    commits: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "commits", tuple(self.commits))  # JSON has lists


def folder_of(out: Path, cell: Cell) -> Path:
    """Where a cell's run lies."""
    return out / "cells" / cell.name


def read_state(out: Path, cell: Cell) -> State:
    """The state of a cell."""
    file = folder_of(out, cell) / "cell.json"
    if not file.is_file():
        return State("waiting", cell.identity)
    try:
        state = State(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{file} is damaged ({error}): remove its folder, and the cell runs again") from error
    if state.identity != cell.identity:
        return replace(state, status="other", reason="its folder holds a run with other settings: remove the folder")
    return state


def write_state(out: Path, cell: Cell, state: State) -> None:
    """Keep the state of a cell, whole or not at all."""
    _write(folder_of(out, cell) / "cell.json", asdict(state))


def last_line(log: Path) -> str:
    """The last line of a log that says something, as a terminal may get it."""
    if not log.is_file():
        return "it said nothing"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return printable(next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing"))


def versions() -> dict[str, str]:
    """Of Python and of the libraries that results depend on, and the machine."""
    found = {"machine": described(), "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "none"
    return found


@dataclass(frozen=True)
class Fixed:
    """The design that was fixed before the first run.

    Attributes:
        sha256: its hash.
        written: when, as ISO 8601.
        changes: how the present design differs from it, a line per key.
        commit: of the code then.
    """

    sha256: str
    written: str
    changes: tuple[str, ...]
    commit: str = NONE


def fix(out: Path, design: Design) -> Fixed:
    """Write the design before anything is run; where one is there it stays, and is compared with this one."""
    if not (out / "design.json").is_file():
        now = datetime.now(UTC).isoformat(timespec="seconds")
        kept = {"sha256": design.sha256, "written": now, "commit": commit(), "design": design.canonical()}
        _write(out / "design.json", kept)
    return fixed(out, design)


def fixed(out: Path, design: Design) -> Fixed:
    """The design that was written, against this one.

    Raises:
        UsageError: where none was, or it cannot be read.
    """
    file = out / "design.json"
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        before, sha256, written, code = kept["design"], kept["sha256"], kept["written"], kept["commit"]
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}): run the experiment, or give its --out") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is damaged ({error!r}): take another --out") from error
    if sha256 == design.sha256:
        return Fixed(sha256, written, (), code)
    then, now = dict(_flat(before)), dict(_flat(design.canonical()))
    keys = [key for key in sorted({*then, *now}) if then.get(key, _ABSENT) != now.get(key, _ABSENT)]
    lines = [f"{key} was {_shown(then, key)} and is {_shown(now, key)}" for key in keys]
    return Fixed(sha256, written, tuple(lines) or ("its hash alone: design.json was edited",), code)


_ABSENT = object()  # equal to no value


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "absent"


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not items:
        yield path, value
    for name, item in items:
        yield from _flat(item, f"{path}.{name}" if path else str(name))


def _write(file: Path, content: Mapping[str, Any]) -> None:
    try:
        with whole_file(file) as written:
            written.write((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror}): make room, or take another --out") from error
