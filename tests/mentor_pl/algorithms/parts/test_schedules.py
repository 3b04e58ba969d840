"""α at the steps that matter: 0, 60, 119, 120, 1000."""

import math

import pytest

from mentor_pl.algorithms.parts.schedules import AlphaSchedule, Constant, Cosine, CutOff, Linear, Stages
from mentor_pl.runtime.errors import UsageError

STEPS = (0, 60, 119, 120, 1000)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # cos 0 = 1, cos(π/2) = 0, and at 119 one step of 1.5° is left: ½(1 − cos 1.5°) = sin²(0.75°) = 0.000171338
        (Cosine(), (1.0, 0.5, 0.000171338, 0.0, 0.0)),
        (Cosine(start=2.0), (2.0, 1.0, 0.000342675, 0.0, 0.0)),
        (Linear(), (1.0, 0.5, 1 / 120, 0.0, 0.0)),
        (Linear(start=3.0), (3.0, 1.5, 0.025, 0.0, 0.0)),
        (Constant(0.7), (0.7, 0.7, 0.7, 0.7, 0.7)),
        (CutOff(start=0.5), (0.5, 0.5, 0.5, 0.0, 0.0)),
        (Stages([1.0, 0.5, 0.0], [0, 60, 120]), (1.0, 0.5, 0.5, 0.0, 0.0)),
    ],
    ids=lambda value: type(value).__name__ if callable(value) else "",
)
def test_alpha_at_the_start_the_middle_the_last_guided_step_and_after(schedule, expected):
    assert [schedule(step) for step in STEPS] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("schedule", [Cosine(steps=120), Linear(steps=120), CutOff(steps=120)])
def test_alpha_is_exactly_zero_from_the_last_step_on(schedule):
    assert [schedule(step) for step in (120, 121, 240, 1000)] == [0.0] * 4  # a cosine would come back at 240
    assert schedule(119) > 0


def test_a_quarter_of_the_cosine():
    assert Cosine(steps=8)(2) == pytest.approx((1 + math.sqrt(0.5)) / 2)  # cos 45°


def test_a_schedule_of_zero_is_allowed():
    assert Cosine(start=0.0)(0) == Constant(0.0)(5) == 0.0


@pytest.mark.parametrize("start", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("build", [Cosine, Linear, Constant, CutOff])
def test_a_start_that_is_no_weight_is_a_usage_error(build, start):
    with pytest.raises(UsageError, match=r"schedule (start|value) is"):
        build(start)


@pytest.mark.parametrize("build", [Cosine, Linear, CutOff])
def test_fewer_than_one_step_is_a_usage_error(build):
    with pytest.raises(UsageError, match="schedule steps is 0"):
        build(1.0, 0)


@pytest.mark.parametrize(
    ("values", "starts"),
    [([], []), ([1.0], []), ([1.0], [1]), ([1.0, 0.5], [0, 0]), ([1.0, 0.5], [5, 0]), ([1.0, 0.5], [0, -5])],
)
def test_stages_that_do_not_follow_one_another_from_step_0_are_a_usage_error(values, starts):
    with pytest.raises(UsageError, match=r"schedule stages have values \[.*\] and starts \["):
        Stages(values, starts)


def test_a_stage_below_zero_is_a_usage_error():
    with pytest.raises(UsageError, match=r"schedule value is -0\.5"):
        Stages([1.0, -0.5], [0, 5])


@pytest.mark.parametrize(
    ("schedule", "end"),
    [
        (Cosine(1.0, 4), 4),
        (Linear(1.0, 4), 4),
        (CutOff(1.0, 4), 4),
        (Stages([1.0, 0.0, 0.5, 0.0], [0, 2, 3, 4]), 4),  # 0 at step 2, but not for good
        (Stages([1.0, 0.0, 0.0], [0, 4, 6]), 4),
        (Cosine(0.0, 4), 0),
        (Constant(0.0), 0),
        (Stages([0.0], [0]), 0),
        (Constant(1.0), None),
        (Stages([0.0, 1.0], [0, 4]), None),
    ],
)
def test_a_schedule_knows_from_which_step_on_alpha_is_0_for_good(schedule, end):
    ended = [schedule.ended(step) for step in range(9)]
    assert ended == [end is not None and step >= end for step in range(9)]
    assert not any(schedule(step) for step in range(9) if ended[step])


def test_of_a_schedule_of_ones_own_nothing_is_known():
    class Never(AlphaSchedule):
        def __call__(self, step):
            return 0.0

    assert not Never().ended(5)
