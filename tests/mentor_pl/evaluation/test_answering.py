"""Responses sampled and graded: the protocol kept, the noise fixed, each grade at its own response."""

import sys
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.runtime.errors import UsageError

sys.path.append(str(Path(__file__).parent))

from scripted import ANSWERS, GREEDY, AnswerReward, ScriptedSampler, keys_of, measured, toy


def test_without_greedy_nothing_is_sampled_greedily(models, path):
    sampler = ScriptedSampler(ANSWERS)
    assert "greedy" not in measured(models, toy(path), sampler).metrics
    assert [call[2].temperature for call in sampler.calls] == [1.0]


def test_the_protocol_reaches_the_sampler_and_greedy_differs_in_the_temperature_only(models, path):
    sampling = SamplingParams(temperature=0.6, top_p=0.9, max_new_tokens=3)
    sampler = ScriptedSampler(ANSWERS, GREEDY)
    models.policy.train()
    measured(models, toy(path, sampling=sampling, greedy=True), sampler)
    (greedy_prompts, _, second, *_), (prompts, keys, first, blend, training, gradients) = sampler.calls
    assert prompts == [(1,), (1,), (2,), (2,), (3,), (3,)]
    assert greedy_prompts == [(1,), (2,), (3,)]
    assert len(keys.unique()) == 6
    assert first == sampling
    assert second == SamplingParams(temperature=0.0, top_p=0.9, max_new_tokens=3)
    assert (blend, training, gradients) == (None, False, False)
    assert models.policy.training


def test_noise_is_the_same_at_every_evaluation_and_another_for_another_seed_or_benchmark(models, path):
    first = keys_of(models, path)
    assert keys_of(models, path) == first
    assert not set(keys_of(models, path, seed=2)) & set(first)
    assert not set(keys_of(models, path, name="other")) & set(first)


def test_a_response_is_handed_to_the_reward_as_soon_as_it_ends_and_grades_may_come_back_in_any_order(models, path):
    """Grades of a problem that arrive late, or before those of an earlier one, go to their own responses."""

    class Delayed(AnswerReward):
        pending: list  # of (future, grade)

        def grade(self, prompt, response):
            self.pending.append((Future(), super().grade(prompt, response)))
            if len(self.pending) == 6:  # only the last response releases all, the latest first
                for future, grade in reversed(self.pending):
                    future.set_result(grade)
            return self.pending[-1][0]

    delayed = Delayed()
    delayed.pending = []
    got = measured(models, toy(path, reward=delayed), ScriptedSampler(ANSWERS, order=-1))
    assert got.answered == measured(models, toy(path), ScriptedSampler(ANSWERS)).answered
    assert [[response.correct for response in one.responses] for one in got.answered] == [
        [True, False],
        [False, False],
        [True, True],
    ]


def test_a_word_that_the_tokenizer_calls_special_is_graded_and_kept_like_any_other(models, path):
    models.tokenizer.add_special_tokens({"additional_special_tokens": ["t1", "t3"]})
    got = measured(models, toy(path), ScriptedSampler(ANSWERS))
    assert got.metrics["avg@2"] == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert [response.text for response in got.answered[2].responses] == ["t3", "t3"]


def test_another_part_of_the_reward_may_say_what_is_right(models, path):
    got = measured(models, toy(path, correct="short"), ScriptedSampler(ANSWERS)).metrics
    assert got["avg@2"] == pytest.approx(5 / 6)
    assert got["outcome"] == pytest.approx(3 / 6)  # then the outcome is a part among others


def test_a_part_that_the_reward_does_not_have_is_a_usage_error_that_lists_those_it_has(models, path):
    with pytest.raises(UsageError, match=r"no part 'truth', only \['outcome', 'short'\]"):
        measured(models, toy(path, correct="truth"), ScriptedSampler(ANSWERS))


def test_a_reward_outside_its_range_is_a_usage_error_here_too(models, path):
    class Wrong(AnswerReward):
        range = (0.0, 1.0)

    with pytest.raises(UsageError, match=r"Wrong gave 1\.5"):
        measured(models, toy(path, reward=Wrong()), ScriptedSampler(ANSWERS))


@pytest.mark.parametrize("greedy", [True, False])
def test_at_temperature_zero_a_problem_is_decoded_and_graded_once_and_has_all_its_samples(models, path, greedy):
    class Counting(AnswerReward):
        graded = 0

        def grade(self, prompt, response):
            self.graded += 1
            return super().grade(prompt, response)

    reward, sampler = Counting(), ScriptedSampler({}, GREEDY)
    benchmark = toy(path, samples=3, sampling=SamplingParams(temperature=0.0), greedy=greedy, reward=reward)
    got = measured(models, benchmark, sampler)
    assert [call[0] for call in sampler.calls] == [[(1,), (2,), (3,)]]
    assert reward.graded == 3
    for one in got.answered:
        assert len(one.responses) == 3
        assert one.responses == (one.responses[0],) * 3
        assert one.greedy == (one.responses[0] if greedy else None)
    expected = {"avg@3": 1 / 3, "pass@3": 1 / 3, "length": 2.0, "entropy": 2.0} | ({"greedy": 1 / 3} if greedy else {})
    assert {name: got.metrics.get(name) for name in expected} == pytest.approx(expected)
    assert ("greedy" in got.metrics) == greedy


def test_a_response_that_the_reward_gives_no_grade_is_not_right_and_is_counted(models, path):
    class Choosy(AnswerReward):  # of the six responses the two of the last problem, which are right, and one before
        def grade(self, prompt, response):
            return None if response.text in ("t3", "t4 t4 t4") else super().grade(prompt, response)

    got = measured(models, toy(path, reward=Choosy()), ScriptedSampler(ANSWERS))
    assert [[response.correct for response in one.responses] for one in got.answered] == [
        [True, False],
        [False, False],
        [False, False],
    ]
    assert got.metrics["not_graded"] == pytest.approx(3 / 6)
    assert got.metrics["avg@2"] == pytest.approx(1 / 6)
    assert "not_graded" not in measured(models, toy(path), ScriptedSampler(ANSWERS)).metrics


def test_a_grade_that_stands_in_for_a_verdict_is_counted_too(models, path):
    class Late(AnswerReward):
        def grade(self, prompt, response):
            grade = super().grade(prompt, response)
            return replace(grade, failure="over its time") if response.text == "t4" else grade

    got = measured(models, toy(path, reward=Late()), ScriptedSampler(ANSWERS))
    assert [["not_graded" in response.parts for response in one.responses] for one in got.answered] == [
        [False, True],
        [False, False],
        [False, False],
    ]


def test_a_reward_that_fails_is_one_line_here_too(models, path):
    class Down(AnswerReward):
        def grade(self, prompt, response):
            raise ConnectionError("refused")

    with pytest.raises(UsageError, match=r"reward Down could not grade problem \d: ConnectionError: refused"):
        measured(models, toy(path, reward=Down()), ScriptedSampler(ANSWERS))
