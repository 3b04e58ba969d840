"""What a page says of replaced tokens that were scored again, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from recorded_runs import row, table

from mentor_pl.records.absorbed import SCHEMA, Replaced, scored_rows
from mentor_pl.records.page import absorption
from mentor_pl.records.page.absorption import absorbed_at, overview, whole_rows
from mentor_pl.records.page.places import Places

ONE = Replaced(5, 0, 0, 1, 7, 1, 7, 8, "the", "we", (), 1.0, -2.0, -0.5)  # token 1 of rollout 1 of group 0
TWO = replace(ONE, step=10, position=0, expert_then=-1.0, draft_then=-1.5)


@pytest.fixture
def absorbed():
    """ONE at ages 1 and 6, TWO at age 1: ONE is taken over by then, TWO drops."""
    first = scored_rows([ONE], [-1.5], [-0.75], scored_at=5)
    later = scored_rows([ONE, TWO], [-0.25, -3.0], [-4.0, -1.5], scored_at=10)
    return whole_rows(pa.concat_tables([later, first]))


def test_a_token_has_its_scores_in_their_order(absorbed) -> None:
    rows = table([row(["a"]), row(["a", "b"], number=1, ids=[6, 7])])
    places = Places(rows, np.array([0, 1, 3]), np.array([5, 6, 7]))
    assert absorbed_at(absorbed, 5, places) == [
        {"token": 2, "then": [-2, -0.5], "at": [5, 10], "expert": [-1.5, -0.25], "draft": [-0.75, -4]}
    ]
    assert absorbed_at(absorbed, 10, places) == []  # token 6 is there, and not 7
    assert absorbed_at(absorbed, 15, places) == []


def test_shares_and_changes_by_age(absorbed) -> None:
    told = overview(absorbed)
    assert told is not None
    assert (told["scored_at"], told["kept"], told["ages"], told["tokens"]) == (10, 2, [1, 6], [2, 1])
    last = told["last"]
    assert {name: last[name] for name in ("tokens", "taken_over", "taken_over_then", "dropped")} == {
        "tokens": 2, "taken_over": 0.5, "taken_over_then": 0.5, "dropped": 0.5,
    }  # fmt: skip
    assert told["taken_over"] == [0, 1]  # at age 1 −1.5 against −0.75, and −3 against −1.5
    assert told["taken_over_then"] == [0.5, 0]
    assert told["dropped"] == [0.5, 0]
    assert told["expert"] == [[-1.375, -0.75, -0.125], [1.75, 1.75, 1.75]]  # of 0.5 and −2
    assert told["draft"] == [[-0.1875, -0.125, -0.0625], [-3.5, -3.5, -3.5]]


def test_the_tokens_that_gained_and_lost_most_are_named_once_with_their_last_scores(absorbed) -> None:
    told = overview(absorbed)
    assert told is not None
    (most,), (least,) = told["most"], told["least"]
    assert (most["step"], most["position"], most["age"], most["expert_now"]) == (5, 1, 6, -0.25)
    assert (most["expert_piece"], most["draft_piece"], most["expert_id"], most["draft_id"]) == ("the", "we", 7, 8)
    assert (least["step"], least["number"], least["expert_then"], least["expert_now"]) == (10, 1, -1, -3)


def test_ages_of_a_long_run_are_thinned_and_no_more_tokens_named_than_are_read(monkeypatch) -> None:
    monkeypatch.setattr(absorption, "AGES", 3), monkeypatch.setattr(absorption, "STRONGEST", 2)
    some = [replace(ONE, number=number) for number in range(5)]
    rows = [scored_rows(some, [-float(n) for n in range(5)], [0.0] * 5, scored_at=at) for at in range(5, 14)]
    told = overview(whole_rows(pa.concat_tables(rows)))
    assert told is not None
    assert told["ages"] == [1, 5, 9]
    assert [one["number"] for one in told["most"]] == [0, 1]
    assert [one["number"] for one in told["least"]] == [4, 3]


def test_rows_of_a_strangers_file_without_a_number_are_left_out(absorbed) -> None:
    strange = absorbed.slice(0, 1).to_pylist()[0]
    for value in (None, float("nan"), float("-inf")):
        rows = pa.concat_tables([absorbed, pa.Table.from_pylist([strange | {"expert_now": value}], SCHEMA)])
        assert overview(whole_rows(rows)) == overview(absorbed)
    assert overview(SCHEMA.empty_table()) is None
