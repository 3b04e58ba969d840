"""What becomes of replaced tokens: log π of the expert's token and of the policy's draft, then and now.

`<run>/absorbed.parquet` has a row for each token and each time that it was scored again. Rows are never changed; the
file grows, and is written anew whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mentor_pl.records.damaged import DamagedFile
from mentor_pl.records.schema import Field
from mentor_pl.runtime.whole_files import whole_file

NAME = "absorbed.parquet"

FIELDS = (
    Field("step", pa.int32(), "step in which the token was replaced, as in metrics.csv"),
    Field("rank", pa.int32(), "process that made the rollout"),
    Field("group", pa.int32(), "as in the record of that step"),
    Field("number", pa.int32(), "likewise: rank, group and number tell the rollout"),
    Field("problem", pa.int64(), "the problem's place in the data set"),
    Field("position", pa.int32(), "the token's place in the response"),
    Field("expert_id", pa.int32(), "the expert's token, which stands"),
    Field("draft_id", pa.int32(), "the policy's draft, which fell"),
    Field("expert_piece", pa.string(), "text of the expert's token"),
    Field("draft_piece", pa.string(), "text of the draft"),
    Field("scored_at", pa.int32(), "batches of rollouts that had been learned from"),
    Field("age", pa.int32(), "updates since, the one from the rollout itself included: scored_at − step + 1"),
    Field("expert_then", pa.float32(), "log π of the expert's token with the weights that sampled"),
    Field("expert_now", pa.float32(), "log π of the expert's token now"),
    Field("draft_then", pa.float32(), "log π of the draft with the weights that sampled"),
    Field("draft_now", pa.float32(), "log π of the draft now"),
)
SCHEMA = pa.schema([(field.name, field.type) for field in FIELDS])


@dataclass(frozen=True)
class Replaced:
    """A replaced token, kept to be scored again.

    Attributes:
        step, rank, group, number, problem, position, expert_id, draft_id, expert_piece, draft_piece, expert_then,
            draft_then: as of `FIELDS`.
        context: prompt and response before the token.
        temperature: of sampling.
    """

    step: int
    rank: int
    group: int
    number: int
    problem: int
    position: int
    expert_id: int
    draft_id: int
    expert_piece: str
    draft_piece: str
    context: tuple[int, ...]
    temperature: float
    expert_then: float = 0.0
    draft_then: float = 0.0

    @classmethod
    def of(cls, values: dict[str, object]) -> Replaced:
        """What `asdict` gave, as a checkpoint has kept it."""
        known = {field.name for field in fields(cls)}
        plain = {name: value for name, value in values.items() if name in known}
        return cls(**plain | {"context": tuple(plain["context"])})  # type: ignore[arg-type]


def scored_rows(
    tokens: Sequence[Replaced], expert: Sequence[float], draft: Sequence[float], scored_at: int
) -> pa.Table:
    """Rows of tokens that were scored again.

    Args:
        tokens: of one process.
        expert, draft: log π of the expert's token and of the draft now, of each.
        scored_at: batches of rollouts that have been learned from.
    """
    rows = []
    for token, expert_now, draft_now in zip(tokens, expert, draft, strict=True):
        told = {name: value for name, value in asdict(token).items() if name in SCHEMA.names}
        age = {"scored_at": scored_at, "age": scored_at - token.step + 1}
        rows.append(told | age | {"expert_now": expert_now, "draft_now": draft_now})
    return pa.Table.from_pylist(rows, SCHEMA)


def read_absorbed(run: Path) -> pa.Table:
    """The rows of a run; none where it has none.

    Raises:
        DamagedFile: for one that is none of this schema.
    """
    path = run / NAME
    if not path.is_file():
        return SCHEMA.empty_table()
    try:
        with path.open("rb") as file:
            return pq.read_table(file, columns=SCHEMA.names).cast(SCHEMA)
    except (OSError, ValueError, KeyError, pa.ArrowException) as problem:
        reason = " ".join(str(problem).split())[:120]
        raise DamagedFile(path, f"is no file of AbsorbedTokens ({reason}): move it away") from None


def write_absorbed(run: Path, rows: pa.Table) -> None:
    """Write the rows of a run, whole or not at all.

    Raises:
        OSError: where that fails; what was there is as it was.
    """
    with whole_file(run / NAME) as file:
        pq.write_table(rows, file, compression="zstd")
