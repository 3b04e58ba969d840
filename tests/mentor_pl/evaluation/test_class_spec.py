"""What made an object, and the object made again; and nothing else."""

import pytest

from mentor_pl.evaluation.class_spec import build, spec_of
from mentor_pl.rewards.base import Reward
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.maze import MazeReward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.rewards.weighted import WeightedReward
from mentor_pl.runtime.errors import UsageError


def test_arguments_are_found_on_the_object_and_in_the_dataclass_it_holds():
    spec = spec_of(MathReward(workers=3, units="require"))
    assert spec["class_path"] == "mentor_pl.rewards.math.MathReward"
    assert spec["init_args"].items() >= {"answer_in": "boxed", "units": "require"}.items()


@pytest.mark.parametrize(
    "reward",
    [
        MathReward(units="require", tolerance=0.5),
        PaperReward(MathReward(units="require"), 0.8, 0.2),
        WeightedReward([ChoiceReward("last"), MazeReward()], [0.9, 0.1]),
    ],
    ids=lambda reward: type(reward).__name__,
)
def test_an_object_made_again_has_the_same_spec(reward):
    again = build(spec_of(reward), Reward)
    assert type(again) is type(reward)
    assert spec_of(again) == spec_of(reward)
    assert spec_of(again) != spec_of(ChoiceReward())


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (
            {"class_path": "os.system", "init_args": {"command": "true"}},
            "'os.system' cannot be made again: it is no Re",
        ),
        ({"class_path": "pathlib.Path", "init_args": {}}, "it is no Reward"),
        (
            {
                "class_path": "mentor_pl.rewards.weighted.WeightedReward",
                "init_args": {"rewards": [{"class_path": "pathlib.Path", "init_args": {}}], "weights": [1.0]},
            },
            "'pathlib.Path' cannot be made again: it is no Reward",
        ),
        ({"class_path": "no_such_module.Reward", "init_args": {}}, "No module named 'no_such_module'"),
        ({"class_path": "mentor_pl.rewards.choice.ChoiceReward", "init_args": {"units": 1}}, "unexpected keyword"),
        (
            {"class_path": "mentor_pl.rewards.math.MathReward", "init_args": {"workers": 0}},
            "must be at least 1",
        ),
        ({"init_args": {}}, "None cannot be made again"),
        (None, "None cannot be made again"),
    ],
    ids=str,
)
def test_a_spec_that_is_none_is_a_usage_error_and_nothing_is_called(spec, reason):
    with pytest.raises(UsageError, match=reason):
        build(spec, Reward)
