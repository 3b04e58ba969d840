"""Texts out of a record's columns, whatever bytes a stranger's file has in them."""

from __future__ import annotations

import pyarrow as pa


def texts(column: pa.Array | pa.ChunkedArray) -> list[str]:
    """The values of a column of texts; bytes that are no UTF-8 become U+FFFD."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [value.decode("utf-8", "replace") for value in column.cast(pa.binary()).to_pylist()]
