from __future__ import annotations

import numpy as np
import pyarrow as pa

from mentor_pl.records.page.vocabulary import vocabulary


def texts(*some: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(some, pa.string())])


def test_every_token_is_told_once_and_an_id_without_a_text_takes_that_of_another() -> None:
    told = vocabulary(
        [(np.array([5, 3, 5]), texts("b", "a", "b")), (np.array([3, 5]), texts("a", "B"))], np.array([3, 9])
    )
    found = [[told.table[place] for place in places.tolist()] for places in told.places]
    assert found == [[[5, "b"], [3, "a"], [5, "b"]], [[3, "a"], [5, "B"]], [[3, "a"], [9, None]]]
    assert len(told.table) == 4


def test_a_long_text_is_cut_and_its_length_kept() -> None:
    told = vocabulary([(np.array([1]), texts("x" * 1_000_000))], np.array([], np.int64))
    assert told.table == [[1, "x" * 200, 1_000_000]]


def test_no_token_at_all_is_no_mistake() -> None:
    told = vocabulary([(np.array([], np.int64), texts())], np.array([], np.int64))
    assert told.table == []
    assert [places.tolist() for places in told.places] == [[], []]
