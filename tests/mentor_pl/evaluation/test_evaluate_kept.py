"""Finished problems are never decoded again, and those of other settings are refused."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation import evaluate as evaluate_file
from mentor_pl.evaluation.evaluate import open_samples
from mentor_pl.evaluation.samples_file import read_samples
from mentor_pl.runtime.errors import UsageError

sys.path.append(str(Path(__file__).parent))

from scripted import ANSWERS, EOS, GREEDY, Interrupted, ScriptedSampler, measured, toy


def opened(folder, models, benchmark, seed=1, weights="w"):
    open_samples(folder, models, benchmark, seed=seed, settings={"weights": weights}, notes={"policy": "here"})
    return folder


def test_kept_samples_are_what_was_measured(models, path, tmp_path):
    benchmark = toy(path, greedy=True)
    keep = opened(tmp_path / "toy", models, benchmark)
    got = measured(models, benchmark, ScriptedSampler(ANSWERS, GREEDY), keep=keep)
    assert list(read_samples(keep).values()) == got.answered
    second = got.answered[1]
    assert (second.benchmark, second.index, second.id, second.prompt, second.answer) == ("toy", 1, "p2", "t2", "t2")
    assert [(r.text, r.length, r.truncated, r.correct) for r in second.responses] == [
        ("t4 t4 t4", 3, True, False),
        ("t1", 2, False, False),
    ]
    assert (second.greedy.text, second.greedy.correct, second.responses[0].parts) == ("t4", False, {"short": 0.0})


def test_a_run_that_was_cut_off_decodes_what_is_missing_alone_and_ends_with_the_same_numbers(models, path, tmp_path):
    """Cut off after five of six responses, rows ending last to first: problems 2 and 3 have ended, 1 has not."""
    benchmark = toy(path)
    whole = measured(models, benchmark, ScriptedSampler(ANSWERS), keep=opened(tmp_path / "whole", models, benchmark))
    keep = opened(tmp_path / "cut", models, benchmark)
    with pytest.raises(Interrupted):
        measured(models, benchmark, ScriptedSampler(ANSWERS, order=-1, stop_after=5), keep=keep)
    assert list(read_samples(keep)) == [1, 2]
    opened(keep, models, benchmark)
    sampler, seen = ScriptedSampler(ANSWERS), []
    resumed = measured(models, benchmark, sampler, keep=keep, progress=lambda *at: seen.append(at))
    assert sampler.calls[0][0] == [(1,), (1,)]
    assert seen == [(2, 3), (3, 3)]
    assert resumed == whole


def test_a_finished_run_is_read_back_without_decoding(models, path, tmp_path):
    benchmark = toy(path)
    keep = opened(tmp_path / "toy", models, benchmark)
    first = measured(models, benchmark, ScriptedSampler(ANSWERS), keep=keep)
    assert measured(models, benchmark, None, keep=keep) == first


def test_another_number_of_processes_goes_on_where_the_others_stopped(models, path, tmp_path, monkeypatch):
    """Two processes answer their share each; then one process alone finds all three problems answered."""
    benchmark = toy(path)
    keep = opened(tmp_path / "toy", models, benchmark)
    monkeypatch.setattr(evaluate_file, "world_size", lambda: 2)
    monkeypatch.setattr(evaluate_file, "_over_ranks", sorted)
    for rank in (0, 1):
        monkeypatch.setattr(evaluate_file, "rank", lambda rank=rank: rank)
        measured(models, benchmark, ScriptedSampler(ANSWERS), keep=keep)
    assert len(list(keep.glob("samples.*.jsonl"))) == 2
    monkeypatch.undo()
    whole = measured(models, benchmark, ScriptedSampler(ANSWERS), keep=opened(tmp_path / "one", models, benchmark))
    assert measured(models, benchmark, None, keep=keep) == whole


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sampling": SamplingParams(temperature=0.5)}, r"sampling\.temperature = 1\.0, not 0\.5"),
        ({"samples": 3}, "samples = 2, not 3"),
        ({"greedy": True}, "greedy = False, not True"),
        ({"correct": "short"}, "correct = 'outcome', not 'short'"),
        ({"system_prompt": "t4"}, "system_prompt = None, not 't4'"),
    ],
    ids=str,
)
def test_other_settings_than_those_of_the_kept_samples_are_a_usage_error(changes, named, models, path, tmp_path):
    keep = opened(tmp_path / "toy", models, toy(path))
    with pytest.raises(UsageError, match=named):
        opened(keep, models, toy(path, **changes))


def test_another_seed_or_other_weights_are_a_usage_error_and_another_limit_is_not(models, path, tmp_path):
    keep = opened(tmp_path / "toy", models, toy(path))
    with pytest.raises(UsageError, match="seed = 1, not 2"):
        opened(keep, models, toy(path), seed=2)
    with pytest.raises(UsageError, match="weights = 'w', not 'v'"):
        opened(keep, models, toy(path), weights="v")
    opened(keep, models, toy(path, limit=1))


def test_other_stop_tokens_are_a_usage_error(models, path, tmp_path):
    keep = opened(tmp_path / "toy", models, toy(path))
    other = replace(models, vocabulary=replace(models.vocabulary, stop_ids=(4, EOS)))
    with pytest.raises(UsageError, match=r"stop_ids = \[5\], not \[4, 5\]"):
        opened(keep, other, toy(path))


def test_a_limit_can_be_raised_over_kept_samples(models, path, tmp_path):
    keep = opened(tmp_path / "toy", models, toy(path))
    measured(models, toy(path, limit=2), ScriptedSampler(ANSWERS), keep=keep)
    sampler = ScriptedSampler(ANSWERS)
    got = measured(models, toy(path), sampler, keep=keep)
    assert sampler.calls[0][0] == [(3,), (3,)]
    assert got.metrics["avg@2"] == pytest.approx(0.5)


@pytest.mark.parametrize(("column", "what"), [("problem", "prompt"), ("answer", "answer")])
def test_problems_that_have_changed_since_are_a_usage_error(column, what, models, path, tmp_path, write_jsonl):
    keep = opened(tmp_path / "toy", models, toy(path))
    measured(models, toy(path), ScriptedSampler(ANSWERS), keep=keep)
    other = write_jsonl([{"problem": "t1", "answer": "t1"} | {column: "t4"}], "other.jsonl")
    with pytest.raises(UsageError, match=rf"problem 0 \(p1\) was answered with the {what} 't1', which now is 't4'"):
        measured(models, toy(str(other)), ScriptedSampler(ANSWERS), keep=keep)
