import json
from dataclasses import replace

import pytest
from experiment_results import ACCURACY, grid, small_design

from mentor_pl.experiments.design.design import Choice, Comparison, Method, read_design
from mentor_pl.experiments.design.outcome import Criterion, Outcome
from mentor_pl.runtime.errors import UsageError

TEXT = """\
question: Which?
base: [base.yaml]
methods:
  mentor: {configs: [mentor.yaml], overrides: {model.alpha: 0.5}}
  grpo: {}
settings:
  p:
    - {label: low, overrides: {model.p: 0.1}}
    - {label: high, overrides: {model.p: 0.9, model.list: [1, a]}}
overrides: {data.prompts_per_step: 2}
seeds: [1, 2]
steps: 4
primary: {metric: val/maze/avg@8}
baseline: grpo
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text("data: {train: a.jsonl}\n")
    (tmp_path / "mentor.yaml").write_text("model: {expert: e}\n")
    (tmp_path / "design.yaml").write_text(TEXT)
    return tmp_path / "design.yaml"


def test_cells_are_every_method_setting_and_seed_with_later_overrides_behind(file):
    cells = read_design(file).cells()
    assert [cell.name for cell in cells] == [
        *("mentor/p=low/seed1", "grpo/p=low/seed1", "mentor/p=high/seed1", "grpo/p=high/seed1"),
        *("mentor/p=low/seed2", "grpo/p=low/seed2", "mentor/p=high/seed2", "grpo/p=high/seed2"),
    ]
    assert cells[2].arguments == (
        *("--config", "base.yaml", "--config", "mentor.yaml", "--data.prompts_per_step=2", "--model.alpha=0.5"),
        *("--model.p=0.9", '--model.list=[1, "a"]', "--data.steps=4", "--threads=1", "--seed_everything=1"),
    )


def test_every_other_method_is_compared_with_the_baseline_where_nothing_is_said(file):
    assert read_design(file).comparisons == (Comparison("mentor", "grpo"),)


def test_the_hash_is_of_what_the_design_says_and_not_of_how_it_is_written(file):
    before = read_design(file).sha256
    lines = TEXT.replace("{metric: val/maze/avg@8}", "\n  last:   3 # the default\n  metric: 'val/maze/avg@8'")
    file.write_text("# a comment\n" + lines.replace("question: Which?\n", "") + "\nquestion: Which?\n")
    (file.parent / "base.yaml").write_text("data:\n  train: a.jsonl  # the same\n")
    assert read_design(file).sha256 == before


@pytest.mark.parametrize(
    "change",
    [("seeds: [1, 2]", "seeds: [1, 2, 3]"), ("label: low", "label: lower"), ("0.9", "0.95"), ("Which?", "Why?")],
)
def test_the_hash_changes_with_any_value(file, change):
    before = read_design(file).sha256
    file.write_text(TEXT.replace(*change))
    assert read_design(file).sha256 != before


def test_hash_and_cells_change_with_what_a_configuration_holds_and_only_the_cells_that_use_it(file):
    before = read_design(file)
    (file.parent / "mentor.yaml").write_text("model: {expert: f}\n")
    after = read_design(file)
    assert after.sha256 != before.sha256
    same = [a.identity == b.identity for a, b in zip(before.cells(), after.cells(), strict=True)]
    assert same == [False, True] * 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("steps: 4", "steps: 0"), "steps is 0, but it counts batches of rollouts: give at least 1"),
        (("steps: 4", "step: 4"), "step: no such setting; did you mean steps?"),
        (("seeds: [1, 2]", "seeds: [1, 1]"), "seeds has 1 twice"),
        (("seeds: [1, 2]", "seeds: []"), "seeds is empty"),
        (("seeds: [1, 2]", "seeds: [-1]"), "seeds is -1"),
        (("baseline: grpo", "baseline: gpro"), "baseline is 'gpro', but methods are mentor, grpo"),
        (("label: high", "label: low"), "settings.p has low twice"),
        (("label: high", "label: a/b"), "settings.p has 'a/b', but folders are named for it"),
        (("model.alpha: 0.5", "data.steps: 5"), "methods.mentor.overrides sets data.steps, but every cell has its own"),
        (("[mentor.yaml]", "[nothing.yaml]"), "nothing.yaml cannot be read (No such file or directory)"),
        (("avg@8}", "avg@8, summary: best}"), "primary.summary is 'best': give last or area or fall"),
        (("avg@8}", "avg@8, last: 0}"), "last is 0"),
        (("avg@8}", "avg@8, at: token}"), "primary.at is 'token': give steps or tokens"),
        (("steps: 4", "steps: 4\nthreads: 0"), "threads is 0"),
        (("steps: 4", "steps: 4\ncriteria: [{method: grpo, metric: a}]"), "criterion of a for 'grpo' has no bound"),
        (("label: high", "threads: 0, label: high"), "settings.p high: threads is 0"),
        (("steps: 4", "steps: 4\nevaluate_every: 0"), "evaluate_every is 0"),
    ],
)
def test_a_design_that_cannot_be_run_is_refused_in_one_line_with_its_file(file, change, words):
    file.write_text(TEXT.replace(*change))
    with pytest.raises(UsageError) as caught:
        read_design(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("comparisons", "words"),
    [
        ([Comparison("luffy")], r"comparisons\[0\].method is 'luffy'"),
        ([Comparison("mentor", "sft")], r"comparisons\[0\].against is 'sft'"),
        ([Comparison("grpo")], r"comparisons\[0\] sets 'grpo' against itself"),
        ([Comparison("mentor", threshold=-0.1)], r"comparisons\[0\].threshold is -0.1: give at least 0, and turn"),
        ([Comparison("mentor")] * 2, "comparisons has .* twice"),
    ],
)
def test_a_comparison_of_what_is_not_there_is_refused(tmp_path, comparisons, words):
    with pytest.raises(UsageError, match=words):
        small_design(tmp_path, comparisons=tuple(comparisons))


def test_grids_are_crossed(tmp_path):
    design = small_design(tmp_path, settings={"p": grid("0.1", "0.2"), "style": (Choice("far", {"model.style": 1}),)})
    assert design.combinations() == {
        "p=0.1,style=far": {"model.alpha": 0.1, "model.style": 1},
        "p=0.2,style=far": {"model.alpha": 0.2, "model.style": 1},
    }


def test_the_canonical_form_is_plain_json_with_all_defaults(tmp_path):
    plain = small_design(tmp_path, methods={"mentor": Method(), "grpo": Method()}).canonical()
    assert json.loads(json.dumps(plain)) == plain
    claim = {"method": "mentor", "against": "grpo", "outcome": None, "direction": "greater", "threshold": 0.0}
    assert plain["comparisons"] == [claim]
    assert plain["contents"] == {str(tmp_path / "base.yaml"): {"data": {"train": "base.jsonl"}}}


def test_an_outcome_says_how_it_is_summarised():
    assert Outcome("acc").name == "acc, mean of the last 3 evaluations"
    assert Outcome("acc", "area").name == "acc, mean height of the curve"


def test_a_value_of_a_grid_may_have_threads_of_its_own_and_they_are_part_of_a_cell(tmp_path):
    one = small_design(tmp_path)
    two = small_design(tmp_path, threads=2)
    assert one.sha256 != two.sha256
    assert [a.threads for a in two.cells()] == [2] * 6
    assert all("--threads=2" in cell.arguments for cell in two.cells())
    assert not {a.identity for a in one.cells()} & {a.identity for a in two.cells()}
    threads = (Choice("one"), Choice("two", threads=2))
    both = small_design(tmp_path, settings={"threads": threads})
    assert {cell.setting: cell.threads for cell in both.cells()} == {"threads=one": 1, "threads=two": 2}


def test_how_often_runs_are_evaluated_is_a_key_of_the_design(tmp_path):
    design = small_design(tmp_path)
    callbacks = "trainer: {callbacks: [{class_path: callbacks.BenchmarkValidation, init_args: {words: []}}]}\n"
    (tmp_path / "base.yaml").write_text(callbacks)
    cell = replace(design, evaluate_every=5).cells()[0]
    (word,) = [one for one in cell.arguments if one.startswith("--trainer.callbacks=")]
    (callback,) = json.loads(word.partition("=")[2])
    assert callback["init_args"] == {"words": [], "every_n_steps": 5}
    with pytest.raises(UsageError, match=r"overrides sets trainer\.callbacks\..*every_n_steps, and so does"):
        replace(design, evaluate_every=5, overrides={"trainer.callbacks.BenchmarkValidation.every_n_steps": 2})


def test_a_design_into_callbacks_that_are_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"every_n_steps goes into a list, but trainer\.callbacks has no item"):
        small_design(tmp_path, evaluate_every=5)


def test_a_criterion_of_a_method_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"criteria\[0\].method is 'luffy', but methods are mentor, grpo"):
        small_design(tmp_path, criteria=(Criterion("luffy", ACCURACY, at_most=1),))


def test_runs_must_log_what_outcomes_and_criteria_are_about_each_once(tmp_path):
    criteria = (Criterion("grpo", "cell/seconds", at_most=60), Criterion("grpo", "val/maze/entropy", at_least=0.1))
    beside = (Outcome(ACCURACY, "area"), Outcome("val/maze/pass@8"))
    design = small_design(tmp_path, criteria=criteria, secondary=beside)
    assert design.metrics() == [ACCURACY, "val/maze/pass@8", "val/maze/entropy"]
