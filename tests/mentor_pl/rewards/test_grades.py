"""What is a grade and what is none, and what becomes of a response without one."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from mentor_pl.rewards.grades import Grade, Grading, checked
from mentor_pl.runtime.errors import UsageError

NUMBERS = [1, True, 0.5, np.float32(0.5), np.int64(1), torch.tensor(0.5), torch.tensor([1]), Fraction(1, 2), Decimal(1)]


@pytest.mark.parametrize("total", NUMBERS)
def test_any_number_is_a_total_and_comes_out_as_a_float(total: Any) -> None:
    grade = checked(Grade(total, {"a": total}), "Mine", 7, (0.0, 1.0))
    assert grade == Grade(float(total), {"a": float(total)})
    assert type(grade.total) is type(grade.parts["a"]) is float


class Odd:
    """No number, and no pleasure to print."""

    def __float__(self) -> float:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        return "odd\n" * 100


@pytest.mark.parametrize("given", [1.0, "right", [Grade(1.0)], (1.0, {}), {"total": 1.0}, Grade, Odd(), math.nan])
def test_what_is_no_grade_is_named_with_reward_problem_and_remedy_in_one_line(given: Any) -> None:
    with pytest.raises(UsageError, match=r"^reward Mine gave .* to problem 7: return a Grade\(total, parts\)") as error:
        checked(given, "Mine", 7, (0.0, 1.0))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("total", ["1.0", b"1", None, 1j, [1.0], Odd(), torch.ones(2), 10**400])
def test_a_total_that_is_no_number(total: Any) -> None:
    with pytest.raises(UsageError, match=r"^reward Mine gave the total .* to problem 7: give a number$"):
        checked(Grade(total), "Mine", 7, (0.0, 1.0))


@pytest.mark.parametrize("value", ["1.0", None, math.nan, math.inf, torch.tensor(math.nan), Odd()])
def test_a_part_that_is_no_number(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^reward Mine gave the part 'b' = .* to problem 7: give a finite number$"):
        checked(Grade(0.0, {"a": 1.0, "b": value}), "Mine", 7, (0.0, 1.0))


@pytest.mark.parametrize("parts", [[1.0], 1.0, "outcome", None, {1: 1.0}])
def test_parts_that_are_no_mapping_from_names(parts: Any) -> None:
    with pytest.raises(UsageError, match=r"^reward Mine gave the parts .* to problem 7: give a mapping"):
        checked(Grade(0.0, parts), "Mine", 7, (0.0, 1.0))


def test_none_is_no_grade_and_no_mistake() -> None:
    assert checked(None, "Mine", 7, (0.0, 1.0)) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e300, math.nan, math.inf])
def test_a_timeout_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match=r"data\.grading_timeout is"):
        Grading(timeout=seconds)


def test_a_rule_that_is_none_is_refused() -> None:
    rule: Any = "skip"
    with pytest.raises(UsageError, match=r"data\.on_failure is 'skip': give error, zero or mask"):
        Grading(on_failure=rule)


STAND_IN = Grade(0.25, {"timeout": 1.0}, "over its time")


@pytest.mark.parametrize(
    ("on_failure", "stood_in", "failed"),
    [
        (None, STAND_IN, UsageError),
        ("error", UsageError, UsageError),
        ("zero", STAND_IN, Grade(-2.0, failure="why")),
        ("mask", None, None),
    ],
)
def test_the_rule_for_a_failure_with_and_without_a_grade_in_its_place(
    on_failure: Any, stood_in: Any, failed: Any
) -> None:
    for grade, expected in ((STAND_IN, stood_in), (None, failed)):
        if expected is UsageError:
            with pytest.raises(UsageError, match=r"^why; mend the reward.*None.*data\.on_failure to zero or mask$"):
                Grading(on_failure=on_failure).decided(grade, "why", lowest=-2.0)
        else:
            assert Grading(on_failure=on_failure).decided(grade, "why", lowest=-2.0) == expected
