"""What made an object, and the object made again; and nothing else."""

import copy
import json
import pickle
import sys
from dataclasses import InitVar, dataclass

import pytest

from mentor_pl.evaluation.class_spec import built_in, spec_of
from mentor_pl.evaluation.paper_benchmarks import NINE
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.rewards.code import CodeReward
from mentor_pl.rewards.countdown import CountdownReward
from mentor_pl.rewards.format import FormatReward
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.maze import MazeReward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.rewards.weighted import WeightedReward
from mentor_pl.runtime.errors import UsageError

CODE = {
    "allow_execution": True,
    "credit": "all",
    "workers": 2,
    "timeout": 10.0,
    "memory_mb": 512,
    "file_mb": 8,
    "tests": "checks",
    "inputs": "inputs",
    "outputs": "outputs",
    "isolation": "best_effort",
}


def test_every_argument_is_known_defaults_included_whatever_the_constructor_keeps():
    spec = spec_of(CodeReward(True, tests="checks", isolation="best_effort"))
    assert spec == {"class_path": "mentor_pl.rewards.code.CodeReward", "init_args": CODE}


@pytest.mark.parametrize(
    ("name", "value"), [("tests", "other"), ("memory_mb", 600), ("timeout", 3.0), ("credit", "share")]
)
def test_two_rewards_of_different_arguments_are_never_equal(name, value):
    specs = [spec_of(CodeReward(**(CODE | changes))) for changes in ({}, {name: value})]
    assert specs[0] != specs[1]
    assert json.loads(json.dumps(specs)) == specs


PLACE = "folder/header.json"


@pytest.mark.parametrize(
    "reward",
    [
        MathReward(units="require", tolerance=0.5, memory_mb=700),
        PaperReward(MathReward(units="require"), 0.8, 0.2),
        PaperReward(),
        WeightedReward([ChoiceReward("last"), CountdownReward(all_numbers=True), MazeReward()], [0.9, 0.1, 0]),
        FormatReward(),
    ],
    ids=lambda reward: type(reward).__name__,
)
def test_an_object_made_again_has_the_same_spec(reward):
    again = built_in(json.loads(json.dumps(spec_of(reward))), PLACE)
    assert type(again) is type(reward)
    assert spec_of(again) == spec_of(reward)
    assert spec_of(copy.deepcopy(reward)) == spec_of(reward)


class Plain(Reward):
    range = (0.0, 1.0)

    def grade(self, prompt, response):
        return Grade(1.0)


class Odd(Plain):
    def __init__(self, *words, judge=None, **options):
        self.options = options


class Shorter(WeightedReward):
    def __init__(self, *, weight=0.5):
        super().__init__([Plain()], [weight])


@dataclass
class Listed(WeightedReward):
    weight: float = 0.5

    def __post_init__(self):
        super().__init__([Plain()], [self.weight])


@dataclass
class Scaled(Plain):
    factor: InitVar[float]


@pytest.mark.parametrize("kind", [Shorter, Listed])
def test_arguments_are_those_of_the_class_itself_and_not_what_it_hands_on(kind):
    for reward, weight in ((kind(), 0.5), (kind(weight=0.2), 0.2)):
        for one in (reward, copy.deepcopy(reward), pickle.loads(pickle.dumps(reward))):
            assert spec_of(one) == {"class_path": f"{__name__}.{kind.__name__}", "init_args": {"weight": weight}}


@pytest.mark.parametrize("kind", NINE)
def test_the_papers_graders_are_known(kind):
    assert built_in(spec_of(kind().grader), PLACE)


def test_what_takes_no_arguments_can_be_made_anywhere():
    assert spec_of(Plain()) == {"class_path": f"{__name__}.Plain", "init_args": {}}


def test_arguments_that_go_through_kwargs_are_known_by_their_own_names():
    assert spec_of(Odd(judge={"a": [1, None]}, depth=3))["init_args"] == {"judge": {"a": [1, None]}, "depth": 3}


@pytest.mark.parametrize(
    ("reward", "reason"),
    [
        (Scaled(2.0), "Scaled: what it was made with is not known: give it an `__init__` of its own"),
        (WeightedReward([Scaled(2.0)], [1.0]), "Scaled: what it was made with is not known"),
        (Odd(judge=len), "Odd: argument judge is <built-in function len>, which no samples file can hold"),
        (Odd(judge=[{1: 2}]), r"argument judge is \{1: 2\}, which no samples file can hold"),
        (Odd("a"), r"argument \*words is \('a',\), which no samples file can hold: give .* by name"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_what_is_not_known_or_no_file_can_hold_is_refused_and_not_left_out(reward, reason):
    with pytest.raises(UsageError, match=reason):
        spec_of(reward)


def of(name, **arguments):
    return {"class_path": f"mentor_pl.rewards.{name}", "init_args": arguments}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"class_path": "os.system", "init_args": {"command": "true"}}, "'os.system' is no built-in grader"),
        (of("code.CodeReward", **CODE), "'mentor_pl.rewards.code.CodeReward' is no built-in grader"),
        (of("paper.PaperReward", outcome=of("code.CodeReward", **CODE)), "CodeReward' is no built-in grader"),
        (
            of("weighted.WeightedReward", rewards=[{"class_path": "pathlib.Path", "init_args": {}}], weights=[1.0]),
            "'pathlib.Path' is no built-in grader",
        ),
        ({"class_path": "planted.Reward", "init_args": {}}, "'planted.Reward' is no built-in grader"),
        ({"class_path": ["os.system"], "init_args": {}}, "does not fit"),
        (of("choice.ChoiceReward", units=1), "has no argument units"),
        (of("choice.ChoiceReward", settled="never"), "settled is 'never', which does not fit"),
        (of("math.MathReward", workers=0), "reward workers is 0"),
        (of("math.MathReward", workers="2"), "workers is '2', which does not fit"),
        (of("math.MathReward", workers=True), "workers is True, which does not fit"),
        (of("math.MathReward", workers=10**6), "workers is 1000000, above the 64 that a file may ask for"),
        (of("math.MathReward", timeout=float("nan")), "timeout is nan, above the 60.0"),
        (of("math.MathReward", units={"a": 1}), "which does not fit"),
        (of("paper.PaperReward", outcome="a"), "outcome is 'a', which does not fit"),
        (of("weighted.WeightedReward", rewards=[1], weights=[1.0]), r"rewards is \[1\], which does not fit"),
        ({"class_path": "mentor_pl.rewards.math.MathReward", "init_args": 3}, "does not fit"),
        (
            of("weighted.WeightedReward", rewards=[of("math.MathReward")] * 20, weights=[1.0] * 20),
            "more than 16 graders within one another",
        ),
        ({"init_args": {}}, "'None' is no built-in grader"),
        (None, "does not fit"),
        ("a", "does not fit"),
    ],
    ids=str,
)
def test_of_what_a_file_says_only_built_in_graders_with_fitting_arguments_are_made(spec, reason, tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=reason) as refusal:
        built_in(spec, PLACE)
    assert str(refusal.value).startswith(f"{PLACE}: ")
    assert str(refusal.value).endswith(": give --reward CLASS on the command line")
    assert "planted" not in sys.modules
