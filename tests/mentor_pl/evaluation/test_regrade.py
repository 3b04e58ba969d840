"""Kept samples graded again: by their own reward or another one, in place, and nothing decoded."""

import json

import pytest

from mentor_pl.evaluation.class_spec import spec_of
from mentor_pl.evaluation.regrade import regrade
from mentor_pl.evaluation.samples_file import (
    Answered,
    GradedResponse,
    read_header,
    read_samples,
    write_header,
    write_samples,
)
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.rewards.math import MathReward
from mentor_pl.runtime.errors import UsageError


def response(text, correct):
    return GradedResponse(text, 5, False, correct, {"stale": 1.0})


def answered(index, *responses, answer="B", greedy=None):
    return Answered("toy", index, str(index), "p", "p", answer, "<think>", {"choices": ["x", "y"]}, responses, greedy)


FIRST = answered(
    0, response("Answer: B. No, answer: A", False), response("\\boxed{B}", False), greedy=response("B.", True)
)
SECOND = answered(1, response("answer: A", True), response("y", True), greedy=response("", True))


@pytest.fixture
def kept(tmp_path):
    """Two problems from two ranks, with grades that are mostly wrong."""
    folder = tmp_path / "model-1234"
    settings = {"reward": spec_of(ChoiceReward("first")), "correct": "outcome", "seed": 3}
    write_header(folder / "toy", {"settings": settings, "pass_at": [2], "without": [], "policy": "somewhere"})
    write_samples(folder / "toy/samples.0.jsonl", [SECOND])
    write_samples(folder / "toy/samples.1.jsonl", [FIRST])
    return folder


def right(folder):
    found = read_samples(folder / "toy").values()
    return [[*(r.correct for r in one.responses), one.greedy.correct] for one in found]


def test_grades_are_those_of_the_reward_the_header_names_and_texts_stay(kept):
    summary, changes = regrade(kept)
    assert right(kept) == [[True, True, True], [False, True, False]]
    assert changes == 4
    first, _ = read_samples(kept / "toy").values()
    assert [r.text for r in first.responses] == [r.text for r in FIRST.responses]
    assert first.responses[0].parts == {}  # the stale part is gone
    assert summary["benchmarks"]["toy"]["metrics"]["avg@2"] == 0.75
    assert summary["benchmarks"]["toy"]["metrics"]["greedy"] == 0.5
    assert (summary["policy"], summary["seed"]) == ("somewhere", 3)
    assert json.loads((kept / "results.json").read_text())["benchmarks"]["toy"]["metrics"]["avg@2"] == 0.75
    assert "avg@2 75.0" in (kept / "results.md").read_text()


def test_grading_twice_changes_nothing_and_leaves_one_file(kept):
    first = regrade(kept)
    assert regrade(kept) == (first[0], 0)
    assert [file.name for file in kept.glob("toy/samples*")] == ["samples.0.jsonl"]


def test_another_reward_may_grade_and_the_header_says_so(kept):
    regrade(kept, ChoiceReward("last"))
    assert right(kept)[0] == [False, True, True]
    assert read_header(kept / "toy")["settings"]["reward"]["init_args"] == {"settled": "last"}


def test_the_folder_of_one_benchmark_will_do(kept):
    assert regrade(kept / "toy")[0]["benchmarks"].keys() == {"toy"}
    assert (kept / "toy/results.md").is_file()


def test_mathematics_is_graded_in_workers_that_end_with_it(kept):
    half, third = (response(f"\\boxed{{\\frac{{1}}{{{n}}}}}", False) for n in (2, 3))
    write_samples(kept / "toy/samples.0.jsonl", [answered(0, half, third, answer="0.5")])
    (kept / "toy/samples.1.jsonl").unlink()
    reward = MathReward(workers=1)
    summary, changes = regrade(kept, reward)
    assert (changes, summary["benchmarks"]["toy"]["metrics"]["avg@2"]) == (1, 0.5)
    assert reward.pool._dispatcher is None


def test_what_cannot_be_graded_is_a_usage_error_and_leaves_the_samples(kept, tmp_path):
    with pytest.raises(UsageError, match="no samples here"):
        regrade(tmp_path / "nowhere")
    before = right(kept)
    header = read_header(kept / "toy")
    write_header(kept / "toy", {**header, "settings": {**header["settings"], "correct": "truth"}})
    with pytest.raises(UsageError, match="no part 'truth'"):
        regrade(kept)
    header["settings"]["reward"] = {"class_path": "os.system", "init_args": {"command": "true"}}
    write_header(kept / "toy", header)
    with pytest.raises(
        UsageError,
        match=r"toy/header\.json: 'os\.system' is no built-in grader .*: give --reward CLASS on the command line",
    ):
        regrade(kept)
    assert right(kept) == before


def test_a_folder_whose_files_are_empty_is_a_usage_error(kept):
    write_samples(kept / "toy/samples.0.jsonl", [])
    (kept / "toy/samples.1.jsonl").unlink()
    with pytest.raises(UsageError, match="samples files are empty"):
        regrade(kept)


@pytest.mark.parametrize(
    "notes",
    [{}, {"pass_at": 1, "without": []}, {"pass_at": ["1"], "without": []}, {"pass_at": [1], "without": [{}]}],
    ids=str,
)
def test_a_header_without_its_notes_is_a_usage_error(notes, kept):
    header = read_header(kept / "toy")
    write_header(kept / "toy", {"settings": header["settings"], **notes})
    with pytest.raises(UsageError, match=r"header\.json: has no lists `pass_at` and `without`"):
        regrade(kept)


def test_a_header_that_does_not_say_what_is_correct_is_a_usage_error(kept):
    header = read_header(kept / "toy")
    del header["settings"]["correct"]
    write_header(kept / "toy", header)
    with pytest.raises(UsageError, match=r"header\.json: its settings have no `correct`"):
        regrade(kept)
