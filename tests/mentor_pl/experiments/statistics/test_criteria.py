import pytest
from experiment_results import ACCURACY, grid, results_of, small_design

from mentor_pl.experiments.design.outcome import Criterion
from mentor_pl.experiments.statistics.criteria import judge_criteria
from mentor_pl.runtime.errors import UsageError

ENDS = {1: 0.70, 2: 0.62, 3: 0.75}


def judged(tmp_path, ends, criterion=None, **changes):
    criterion = criterion or Criterion("grpo", ACCURACY, at_least=0.65)
    design = small_design(tmp_path, criteria=(criterion,), **changes)
    return judge_criteria(design, results_of(design, lambda cell: ends.get(cell.seed)))


@pytest.mark.parametrize(
    ("bound", "ends", "answer", "worst", "beyond", "missing"),
    [
        (0.60, ENDS, "met", 2, (), ()),
        (0.65, ENDS, "not met", 2, (2,), ()),
        (0.72, ENDS, "not met", 2, (1, 2), ()),
        (0.60, {1: 0.70, 3: 0.75}, "cannot be told", 1, (), (2,)),
        (0.72, {1: 0.70, 3: 0.75}, "not met", 1, (1,), (2,)),  # however the missing one ends
        (0.60, {}, "cannot be told", None, (), (1, 2, 3)),
    ],
)
def test_every_seed_must_keep_to_the_bound(tmp_path, bound, ends, answer, worst, beyond, missing):
    (one,) = judged(tmp_path, ends, Criterion("grpo", ACCURACY, at_least=bound))
    assert (one.answer, one.worst, one.beyond, one.missing) == (answer, worst, beyond, missing)


def test_it_says_how_many_are_beyond_and_names_the_worst(tmp_path):
    (one,) = judged(tmp_path, {1: 0.70, 2: 0.62})
    assert one.why == "1 of 2 seeds beyond, at worst 0.62 by seed 2; without seeds 3"
    assert judged(tmp_path, {})[0].why == "no seed has a value"


def test_a_fall_that_is_the_bound_but_for_rounding_keeps_to_it(tmp_path):
    design = small_design(tmp_path, criteria=(Criterion("grpo", ACCURACY, "fall", at_most=0.08),), seeds=(1,))
    results = results_of(design, lambda cell: 0.5)
    results[1].metrics[ACCURACY] = {0: 0.5, 2: 0.68, 4: 0.6}
    assert 0.68 - 0.6 > 0.08
    (one,) = judge_criteria(design, results)
    assert one.answer == "met"


def test_every_setting_is_judged(tmp_path):
    found = judged(tmp_path, ENDS, settings={"p": grid("0.1", "0.2")})
    assert [(one.setting, one.answer) for one in found] == [("p=0.1", "not met"), ("p=0.2", "not met")]


def test_a_criterion_of_one_setting_is_judged_there_alone_and_the_setting_must_be_there(tmp_path):
    of_one = Criterion("grpo", ACCURACY, at_least=0.65, setting="p=0.2")
    (one,) = judged(tmp_path, ENDS, of_one, settings={"p": grid("0.1", "0.2")})
    assert one.setting == "p=0.2"
    with pytest.raises(UsageError, match=r"criteria\[0\].setting is 'p=0.2', but settings are p=0.1, p=0.3: name one"):
        judged(tmp_path, ENDS, of_one, settings={"p": grid("0.1", "0.3")})
