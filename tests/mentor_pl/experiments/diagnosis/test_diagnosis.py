"""Each sign has a series that must fire and one that must not."""

import math

import pytest

from mentor_pl.experiments.diagnosis.diagnosis import diagnose
from mentor_pl.experiments.diagnosis.limits import Limits
from mentor_pl.runtime.errors import UsageError

NAN = math.nan
SLID = [0.706, 0.69, 0.68, 0.62, 0.56, 0.50, 0.47, 0.446]  # steps 93 to 100: a learning rate too high for α near 0
ACCURACY, LENGTH, OUTCOME = "val/maze/avg@8", "train/on_policy/length", "train/on_policy/outcome"
PASS, GUIDED, ALPHA = "val/maze/pass@8", "train/mixed/guided", "train/alpha"


def over(values, first=1, every=1):
    """A series of values at steps."""
    return {first + every * place: value for place, value in enumerate(values)}


def line(start, end, count=20):
    """`count` values from one to another."""
    return [start + (end - start) * place / (count - 1) for place in range(count)]


def falling(steps=100, last=120):
    """α by the default schedule."""
    return over([0.5 * (1 + math.cos(math.pi * step / last)) for step in range(steps)])


CASES = {
    "length_explodes": (
        {LENGTH: over(line(100, 300)), OUTCOME: over([0.2] * 20)},
        {LENGTH: over(line(100, 300)), OUTCOME: over(line(0.2, 0.3))},
        "is 252.6 over the last 10 steps, 1.7 times",
    ),
    "pass_at_k_declines": (
        {PASS: over([0.80, 0.90, 0.84, 0.83], 0, 20)},
        {PASS: over([0.80, 0.90, 0.83, 0.86], 0, 20)},  # one measurement alone is below
        "is 0.830, and for two measurements more than 0.05 below its 0.900 of step 20",
    ),
    "unstable_without_guidance": (
        {ALPHA: falling(), ACCURACY: over(SLID, 93)},
        {ALPHA: falling(), ACCURACY: over([0.706, 0.70, 0.69, 0.70, 0.68, 0.66, 0.66, 0.65], 93)},
        r"is 0.446 at step 100, 0.174 below its 0.620 of step 96 \(limit: 0.1\)",
    ),
    "accuracy_slides": (
        {ACCURACY: over(SLID, 93)},
        {ACCURACY: over([0.1, 0.3, 0.5, 0.45, 0.6, 0.55], 0, 20)},
        "is 0.446 at step 100, 0.260 below its 0.706 of step 93",
    ),
    "nothing_right": (
        {OUTCOME: over([0.1] + 5 * [0.0]), "train/on_policy/reward": over([0.1] * 6)},
        {OUTCOME: over([0.0] * 4 + [0.01])},
        "outcome was 0 for 5 steps",
    ),
    "no_signal": (
        {"train/without_signal": over([0.5] + [1.0] * 5), OUTCOME: over([1.0] * 6)},
        {"train/without_signal": over([1.0] * 4 + [0.99]), OUTCOME: over([1.0] * 5)},
        "with train/on_policy/outcome at 1.000",
    ),
    "format_never_met": (
        {"train/on_policy/format": over([0.0] * 10)},
        {"train/on_policy/format": over([0.0] * 5 + [0.01] + [0.0] * 10)},
        "was 0 at each of 10 steps",
    ),
    "all_truncated": (
        {"train/on_policy/truncated": over([0.2] + [0.96] * 5)},
        {"train/on_policy/truncated": over([1.0] * 4 + [0.94])},
        "was 0.96 or more",
    ),
    "nothing_guided": (
        {GUIDED: over([0.1] + [0.0] * 5), ALPHA: over([1.0] * 6)},
        {GUIDED: over([0.1] + [0.0] * 5), ALPHA: over(line(1.0, 0.0, 6))},  # as it should be at the end
        "was 0 for 5 steps",
    ),
    "everything_guided": ({GUIDED: over([0.95] * 5)}, {GUIDED: over([0.9] * 9)}, "was 0.95 or more"),
    "nothing_graded": (
        {"reward/not_graded": over([90] * 5), "train/rollouts": over([96] * 5)},
        {"reward/not_graded": over([90] * 4 + [80]), "train/rollouts": over([96] * 5)},
        "94% or more of the rollouts",
    ),
}


@pytest.mark.parametrize("sign", CASES)
def test_each_sign_shows_where_it_should_and_nowhere_else(sign, subtests):
    fires, does_not, number = CASES[sign]
    with subtests.test("fires"):
        found = diagnose(fires, Limits())
        assert list(found) == [sign]
        with pytest.raises(ValueError, match=number):
            raise ValueError(found[sign])
    with subtests.test("does not"):
        assert diagnose(does_not, Limits()) == {}


BASELINE = {"train/on_policy/entropy": over(line(0.8, 0.4))}


def test_entropy_is_compared_with_the_baselines_at_the_same_steps():
    """Means of the last ten, as shares of the first: 0.45/0.8 of the baseline, so a fall to 0.7 of that is 0.39."""
    fast = {"train/on_policy/entropy": over(line(1.0, 0.1)), "train/gamma": over([1.0] * 20)}
    (words,) = diagnose(fast, Limits(), BASELINE).values()
    assert "last 10 steps that both have it is 0.31 of what it was at first, the baseline's 0.62 (limit: 0.7" in words
    assert words.endswith("raise the gate's p")
    assert diagnose({"train/on_policy/entropy": over(line(1.6, 0.7))}, Limits(), BASELINE) == {}
    assert diagnose(fast, Limits()) == {}
    assert diagnose({"train/on_policy/entropy": over(line(1.0, 0.1), 30)}, Limits(), BASELINE) == {}  # no common steps


def test_measured_every_20_steps_a_slide_at_the_end_of_guidance_is_one_of_instability():
    metrics = {ALPHA: falling(), ACCURACY: over([0.04, 0.3, 0.5, 0.66, 0.70, 0.446], 0, 20)}
    (sign,) = diagnose(metrics, Limits())
    assert sign == "unstable_without_guidance"


def test_without_benchmarks_training_tells_of_instability_once_guidance_is_over():
    """α is at most 0.1 from step 97 on, so there must be ten steps from there."""
    fell = {ALPHA: falling(110), OUTCOME: over([0.7] * 96 + [0.5] * 14)}
    assert "fell from 0.700 to 0.500" in diagnose(fell, Limits())["unstable_without_guidance"]
    assert diagnose({ALPHA: falling(110), OUTCOME: over([0.7] * 96 + [0.65] * 14)}, Limits()) == {}
    assert diagnose({ALPHA: falling(104), OUTCOME: over([0.7] * 96 + [0.5] * 8)}, Limits()) == {}
    gradients = {ALPHA: falling(101), "train/grad_norm": over([1.0, 9.0] + [1.0] * 94 + [3.5] * 5)}
    assert "3.5 times its median" in diagnose(gradients, Limits())["unstable_without_guidance"]
    gradients = {ALPHA: falling(101), "train/grad_norm": over([1.0] * 96 + [9.0, 9.0, 2.0, 9.0, 9.0])}
    assert diagnose(gradients, Limits()) == {}


def test_what_is_no_number_or_not_logged_shows_nothing():
    names = (LENGTH, OUTCOME, GUIDED, "train/on_policy/format", "train/on_policy/entropy", "train/on_policy/truncated")
    assert diagnose({}, Limits(), {}) == {}
    assert diagnose({name: over([NAN] * 30) for name in names}, Limits(), BASELINE) == {}


def test_nothing_right_is_said_in_place_of_no_signal():
    metrics = {"train/without_signal": over([1.0] * 5), OUTCOME: over([0.0] * 5)}
    assert list(diagnose(metrics, Limits())) == ["nothing_right"]


def test_limits_are_settings_with_ranges():
    assert diagnose({ACCURACY: over([0.7, 0.55])}, Limits(slide=0.2)) == {}
    assert diagnose({OUTCOME: over([0.0])}, Limits(streak=1))
    with pytest.raises(UsageError, match="limits slide is 0, but it is a share"):
        Limits(slide=0)
    with pytest.raises(UsageError, match="limits length is 1"):
        Limits(length=1.0)
