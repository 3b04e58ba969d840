"""Grading single responses as they end."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from mentor_pl.rewards.base import Grades
from mentor_pl.rewards.format import FormatReward
from mentor_pl.rewards.streaming import combine, gather, submit
from mentor_pl.types import Prompt


def test_a_reward_without_submit_grades_at_once() -> None:
    future = submit(FormatReward(), Prompt(0, "", "", ()), r"<think></think>\boxed{1}")
    assert future.done()
    assert future.result().total == [1.0]


def test_rows_are_gathered_in_order_and_a_missing_part_is_0() -> None:
    rows: list[Future[Grades]] = [Future(), Future()]
    rows[1].set_result(Grades([2.0], {"b": [4.0]}))
    rows[0].set_result(Grades([1.0], {"a": [3.0]}))
    assert gather(rows) == Grades([1.0, 2.0], {"a": [3.0, 0.0], "b": [0.0, 4.0]})


def test_an_error_in_one_of_several_reaches_the_combined_future() -> None:
    rows: list[Future[Grades]] = [Future(), Future()]
    combined = combine(rows, lambda grades: grades[0])
    rows[0].set_result(Grades([1.0]))
    assert not combined.done()
    rows[1].set_exception(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        combined.result(timeout=5)
