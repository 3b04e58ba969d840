"""Answers are scored by the problem's own task, in a worker that has given up what an answer could misuse."""

import json
import socket
import sys

import pytest

from callbacks import BenchmarkValidation
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.problems.filter_report import FilterReport
from mentor_pl.problems.selection import Selection, select_problems
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.rewards.reasoning_gym import ReasoningGymReward
from mentor_pl.rewards.sandbox import landlock
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response


@pytest.fixture
def reward(reasoning_gym):
    made = []

    def make(**options):
        made.append(ReasoningGymReward(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def prompts(source="reasoning_gym:simple_sums?size=4"):
    problems = select_problems([source], Selection(), FilterReport())
    return [Prompt(one.index, one.problem, one.answer, (), metadata=one.metadata) for one in problems]


def test_the_tasks_own_scorer_decides_and_the_last_box_or_tag_is_the_answer(reward):
    first = prompts()[2]
    texts = [rf"\boxed{{{first.answer}}}", f"<answer>{first.answer}</answer>", r"\boxed{1000}", r"\boxed{?}", "none"]
    grades = reward()([first] * 5, [Response(text) for text in texts])
    assert grades.total == [1, 1, 0, 0, 0]
    assert grades.parts["score"] == pytest.approx([1, 1, 0.05, 0, 0])
    partial = reward(partial=True)([first], [Response(r"\boxed{1000}")])
    assert partial.total == pytest.approx([0.05])
    assert partial.parts["outcome"] == [0]


def test_the_example_of_every_problem_is_right_in_the_papers_reward_too(reward):
    paper = PaperReward(reward())
    asked = prompts()
    grades = paper(asked, [Response(f"<think>a</think>{paper.example(prompt)}") for prompt in asked])
    assert grades.total == [1] * 4


def test_an_answer_that_never_ends_scores_0_and_leaves_the_others(reward):
    first = prompts()[0]
    grades = reward(timeout=0.5)(
        [first] * 2, [Response(r"\boxed{[0 for i in iter(int, 1)]}"), Response(rf"\boxed{{{first.answer}}}")]
    )
    assert (grades.total, grades.parts["timeout"]) == ([0, 1], [1, 0])


@pytest.mark.skipif(not landlock.version(), reason="this system has no Landlock")
def test_an_answer_that_is_evaluated_reaches_neither_files_nor_network(reward, tmp_path):
    """The expression is right where it reaches what it reaches for."""
    first = prompts()[0]
    secret = tmp_path / "secret"
    secret.write_text(first.answer)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reach = [
            f"open('{secret}').read()",
            f"(__import__('socket').create_connection(('127.0.0.1', {port}), 1), {first.answer})[1]",
            f"(open('{tmp_path}/written', 'w'), {first.answer})[1]",
            first.answer,
        ]
        grades = reward()([first] * 4, [Response(f"<answer>{answer}</answer>") for answer in reach])
    assert grades.total == [0, 0, 0, 1]
    assert not (tmp_path / "written").exists()


def test_what_a_scorer_imports_late_may_lie_where_any_library_is_installed(reward, tmp_path, monkeypatch):
    elsewhere = tmp_path / "other/site-packages"
    elsewhere.mkdir(parents=True)
    (elsewhere / "needed_late.py").write_text("")
    monkeypatch.syspath_prepend(str(elsewhere))
    (first,) = prompts("reasoning_gym:late?size=1")
    assert reward()([first], [Response(rf"\boxed{{{first.answer}}}")]).total == [1]


def test_a_task_that_walks_through_sets_and_draws_from_the_processs_generator_is_made_alike_everywhere(reward):
    asked = prompts("reasoning_gym:loose?size=3")
    assert reward()(asked, [Response(rf"\boxed{{{prompt.answer}}}") for prompt in asked]).total == [1] * 3


def test_a_problem_that_its_task_makes_otherwise_is_an_error_that_names_it(reward):
    with pytest.raises(UsageError, match="prompt 0 cannot be scored: the task makes another problem"):
        reward()(prompts("reasoning_gym:unsteady?size=1"), [Response(r"\boxed{1}")])


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ({"task": {"name": "os", "seed": 0, "size": 1, "options": {}}, "index": 0}, "reasoning_gym has no such task"),
        ({"task": {}, "index": 0}, "its task does not make it: KeyError"),
        ({"index": 0}, "its task does not make it"),
    ],
)
def test_data_cannot_name_what_the_library_does_not_list(reward, origin, message):
    prompt = Prompt(7, "1 + 1", "2", (), metadata={"reasoning_gym": json.loads(json.dumps(origin))})
    with pytest.raises(UsageError, match=f"prompt 7 cannot be scored: .*{message}"):
        reward()([prompt], [Response(r"\boxed{2}")])


def test_a_prompt_of_another_source_is_refused(reward):
    with pytest.raises(UsageError, match="prompt 3 has no column reasoning_gym"):
        reward()([Prompt(3, "1 + 1", "2", ())], [Response(r"\boxed{2}")])


def test_without_the_library_the_reward_is_refused_when_it_is_made(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(UsageError, match=r"pip install mentor-pl\[environments\]"):
        ReasoningGymReward()


def test_a_run_trains_on_a_task_and_measures_it_by_name(reward, run):
    scorer = reward()
    sums = Benchmark("sums", "reasoning_gym:simple_sums?size=4", scorer, 2, SamplingParams(max_new_tokens=4))
    source = {"train": "reasoning_gym:simple_sums?size=8", "reward": scorer, "max_prompt_tokens": 60}
    job = run(steps=1, callbacks=[BenchmarkValidation([sums], at_start=False)], data_options=source)
    job.fit()
    assert [prompt.problem for prompt in job.data.problems.prompts] == [
        prompt.problem for prompt in prompts("reasoning_gym:simple_sums?size=8")
    ]
    assert job.trainer.callback_metrics["val/sums/avg@2"] == 0
    assert sums.read()[0]["problem"].endswith("(1000000)")
