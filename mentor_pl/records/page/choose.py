"""Which steps and rollouts of a record a page has room for: steps evenly spaced, whole groups of rollouts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

import pyarrow as pa

T = TypeVar("T")


def evenly(some: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly spaced, the first and the last among them; of one the last."""
    if len(some) <= most:
        return list(some)
    if most <= 1:
        return list(some[-1:])
    return [some[round(place * (len(some) - 1) / (most - 1))] for place in range(most)]


def choose_rows(rows: pa.Table, most: int, wanted: Collection[int] = ()) -> list[int]:
    """The places of at most so many rollouts: groups evenly spaced, whole where one is not larger than that.

    Args:
        rows: of a step, by group.
        most: at least 1.
        wanted: problems whose groups go first, such as those that another run has too.
    """
    if len(rows) <= most:
        return list(range(len(rows)))
    groups: dict[tuple[int, int], list[int]] = {}
    keys = zip(rows["rank"].to_pylist(), rows["group"].to_pylist(), strict=True)
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    problems = rows["problem"].to_pylist()
    listed = list(groups.values())
    room = max(1, most * len(listed) // len(rows))
    first, rest = ([group for group in listed if (problems[group[0]] in wanted) is there] for there in (True, False))
    chosen = evenly(first, room)
    if len(chosen) < room:
        chosen += evenly(rest, room - len(chosen))
    while len(chosen) > 1 and sum(map(len, chosen)) > most:  # groups differ in size
        chosen.pop()
    return evenly(sorted(row for group in chosen for row in group), most)
