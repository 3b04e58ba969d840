"""Whether a file with a record's columns is one: no value is missing, and every token has its values."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mentor_pl.records.schema import ALTERNATIVE, OPTIONAL, ORIGINS, SCHEMA, TOKEN

_MAY_BE_EMPTY = ("coins", *(field.name for field in OPTIONAL))
_LAWS = ("policy", "expert", "mixture")


def misfit(rows: pa.Table, step: int) -> str | None:
    """What makes a table of the schema no record of a step, in words; None where nothing does.

    Args:
        rows: of `SCHEMA`.
        step: that they are to be of.
    """
    for name in SCHEMA.names:
        if name != "reward" and _nulls(rows[name].combine_chunks()):
            return f"{name} has values that are missing"
    if not pc.all(pc.equal(rows["step"], step), min_count=0).as_py():
        return f"it has rollouts of step {pc.max(rows['step']).as_py()}"
    strange = set(rows["origin"].unique().to_pylist()) - set(ORIGINS)
    if strange:
        return f"origin is {min(strange)!r:.40}"
    lengths = rows["length"].combine_chunks()
    for field in (*TOKEN, *OPTIONAL):
        own = pc.list_value_length(rows[field.name].combine_chunks())
        fits = pc.equal(own, lengths)
        if field.name in _MAY_BE_EMPTY:
            fits = pc.or_(fits, pc.equal(own, 0))
        if not pc.all(fits, min_count=0).as_py():
            row = pc.index(fits, False).as_py()
            return f"rollout {row} of {lengths[row]} tokens has {own[row]} {field.name}"
    return _misfit_of_alternatives(rows["alternatives"].combine_chunks(), lengths)


def _nulls(column: pa.Array) -> bool:
    """Whether a value is missing, or one within it."""
    if column.null_count:
        return True
    if pa.types.is_list(column.type):
        return _nulls(column.flatten())
    return pa.types.is_struct(column.type) and any(map(_nulls, column.flatten()))


def _misfit_of_alternatives(column: pa.ListArray, lengths: pa.Array) -> str | None:
    listed, of_token = column.flatten(), lengths.take(pc.list_parent_indices(column))
    place = listed.field(ALTERNATIVE.get_field_index("position"))
    there = pc.and_(pc.greater_equal(place, 0), pc.less(place, of_token))
    if not pc.all(there, min_count=0).as_py():
        return "alternatives are of tokens that are not there"
    for law in _LAWS:
        sizes = [pc.list_value_length(listed.field(f"{law}{suffix}")) for suffix in ("", "_ids", "_pieces")]
        if not (sizes[0].equals(sizes[1]) and sizes[0].equals(sizes[2])):
            return f"alternatives of {law} have tokens without probability or text"
    return None
