"""Writing the record of a step: whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mentor_pl.records.reading import place_of, steps_of
from mentor_pl.records.schema import FOLDER, SCHEMA
from mentor_pl.runtime.whole_files import UNFINISHED, whole_file


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """The columns that Parquet makes of one, by its names for them."""
    if pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    else:
        yield path, kind


_LEAVES = [leaf for field in SCHEMA for leaf in _leaves(field.name, field.type)]
# Small records are mostly what Parquet says of its columns; and hardly two numbers of a record are equal.
_PARQUET = {
    "compression": "zstd",
    "write_statistics": False,
    "store_schema": False,
    "use_dictionary": [path for path, kind in _LEAVES if not pa.types.is_float32(kind)],
}


def in_order(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all processes, in the order that one process alone would have: problems were dealt to them in turn.

    Args:
        tables: of each process, its rows ordered by group, then by number.
    """
    rows = pa.concat_tables(tables)
    if len(tables) == 1:
        return rows
    return rows.take(pc.sort_indices(rows, [("group", "ascending"), ("rank", "ascending")]))


def write_step(run: Path, step: int, rows: pa.Table) -> Path:
    """Write the rollouts of a step, and name the file. A kill leaves no part of it under its name.

    Args:
        run: the run's folder.
        step: batches of rollouts done once this one is learned from.
        rows: by `SCHEMA`.

    Raises:
        OSError: where it cannot be written; nothing is left behind then.
    """
    path = place_of(run, step)
    with whole_file(path) as file:
        pq.write_table(rows.cast(SCHEMA), file, **_PARQUET)
    return path


def drop_behind(run: Path, step: int) -> None:
    """Remove the records of later steps, and what a kill has left unfinished.

    Raises:
        OSError: where one cannot be removed.
    """
    for later in steps_of(run):
        if later > step:
            place_of(run, later).unlink()
    for unfinished in (run / FOLDER).glob(f".step=*.parquet{UNFINISHED}"):
        unfinished.unlink()
