from __future__ import annotations

import pytest
from packed import unpack
from recorded_runs import Mazes, row, table

from mentor_pl.records.page.embed import embed
from mentor_pl.records.reading import place_of
from mentor_pl.records.writing import write_step
from mentor_pl.runtime.errors import UsageError

PLENTY = 10**7


@pytest.fixture
def run(tmp_path):
    return Mazes(steps=range(1, 8), prompts=3, policy=2, mixture=2).write(tmp_path / "run")


def shown(embedded):
    return {step: one.rollouts for step, one in embedded.steps.items()}


def test_all_is_shown_where_there_is_room(run) -> None:
    (one,) = embed([run], [], 1000, PLENTY)
    assert shown(one) == dict.fromkeys(range(1, 8), 12)
    assert one.left_out() == ""
    assert one.size == sum(len(step.letters) for step in one.steps.values())


def test_steps_go_first_then_rollouts_and_what_went_is_told(run) -> None:
    (whole,) = embed([run], [], 1000, PLENTY)
    (fewer,) = embed([run], [], 1000, whole.size * 6 // 7)
    assert (min(fewer.steps), max(fewer.steps)) == (1, 7)
    assert 5 <= len(fewer.steps) < 7
    assert set(shown(fewer).values()) == {12}
    assert fewer.left_out() == f"{7 - len(fewer.steps)} of 7 recorded steps"
    (little,) = embed([run], [], 1000, whole.size // 3)
    assert len(little.steps) == 5
    assert little.size <= whole.size // 3
    assert set(shown(little).values()) <= {4, 8}  # whole groups
    told = 60 - sum(shown(little).values())
    assert little.left_out() == f"2 of 7 recorded steps and {told} of 60 rollouts of the steps shown"


def test_steps_that_are_named_are_all_shown_and_rollouts_go_where_they_have_no_room(run) -> None:
    (named,) = embed([run], [6, 2], 1000, PLENTY)
    assert list(named.steps) == [2, 6]
    (little,) = embed([run], [6, 2], 1000, named.size // 2)
    assert list(little.steps) == [2, 6]
    assert little.size <= named.size // 2


def test_of_a_step_no_more_rollouts_than_asked_for(run) -> None:
    (one,) = embed([run], [], 8, PLENTY)
    assert set(shown(one).values()) == {8}


def test_where_nothing_has_room_the_least_is_shown(run) -> None:
    (one,) = embed([run], [3], 1000, 1)
    assert shown(one) == {3: 1}


def test_a_second_run_shows_the_same_steps_and_first_the_problems_of_the_first(run, tmp_path) -> None:
    other = tmp_path / "other"
    Mazes(steps=range(1, 14, 2), prompts=3, policy=2, mixture=0, seed=1).write(other)
    for step in (3, 5):  # problems as the first run has them, and others in front
        problems = [99, 98, *(problem for problem in range(step * 3 - 3, step * 3))]
        rows = [row(["U"], step=step, group=g, number=n, problem=p) for g, p in enumerate(problems) for n in range(2)]
        write_step(other, step, table(rows))
    one, two = embed([run, other], [3, 5], 4, PLENTY)
    assert list(one.steps) == list(two.steps) == [3, 5]
    assert two.steps[3].problems > one.steps[3].problems
    assert unpack(two.steps[3].letters)[0]["recorded"] == 10


def test_where_there_is_no_room_for_all_the_steps_that_both_runs_have_are_shown(run, tmp_path) -> None:
    other = Mazes(steps=(*range(1, 8), *range(20, 80)), prompts=1, policy=1, mixture=1).write(tmp_path / "other")
    _, whole = embed([run, other], [], 1000, PLENTY)
    assert len(whole.steps) == 67
    _, two = embed([run, other], [], 1000, whole.size)  # half of it for each
    assert set(two.steps) <= set(range(1, 8))
    assert len(two.steps) >= 5
    place_of(other, 7).write_bytes(b"PAR1")
    _, two = embed([run, other], [], 1000, whole.size)
    assert set(two.steps) <= set(range(1, 7))
    assert list(two.passed_over) == [place_of(other, 7)]


def test_runs_with_hardly_a_step_in_common_show_what_they_have(run, tmp_path) -> None:
    other = Mazes(steps=(7, 50, 60), prompts=1).write(tmp_path / "other")
    one, two = embed([run, other], [], 1000, PLENTY)
    assert (len(one.steps), list(two.steps)) == (7, [7, 50, 60])


@pytest.mark.parametrize(
    ("folder", "steps", "line"),
    [
        ("nowhere", [], "nowhere: no such folder: give a run's"),
        (".", [], "has no records of rollouts: train with callbacks.RolloutRecord among trainer.callbacks"),
        ("run", [9], "run has no record of step 9; it has steps 1, 2, 3, 4, 5, 6, 7"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_line(run, tmp_path, folder, steps, line) -> None:
    with pytest.raises(UsageError) as refused:
        embed([tmp_path / folder], steps, 1000, PLENTY)
    assert line in str(refused.value)


def test_records_that_are_damaged_or_empty_are_passed_over_and_named(run) -> None:
    place_of(run, 7).write_bytes(b"PAR1 and so on")
    write_step(run, 4, table([]))
    (run / "metrics.csv").write_text("step,train/gamma\nfive,1\n")
    (one,) = embed([run], [], 1000, PLENTY)
    assert list(one.steps) == [1, 2, 3, 5, 6]
    assert one.curves == []
    assert one.left_out() == (
        "2 of 7 recorded steps and what is damaged: metrics.csv, step=000007.parquet, step=000004.parquet"
    )
    metrics, seven, four = one.passed_over.values()
    assert "metrics.csv is no table of metrics" in metrics
    assert "step=000007.parquet is no record of rollouts" in seven
    assert "step=000004.parquet has no rollouts: name the steps to show by --steps" in four


def test_a_run_none_of_whose_records_can_be_read_is_refused(run) -> None:
    place_of(run, 7).write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"step=000007.parquet is no record of rollouts"):
        embed([run], [7], 1000, PLENTY)
    (one,) = embed([run], [6, 7], 1000, PLENTY)
    assert list(one.steps) == [6]
