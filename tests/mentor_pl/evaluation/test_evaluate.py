"""A policy measured: the numbers by hand, whatever the blocks and the number of processes."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation import benchmark
from mentor_pl.evaluation import evaluate as evaluate_file
from mentor_pl.evaluation.evaluate import block_size
from mentor_pl.runtime.errors import UsageError

sys.path.append(str(Path(__file__).parent))

from scripted import ANSWERS, GREEDY, AnswerReward, ScriptedSampler, keys_of, measured, toy


def test_every_metric_by_hand(models, path):
    got = measured(models, toy(path, greedy=True, pass_at=[1, 2]), ScriptedSampler(ANSWERS, GREEDY), words=["T4", "t"])
    assert got.metrics == pytest.approx(
        {
            "avg@2": (1 / 2 + 0 + 1) / 3,
            "pass@1": (1 / 2 + 0 + 1) / 3,
            "pass@2": 2 / 3,
            "greedy": 1 / 3,
            "length": (2 + 2 + 3 + 2 + 2 + 2) / 6,
            "truncated": 1 / 6,
            "entropy": (5 * 4 + 9) / 13,  # the mean over 13 tokens, three of which have entropy 3, the others 2
            "short": 5 / 6,
            "words/T4": 2 / 6,
            "words/t": 0,
        }
    )


def test_blocks_change_neither_noise_nor_results(models, path, monkeypatch):
    benchmark = toy(path, samples=4, sampling=SamplingParams(max_new_tokens=2), greedy=True)
    seen = []
    whole = measured(models, benchmark, Naive()), keys_of(models, path)
    monkeypatch.setattr(evaluate_file, "block_size", lambda samples: 2)
    got = measured(models, benchmark, Naive(rows=3), progress=lambda *at: seen.append(at)), keys_of(models, path)
    assert got[0].metrics == pytest.approx(whole[0].metrics)
    assert got[0].answered == whole[0].answered
    assert got[1] == whole[1]
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("rank", "problems"), [(0, [1, 3]), (1, [2])])
def test_each_process_takes_its_share_of_the_problems(rank, problems, models, path, monkeypatch):
    monkeypatch.setattr(evaluate_file, "world_size", lambda: 2)
    monkeypatch.setattr(evaluate_file, "rank", lambda: rank)
    monkeypatch.setattr(evaluate_file, "_over_ranks", sorted)
    sampler = ScriptedSampler(ANSWERS)
    measured(models, toy(path), sampler)
    assert sampler.calls[0][0] == [(problem,) for problem in problems for _ in range(2)]


def test_fewer_problems_than_processes_is_a_usage_error(models, path, monkeypatch):
    monkeypatch.setattr(benchmark, "world_size", lambda: 4)  # a process without problems has no metrics to sum
    with pytest.raises(UsageError, match="3 problems for 4 processes"):
        toy(path).load(models.tokenizer, 2**20)


def test_a_part_that_some_responses_lack_counts_as_zero_there(models, path):
    class Bonus(AnswerReward):
        def grade(self, prompt, response):
            grade = super().grade(prompt, response)
            return replace(grade, parts=grade.parts | ({"bonus": 1.0} if response.text == "t3" else {}))

    assert measured(models, toy(path, reward=Bonus()), ScriptedSampler(ANSWERS)).metrics["bonus"] == pytest.approx(
        2 / 6
    )


@pytest.mark.parametrize(("samples", "problems"), [(1, 4096), (32, 128), (5000, 1)])
def test_a_block_holds_about_4096_responses_and_at_least_one_problem(samples, problems):
    assert block_size(samples) == problems
