from __future__ import annotations

import pytest
from recorded_runs import row, table

from mentor_pl.records.page.choose import choose_rows, evenly


@pytest.mark.parametrize(
    ("most", "chosen"), [(9, list(range(9))), (3, [0, 4, 8]), (2, [0, 8]), (1, [8]), (4, [0, 3, 5, 8])]
)
def test_steps_are_evenly_spaced_with_the_first_and_the_last(most, chosen) -> None:
    assert evenly(list(range(9)), most) == chosen


def groups(*sizes: int):
    """Groups of these sizes; the problem is ten times the group."""
    rows = [row(["U"], group=g, number=n, problem=10 * g) for g, size in enumerate(sizes) for n in range(size)]
    return table(rows)


@pytest.mark.parametrize(
    ("sizes", "most", "wanted", "chosen"),
    [
        ((2, 2, 2), 6, (), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]),
        ((2, 2, 2), 4, (), [(0, 0), (0, 1), (2, 0), (2, 1)]),  # whole groups
        ((2, 2, 2), 5, (), [(0, 0), (0, 1), (2, 0), (2, 1)]),
        ((2, 2, 2), 3, (10,), [(1, 0), (1, 1)]),  # those that another run has first
        ((2, 2, 2), 4, (10,), [(1, 0), (1, 1), (2, 0), (2, 1)]),
        ((5,), 3, (), [(0, 0), (0, 2), (0, 4)]),  # a group that is too large by itself
        ((3, 1), 3, (), [(1, 0)]),
        ((1, 1, 4), 4, (), [(0, 0)]),  # the first and the last would be too many
        ((1, 3), 2, (), [(1, 0), (1, 2)]),
    ],
)
def test_as_many_whole_groups_as_there_is_room_for_are_chosen(sizes, most, wanted, chosen) -> None:
    rows = groups(*sizes)
    found = rows.take(choose_rows(rows, most, wanted))
    assert list(zip(found["group"].to_pylist(), found["number"].to_pylist(), strict=True)) == chosen
