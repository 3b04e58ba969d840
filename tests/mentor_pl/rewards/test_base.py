"""What every reward keeps: one contract for one response and for a batch, and a range that holds."""

from __future__ import annotations

import math
from concurrent.futures import Future
from typing import Any

import pytest

from mentor_pl.rewards.base import Grade, Grades, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

PROMPTS = [Prompt(i, "", "", ()) for i in range(3)]
RESPONSES = [Response("a"), Response("bb", truncated=True), Response("ccc", (1, 2))]


class Length(Reward):
    """A user's reward: one method, nothing of futures."""

    range = (0.0, 10.0)

    def grade(self, prompt: Prompt, response: Response) -> Grade:
        return Grade(len(response.text), {"cut": response.truncated, "tokens": len(response.tokens)})


class Later(Reward):
    """The same, but the grades come when they are let go."""

    range = (0.0, 10.0)

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Grade], Grade]] = []

    def grade(self, prompt: Prompt, response: Response) -> Future[Grade]:
        self.waiting.append((Future(), Length().grade(prompt, response)))
        return self.waiting[-1][0]


def test_one_method_makes_a_reward_for_single_responses_and_for_batches() -> None:
    future = Length().submit(PROMPTS[1], RESPONSES[1])
    assert future.done()
    assert future.result() == Grade(2, {"cut": 1, "tokens": 0})
    assert Length()(PROMPTS, RESPONSES) == Grades([1, 2, 3], {"cut": [0, 1, 0], "tokens": [0, 0, 2]})
    Length().close()  # there is nothing to end


def test_grades_that_come_later_keep_the_order_of_the_responses() -> None:
    later = Later()
    futures = [later.submit(prompt, response) for prompt, response in zip(PROMPTS, RESPONSES, strict=True)]
    assert not any(future.done() for future in futures)
    for future, grade in reversed(later.waiting):
        future.set_result(grade)
    assert later.gather(PROMPTS, futures) == Length()(PROMPTS, RESPONSES)


def test_a_part_that_a_response_lacks_is_0_there() -> None:
    class Some(Length):
        def grade(self, prompt: Prompt, response: Response) -> Grade:
            return Grade(1.0, {response.text: 2.0})

    assert Some()(PROMPTS[:2], RESPONSES[:2]).parts == {"a": [2.0, 0.0], "bb": [0.0, 2.0]}


def test_an_error_reaches_whoever_wants_the_grades() -> None:
    later = Later()
    future = later.submit(PROMPTS[0], RESPONSES[0])
    later.waiting[0][0].set_exception(RuntimeError("broken"))
    with pytest.raises(UsageError, match="reward Later could not grade problem 0: RuntimeError: broken"):
        later.gather(PROMPTS[:1], [future])


@pytest.mark.parametrize("grade", [Grade(10.5), Grade(-0.5), Grade(math.nan), 1.0])
def test_what_a_reward_does_not_declare_is_a_usage_error(grade: Any) -> None:
    class Wrong(Length):
        def grade(self, prompt: Prompt, response: Response) -> Grade:
            made: Grade = grade
            return made

    with pytest.raises(UsageError, match=r"reward Wrong gave .* to problem 2"):
        Wrong()(PROMPTS[2:], RESPONSES[2:])


def test_the_ends_of_the_range_are_inside_it() -> None:
    ends = [Response(""), Response("x" * 10)]
    assert Length()(PROMPTS[:2], ends).total == [0, 10]


def test_a_batch_needs_a_response_to_each_prompt() -> None:
    with pytest.raises(ValueError, match="zip"):
        Length()(PROMPTS, RESPONSES[:2])


@pytest.mark.parametrize("name", ["submit", "gather", "__call__", "end", "wait_for"])
def test_a_reward_that_redefines_how_it_is_asked_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=rf"reward Batch defines {name}, .*: define grade\(prompt, response\)"):
        type("Batch", (Length,), {name: lambda self, prompts, responses: [1.0]})


NO_RANGES = [(1.0, 1.0), (1.0, 0.0), (0.0, math.inf), (math.nan, 1.0), (0.0,), (0.0, 1.0, 2.0), ("0", 1.0), 1.0, None]


@pytest.mark.parametrize("declared", NO_RANGES)
def test_a_range_that_is_none_is_refused(declared: Any) -> None:
    class Odd(Reward):
        def grade(self, prompt: Prompt, response: Response) -> Grade:
            return Grade(0.0)

    odd = Odd()
    if declared is not None:
        odd.range = declared
    with pytest.raises(UsageError, match="reward Odd declares the range"):
        odd.check_range()
