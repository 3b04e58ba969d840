"""The soft punishment by hand, beside whatever the other reward says."""

import pytest

from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.rewards.overlong import SoftOverlong
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

PROMPT = Prompt(0, "p", "a", (1,))


class Fixed(Reward):
    range = (0.0, 1.0)
    closed = False

    def __init__(self, grade=None):
        self.given = grade

    def grade(self, prompt, response):
        return self.given

    def example(self, prompt):
        return "gold"

    def close(self):
        self.closed = True


def graded(reward, length, text="words"):
    return reward.submit(PROMPT, Response(text, tuple(range(length)))).result()


@pytest.mark.parametrize(
    ("length", "punishment"), [(1, 0), (6, 0), (7, -0.25), (8, -0.5), (10, -1), (11, -1), (99, -1)]
)
def test_the_punishment_grows_over_the_buffer(length, punishment):
    grade = graded(SoftOverlong(Fixed(Grade(1.0, {"outcome": 1.0})), max_tokens=10, buffer=4), length)
    assert grade.total == 1.0 + punishment
    assert grade.parts == {"outcome": 1.0, "overlong": punishment}


def test_its_weight_scales_what_is_taken_off_and_the_declared_range():
    reward = SoftOverlong(Fixed(Grade(0.5)), max_tokens=10, buffer=4, weight=0.5)
    assert reward.range == (-0.5, 1.0)
    assert graded(reward, 8).total == 0.5 - 0.25
    assert graded(reward, 8).parts == {"overlong": -0.5}


def test_a_response_of_unknown_length_loses_nothing():
    reward = SoftOverlong(Fixed(Grade(1.0)), max_tokens=1, buffer=1)
    assert graded(reward, 0, "a text read from disk, of many words").total == 1.0


def test_no_grade_stays_none_and_a_failure_stays_one():
    assert graded(SoftOverlong(Fixed(None), 10, 4), 9) is None
    assert graded(SoftOverlong(Fixed(Grade(0.0, failure="late")), 10, 4), 9).failure == "late"


def test_what_else_a_reward_does_is_the_other_rewards():
    inner = Fixed(Grade(0.0))
    reward = SoftOverlong(inner, 10, 4)
    assert reward.example(PROMPT) == "gold"
    reward.close()
    assert inner.closed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_tokens": 0, "buffer": 1}, "max_tokens is 0"),
        ({"max_tokens": 4, "buffer": 5}, "buffer is 5"),
        ({"max_tokens": 4, "buffer": 0}, "buffer is 0"),
        ({"max_tokens": 4, "buffer": 2, "weight": -1.0}, "weight is -1.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        SoftOverlong(Fixed(), **options)
