import pytest
from experiment_results import grid, results_of, small_design

from mentor_pl.experiments.design.design import Comparison
from mentor_pl.experiments.statistics.verdicts import judge

SEEDS = tuple(range(8))  # 2⁸ signs: p can be 1/256


def verdicts(tmp_path, accuracy, *comparisons, **changes):
    design = small_design(tmp_path, seeds=SEEDS, comparisons=comparisons or (Comparison("mentor"),), **changes)
    return judge(design, results_of(design, accuracy))


def above(margin):
    return lambda cell: 0.5 + (margin if cell.method == "mentor" else 0.0) + 0.001 * (cell.seed % 3)


@pytest.mark.parametrize(
    ("margin", "comparison", "answer"),
    [
        (0.1, Comparison("mentor"), "holds"),
        (-0.1, Comparison("mentor"), "does not hold"),
        (0.0, Comparison("mentor"), "cannot be told"),
        (0.1, Comparison("mentor", threshold=0.2), "does not hold"),  # better, but by less than counts
        (0.0, Comparison("mentor", threshold=0.02), "does not hold"),
        (-0.1, Comparison("mentor", direction="less"), "holds"),
        (-0.1, Comparison("mentor", direction="less", threshold=0.2), "does not hold"),
        (0.1, Comparison("grpo", "mentor"), "does not hold"),
    ],
)
def test_a_claim_by_the_rule_of_the_design(tmp_path, margin, comparison, answer):
    (one,) = verdicts(tmp_path, above(margin), comparison)
    assert one.answer == answer


def test_the_better_direction_counts_positive(tmp_path):
    (one,) = verdicts(tmp_path, above(-0.1), Comparison("mentor", direction="less", threshold=0.05))
    assert one.paired.mean == pytest.approx(0.1)
    assert one.claim == "mentor below grpo by more than 0.05"
    assert one.why == "adjusted p 0.00391 ≤ 0.05"


def test_every_setting_is_judged_and_all_are_corrected_together(tmp_path):
    found = verdicts(tmp_path, above(0.1), settings={"p": grid("0.1", "0.2", "0.3")})
    assert [one.setting for one in found] == ["p=0.1", "p=0.2", "p=0.3"]
    assert [one.p for one in found] == pytest.approx([3 / 256] * 3)


def test_a_claim_without_runs_cannot_be_told_and_still_counts_in_the_correction(tmp_path):
    accuracy = above(0.1)
    found = verdicts(
        tmp_path, lambda cell: None if cell.setting == "p=0.2" else accuracy(cell), settings={"p": grid("0.1", "0.2")}
    )
    assert [one.answer for one in found] == ["holds", "cannot be told"]
    assert found[1].why == "no seed has a finished run of both"
    assert found[0].p == pytest.approx(2 / 256)


def test_too_few_seeds_are_said_to_be_too_few(tmp_path):
    design = small_design(tmp_path, seeds=(1, 2, 3))
    (one,) = judge(design, results_of(design, above(0.1)))
    assert one.answer == "cannot be told"
    assert one.why.endswith("so few seeds for so many claims give 0.125 at best")


def test_seeds_that_one_alone_has_are_named(tmp_path):
    accuracy = above(0.1)
    (one,) = verdicts(tmp_path, lambda cell: None if (cell.method, cell.seed) == ("grpo", 3) else accuracy(cell))
    assert len(one.paired.seeds) == 7
    assert one.why.endswith("without seed 3, which one of them alone has")
