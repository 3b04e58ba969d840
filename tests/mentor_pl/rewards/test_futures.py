"""One future from several."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from mentor_pl.rewards.futures import combine


def test_the_blend_is_made_once_the_last_is_there_in_the_order_given() -> None:
    rows: list[Future[int]] = [Future(), Future()]
    combined = combine(rows, list)
    rows[1].set_result(2)
    assert not combined.done()
    rows[0].set_result(1)
    assert combined.result(timeout=5) == [1, 2]


def test_an_error_in_one_of_several_or_in_the_blend_reaches_the_combined_future() -> None:
    rows: list[Future[int]] = [Future(), Future()]
    combined = combine(rows, sum)
    rows[0].set_result(1)
    assert not combined.done()
    rows[1].set_exception(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        combined.result(timeout=5)
    done: Future[int] = Future()
    done.set_result(0)
    with pytest.raises(ZeroDivisionError):
        combine([done], lambda results: 1 / results[0]).result(timeout=5)
