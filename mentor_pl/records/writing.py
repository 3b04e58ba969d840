"""Writing the record of a step: whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mentor_pl.records.reading import place_of
from mentor_pl.records.schema import SCHEMA


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
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            pq.write_table(rows.cast(SCHEMA), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return path
