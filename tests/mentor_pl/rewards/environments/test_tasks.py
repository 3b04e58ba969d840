"""A task of reasoning-gym is a name with settings, and only names that the library lists are taken."""

import sys

import pytest

from mentor_pl.rewards.environments.tasks import Task
from mentor_pl.runtime.errors import UsageError


def test_a_name_says_task_seed_size_and_settings():
    source = 'reasoning_gym:simple_sums?size=20&seed=3&largest=4&operators=["+","-"]&mode=hard'
    assert Task.named(source, "train") == Task(
        "simple_sums", 3, 20, {"largest": 4, "operators": ["+", "-"], "mode": "hard"}
    )
    assert Task.named("reasoning_gym:simple_sums", "train") == Task("simple_sums", 0, 500, {})
    assert Task.named("reasoning_gym:simple_sums", "test").seed == 1  # benchmarks have other problems


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("size", "'size' is no setting: write reasoning_gym:simple_sums"),
        ("size=0", "size is 0"),
        ("size=many", "has size='many': give a whole number"),
        ("seed=5000", "seed is 5000"),
    ],
)
def test_a_setting_out_of_range_is_refused_in_one_line(query, message):
    with pytest.raises(UsageError, match=message) as refusal:
        Task.named(f"reasoning_gym:simple_sums?{query}", "train")
    assert "\n" not in str(refusal.value)


def test_seeds_have_no_problem_in_common_and_one_seed_gives_the_same_problems(reasoning_gym):
    def questions(seed):
        dataset = Task("simple_sums", seed).dataset()
        return {dataset[index]["question"] for index in range(500)}

    assert questions(0) == questions(0)
    assert not questions(0) & questions(1)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Task("simple_sum"), "has no such task: give one such as simple_sums"),
        (Task("os"), "has no such task"),
        (Task("simple_sums", options={"smallest": 1}), "no setting 'smallest': its own are largest, operators"),
        (Task("simple_sums", options={"largest": 0}), "settings do not fit: AssertionError: largest must be positive"),
    ],
)
def test_a_task_or_setting_that_the_library_lacks_is_refused(reasoning_gym, task, message):
    with pytest.raises(UsageError, match=message):
        task.dataset()


def test_without_the_library_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(UsageError, match=r"run `pip install mentor-pl\[environments\]`"):
        Task("simple_sums").dataset()
