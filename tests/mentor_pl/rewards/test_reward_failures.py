"""Whatever a reward of one's own does, each response comes back, and an end of the run is one line that says where."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from mentor_pl.rewards import base
from mentor_pl.rewards.base import Grade, Grades, Grading, NotGraded, Reward
from mentor_pl.rewards.format import FormatReward
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.weighted import WeightedReward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

PROMPTS = [Prompt(i, "", "", ()) for i in range(4)]
RESPONSES = [Response("a")] * 4
FAILING = 2  # the problem whose response is not graded


@pytest.fixture(autouse=True)
def _threads_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is to end as it always does."""
    monkeypatch.setattr(base, "give_up_threads", lambda: None)


class Judge(Reward):
    """1 everywhere, but what `act` gives for one problem."""

    range = (-1.0, 1.0)

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def grade(self, prompt: Prompt, response: Response) -> Any:
        return self.act() if prompt.index == FAILING else Grade(1.0, {"outcome": 1.0})


class Mute(Exception):
    """Cannot be put into words."""

    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> None:
        raise error

    return act


def promising(result: Any = None, error: BaseException | None = None) -> Callable[[], Future[Any]]:
    def act() -> Future[Any]:
        future: Future[Any] = Future()
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    return act


def cancelled() -> Future[Any]:
    future: Future[Any] = Future()
    future.cancel()
    return future


def in_a_thread() -> Future[Any]:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(sys.exit, 3)


def grades(reward: Reward, **rule: Any) -> Grades:
    grading = Grading(**rule)
    futures = [reward.submit(prompt, response, grading) for prompt, response in zip(PROMPTS, RESPONSES, strict=True)]
    return reward.gather(PROMPTS, futures, grading)


FAILURES = {
    "KeyError: 'score'": raising(KeyError("score")),
    "SystemExit: 3": raising(SystemExit(3)),
    "Both: two lines": raising(type("Both", (Exception,), {})("two\nlines")),
    "GeneratorExit:": raising(GeneratorExit()),
    "Own: of its own": raising(type("Own", (BaseException,), {})("of its own")),
    "Mute: a Mute that does not print": raising(Mute()),
    "MemoryError:": raising(MemoryError()),
    "ConnectionError: refused": promising(error=ConnectionError("refused")),
    "SystemExit: 4": promising(error=SystemExit(4)),
    "SystemExit: 3 ": in_a_thread,
    "CancelledError:": cancelled,
    "grade\\(\\) did not return within 0.05 s": threading.Event().wait,
    "no grade came for 0.05 s": Future,
}


@pytest.mark.parametrize(("cause", "act"), FAILURES.items(), ids=list(FAILURES))
def test_a_failure_is_one_line_that_names_reward_problem_cause_and_remedy(cause: str, act: Callable[[], Any]) -> None:
    for rule in ({}, {"on_failure": "error"}):
        with pytest.raises(UsageError, match=rf"^reward Judge could not grade problem 2: {cause.strip()}.*; mend") as e:
            grades(Judge(act), timeout=0.05, **rule)
        assert "\n" not in str(e.value)
        assert "data.on_failure" in str(e.value)


@pytest.mark.parametrize("act", FAILURES.values(), ids=list(FAILURES))
def test_a_failure_may_be_the_lowest_total_or_be_left_out_and_is_counted(act: Callable[[], Any]) -> None:
    zero = grades(Judge(act), timeout=0.05, on_failure="zero")
    assert zero == Grades([1.0, 1.0, -1.0, 1.0], {"outcome": [1.0, 1.0, 0.0, 1.0]}, (2,))
    mask = grades(Judge(act), timeout=0.05, on_failure="mask")
    assert [math.isnan(total) for total in mask.total] == [False, False, True, False]
    assert mask.without_verdict == 1


@pytest.mark.parametrize("on_failure", [None, "error", "zero", "mask"])
@pytest.mark.parametrize("act", [lambda: None, promising(None)], ids=["at once", "later"])
def test_none_leaves_the_response_out_whatever_the_rule(act: Callable[[], Any], on_failure: Any) -> None:
    got = grades(Judge(act), on_failure=on_failure)
    assert [math.isnan(total) for total in got.total] == [False, False, True, False]
    assert got.without_verdict == 1


@pytest.mark.parametrize("on_failure", [None, "error", "zero", "mask"])
@pytest.mark.parametrize("given", [1.0, Grade(2.0), Grade(0.0, {"x": math.nan}), [Grade(1.0)]], ids=str)
def test_a_mistake_of_the_reward_is_an_error_whatever_the_rule(given: Any, on_failure: Any) -> None:
    for act in (lambda: given, promising(given)):
        with pytest.raises(UsageError, match=r"reward Judge gave .* to problem 2"):
            grades(Judge(act), on_failure=on_failure)


def test_what_cannot_be_printed_is_named_by_its_class() -> None:
    with pytest.raises(UsageError, match=r"^reward Judge gave a Mute that does not print to problem 2: return a Grade"):
        grades(Judge(Mute))


def test_a_close_that_fails_in_any_way_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    for error in (Mute(), GeneratorExit(), SystemExit(0)):
        reward = Judge(lambda: None)
        reward.close = raising(error)  # type: ignore[method-assign]
        reward.end()
    assert caplog.text.count("its close() failed") == 3


def test_a_failure_of_none_is_none() -> None:
    assert grades(Judge(lambda: Grade(0.0, {}, None))).without_verdict == 0  # type: ignore[arg-type]


def test_a_usage_error_of_the_reward_itself_is_told_as_it_is() -> None:
    with pytest.raises(UsageError, match=r"^prompt 2 has no tests$"):
        grades(Judge(raising(UsageError("prompt 2 has no tests"))), on_failure="zero")


def test_ctrl_c_within_a_grade_is_no_failure_of_it() -> None:
    with pytest.raises(KeyboardInterrupt):
        Judge(raising(KeyboardInterrupt())).submit(PROMPTS[FAILING], RESPONSES[0])


def test_what_has_been_given_up_stays_so_when_it_comes_after_all() -> None:
    never: Future[Any] = Future()
    reward = Judge(lambda: never)
    futures = [reward.submit(prompt, response) for prompt, response in zip(PROMPTS, RESPONSES, strict=True)]
    for _ in range(2):
        got = reward.gather(PROMPTS, futures, Grading(timeout=0.05, on_failure="mask"))
        assert [math.isnan(total) for total in got.total] == [False, False, True, False]
        if not never.done():
            never.set_result(Grade(1.0))
    with pytest.raises(NotGraded, match="no grade came"):
        futures[FAILING].result()


def test_a_failure_within_a_sum_names_the_reward_that_failed() -> None:
    blend = WeightedReward([Judge(raising(OSError("gone"))), FormatReward()], [0.5, 0.5])
    with pytest.raises(UsageError, match=r"^reward Judge could not grade problem 2: OSError: gone;"):
        grades(blend)
    assert grades(blend, on_failure="zero").total == [0.5, 0.5, -0.5, 0.5]
    assert math.isnan(grades(blend, on_failure="mask").total[FAILING])


def test_a_sum_of_which_one_reward_gives_no_grade_has_none() -> None:
    got = grades(WeightedReward([FormatReward(), Judge(lambda: None)], [0.5, 0.5]))
    assert [math.isnan(total) for total in got.total] == [False, False, True, False]


def test_a_sum_never_ends_while_one_of_its_rewards_blocks() -> None:
    blend = WeightedReward([Judge(threading.Event().wait), FormatReward()], [0.5, 0.5])
    with pytest.raises(
        UsageError, match=r"reward Judge could not grade problem 2: grade\(\) did not return within 0\.05"
    ):
        grades(blend, timeout=0.05)


def test_a_grade_that_stands_in_for_a_verdict_counts_unless_it_is_to_be_left_out() -> None:
    blend = WeightedReward([Judge(lambda: Grade(0.0, {"timeout": 1.0}, "late")), FormatReward()], [0.5, 0.5])
    for rule in (None, "zero"):
        got = grades(blend, on_failure=rule)
        assert (got.total, got.parts["timeout"], got.without_verdict) == ([0.5, 0.5, 0.0, 0.5], [0, 0, 1, 0], 1)
    left_out = grades(blend, on_failure="mask")
    assert math.isnan(left_out.total[FAILING])
    assert left_out.parts["timeout"] == [0, 0, 1, 0]  # is counted all the same
    with pytest.raises(UsageError, match="reward WeightedReward could not grade problem 2: late"):
        grades(blend, on_failure="error")


def test_an_answer_over_its_time_is_zero_by_default_and_may_be_left_out() -> None:
    slow = Response(r"\boxed{|x^3-x| + |x^2-2| < \sqrt{x+3}}")  # to be solved
    reward = MathReward(workers=1, timeout=1e-6)
    prompts, responses = [Prompt(0, "", "(0, 1)", ()), Prompt(1, "", "5", ())], [slow, Response(r"\boxed{5}")]
    futures = [reward.submit(*pair) for pair in zip(prompts, responses, strict=True)]
    assert reward.gather(prompts, futures) == Grades([0.0, 1.0], {"outcome": [0.0, 1.0], "timeout": [1.0, 0.0]}, (0,))
    assert math.isnan(reward.gather(prompts, futures, Grading(on_failure="mask")).total[0])
    reward.close()


def test_a_close_that_fails_or_hangs_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    class Open(Judge):
        def close(self) -> None:
            self.act()

    Open(raising(OSError("gone"))).end()
    Open(raising(SystemExit(1))).end()
    Open(threading.Event().wait).end(Grading(timeout=0.05))
    Open(lambda: None).end()
    assert [record.getMessage() for record in caplog.records] == [
        "reward Open: its close() failed: OSError: gone",
        "reward Open: its close() failed: SystemExit: 1",
        "reward Open: its close() failed: TimeUp: did not return within 0.05 s",
    ]


def test_a_failure_that_is_to_end_the_run_ends_it_before_the_next_response_is_graded() -> None:
    for rule in (Grading(timeout=0.05), Grading(timeout=0.05, on_failure="error")):
        with pytest.raises(UsageError, match="did not return"):
            Judge(threading.Event().wait).submit(PROMPTS[FAILING], RESPONSES[0], rule)
    reward = Judge(raising(OSError()))
    assert reward.submit(PROMPTS[FAILING], RESPONSES[0], Grading(on_failure="mask")).exception() is not None
    assert reward.submit(PROMPTS[FAILING], RESPONSES[0]).exception() is not None  # asked by another reward
