"""What forks of a run have found: `<run>/forks.jsonl`, a line of JSON for each `mentor fork`, the latest last."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from mentor_pl.records.damaged import DamagedFile
from mentor_pl.runtime.errors import UsageError

NAME: Final = "forks.jsonl"


@dataclass(frozen=True)
class Fork:
    """One fork: k responses behind the policy's draft, and k behind the expert's token, at a replaced token.

    Attributes:
        step: of the record, as in metrics.csv.
        rollout: its row in the record, from 0.
        rank, group, number: of the rollout, as in the record.
        problem: the problem's place in the data set.
        token: the token's place in the response, from 0.
        sampled_by: fingerprint of the weights that sampled the rollout; `weights` in the record.
        draft_id, expert_id: the two tokens.
        draft_piece, expert_piece: their texts.
        weights: that went on, in words.
        learned: batches of rollouts that those had learned from; step − 1 where they are those that sampled.
        k: responses behind each token.
        seed: of their noise.
        draft_succeeded, expert_succeeded: how many of the k did.
        draft_low, draft_high, expert_low, expert_high: Wilson's intervals of the two rates at 95 %.
        difference, difference_low, difference_high: the expert's rate less the draft's, and Newcombe's interval.
    """

    step: int
    rollout: int
    rank: int
    group: int
    number: int
    problem: int
    token: int
    sampled_by: str
    draft_id: int
    expert_id: int
    draft_piece: str
    expert_piece: str
    weights: str
    learned: int
    k: int
    seed: int
    draft_succeeded: int
    draft_low: float
    draft_high: float
    expert_succeeded: int
    expert_low: float
    expert_high: float
    difference: float
    difference_low: float
    difference_high: float


def append_fork(run: Path, found: Fork) -> None:
    """Put a line behind those that are there.

    Raises:
        UsageError: where that fails.
    """
    file = run / NAME
    try:
        with file.open("a+b") as lines:
            lines.seek(max(0, lines.seek(0, 2) - 1))
            cut = lines.read(1) not in (b"", b"\n")  # a line that a kill or a full disk has left
            lines.write(b"\n" * cut + json.dumps(asdict(found)).encode("ascii") + b"\n")
    except OSError as problem:
        raise UsageError(
            f"{file}: what was found cannot be kept ({problem.strerror or problem}): make room for it"
        ) from None


def read_forks(run: Path) -> list[Fork]:
    """The forks of a run in the order in which they were made, without lines that are cut; none where it has none.

    Raises:
        DamagedFile: for one that is none of `mentor fork`.
    """
    file = run / NAME
    if not file.is_file():
        return []
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as problem:
        raise DamagedFile(file, f"cannot be read ({problem.strerror}): move it away") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line, parse_constant=_refuse) if line.strip() else None
        except (ValueError, RecursionError):
            if not line.startswith("{"):
                raise _none(file, number, "no JSON") from None
            continue
        if values is not None:
            found.append(_fork(file, number, values))
    return found


def _fork(file: Path, number: int, values: Any) -> Fork:
    if not isinstance(values, Mapping):
        raise _none(file, number, "no object")
    for field in fields(Fork):
        if field.name not in values or not _KINDS[str(field.type)](values[field.name]):
            raise _none(file, number, f"{field.name}: {values.get(field.name, 'missing')!r:.40}")
    return Fork(**{field.name: values[field.name] for field in fields(Fork)})


def _whole(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**53  # that a page can say, too


def _number(value: Any) -> bool:
    return _whole(value) or (type(value) is float and math.isfinite(value))


_KINDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "int": _whole, "float": _number, "str": lambda value: isinstance(value, str),
}  # fmt: skip


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _none(file: Path, number: int, reason: str) -> DamagedFile:
    return DamagedFile(file, f"is none of mentor fork (line {number}, {reason}): move it away")
