"""The library itself, where it is installed: tasks by name, their scores, and what the stand-in takes for granted."""

import inspect

import pytest

from mentor_pl.problems.filter_report import FilterReport
from mentor_pl.problems.selection import Selection, select_problems
from mentor_pl.rewards.environments.tasks import Task, library
from mentor_pl.rewards.reasoning_gym import ReasoningGymReward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed: pip install mentor-pl[environments]")

SMALL = 'min_numbers=3&max_numbers=3&max_value=9&min_target=1&max_target=30&operators=["+","-"]'
TASKS = [
    "basic_arithmetic",
    "chain_sum?min_terms=5&max_terms=5&min_digits=1&max_digits=1",
    f"countdown?{SMALL}",
    "gcd",
    "isomorphic_strings",  # walks through a set of texts
    "knights_knaves?n_people=2",  # imports numpy.random only when it is asked
    "list_functions",  # draws from the generator of the process
    "mini_sudoku",
    "number_sorting",
    "ransom_note",  # walks through a set of texts
    "spell_backward",
]
OF_ANY_VALUE = ["graph_color", "rush_hour"]  # the library names no answer: any that its scorer takes


@pytest.fixture(scope="module")
def reward():
    reward = ReasoningGymReward(workers=1)
    yield reward
    reward.close()


def with_settings(name, settings):
    return f"reasoning_gym:{name}{'&' if '?' in name else '?'}{settings}"


def prompts(name):
    problems = select_problems([with_settings(name, "size=3")], Selection(), FilterReport())
    return [Prompt(one.index, one.problem, one.answer, (), metadata=one.metadata) for one in problems]


@pytest.mark.parametrize("name", TASKS)
def test_the_tasks_own_answer_is_worth_1_and_others_less_and_seeds_differ(name, reward):
    asked = prompts(name)
    own = reward(asked, [Response(reward.example(prompt)) for prompt in asked])
    assert own.total == [1] * 3
    texts = [r"\boxed{}", r"\boxed{no such thing}", "<answer>[[-1]]</answer>", r"\boxed{{'a': (}}", "none"]
    others = reward([asked[0]] * len(texts), [Response(text) for text in texts])
    assert all(0 <= score < 1 for score in others.parts["score"])
    assert others.parts["timeout"] == [0] * len(texts)
    train, heldout = (Task.named(with_settings(name, f"seed={n}&size=20"), "train").dataset() for n in (0, 1))
    assert not {train[n]["question"] for n in range(20)} & {heldout[n]["question"] for n in range(20)}


@pytest.mark.parametrize("name", OF_ANY_VALUE)
def test_a_task_without_an_answer_of_its_own_still_scores(name, reward):
    asked = prompts(name)
    assert [reward.example(prompt) for prompt in asked] == [None] * 3
    assert all(0 <= score < 1 for score in reward(asked, [Response(r"\boxed{1}")] * 3).parts["score"])


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Task("chain_sums"), "has no such task: give one such as chain_sum"),
        (Task("countdown", options={"max_number": 4}), "no setting 'max_number': its own are max_numbers"),
        (Task("countdown", options={"max_numbers": 2}), "settings do not fit: AssertionError: max_numbers"),
        (Task("composite"), "settings do not fit: AssertionError"),
    ],
)
def test_a_wrong_name_or_setting_is_refused_in_one_line(task, message):
    with pytest.raises(UsageError, match=message) as refusal:
        task.dataset()
    assert "\n" not in str(refusal.value)


def test_the_stand_in_has_the_librarys_interface(request):
    def interface(factory, name):
        dataset = factory.create_dataset(name, seed=7, size=4)
        kinds = [len(entry) for entry in factory.DATASETS.values()]
        calls = [list(inspect.signature(one).parameters) for one in (factory.register_dataset, factory.create_dataset)]
        return set(kinds), calls, dataset.seed, len(dataset), dataset[0].keys()

    real = interface(library(), "chain_sum")
    request.getfixturevalue("reasoning_gym")
    assert interface(library(), "simple_sums") == real
