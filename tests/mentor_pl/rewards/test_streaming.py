"""Grading single responses as they end."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from mentor_pl.rewards.base import Grades, Reward
from mentor_pl.rewards.format import FormatReward
from mentor_pl.rewards.streaming import Stream, combine, gather, submit
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


class Lengths(Reward):
    """Length of a response; notes the batches it was asked for."""

    range = (0.0, 10.0)

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Grades:
        self.batches.append(list(responses))
        return Grades([float(len(response)) for response in responses])


class SingleLengths(Lengths):
    def submit(self, prompt: Prompt, response: str) -> Future[Grades]:
        return submit(Lengths(), prompt, response)


PROMPTS = [Prompt(i, "", "", ()) for i in range(3)]


def test_a_stream_keeps_the_prompts_order_whatever_ends_first() -> None:
    for reward in (Lengths(), SingleLengths()):
        stream = Stream(reward, PROMPTS)
        for place, response in ((2, "ccc"), (0, "a"), (1, "bb")):
            stream.put(place, response)
        assert stream.responses == ["a", "bb", "ccc"]
        assert stream.grades().total == [1.0, 2.0, 3.0]


def test_a_reward_that_grades_batches_is_given_one() -> None:
    stream = Stream(reward := Lengths(), PROMPTS)
    for place, response in ((1, "bb"), (0, "a"), (2, "ccc")):
        stream.put(place, response)
        assert not reward.batches
    stream.grades()
    assert reward.batches == [["a", "bb", "ccc"]]
