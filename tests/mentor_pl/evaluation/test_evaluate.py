"""A policy measured: the numbers by hand, the noise fixed, the protocol kept, finished problems never decoded again."""

from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import pytest
import torch

from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Samples
from mentor_pl.evaluation import benchmark
from mentor_pl.evaluation import evaluate as evaluate_file
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.evaluate import block_size, evaluate, open_samples
from mentor_pl.evaluation.samples_file import read_samples
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError

EOS = 5


class AnswerReward(Reward):
    """Right where the response is the answer; half a point for being short."""

    range = (0.0, 1.5)

    def grade(self, prompt, response):
        right, short = response.text == prompt.answer, len(response.text.split()) < 2
        return Grade(right + short / 2, {"outcome": right, "short": short})


class Interrupted(Exception):
    pass


@dataclass
class ScriptedSampler:
    """Answers the problem whose prompt ends with p with the words of answers[p], one row after the other."""

    answers: dict
    greedy: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)
    order: int = 1  # rows end first to last, or with -1 last to first
    stop_after: int | None = None

    def __call__(self, models, prompts, keys, sampling, gate=None, *, limits=None, on_end=None):
        self.calls.append((list(prompts), keys, sampling, gate, models.policy.training, torch.is_grad_enabled()))
        script, turns, rows = (self.greedy if sampling.temperature == 0 else self.answers), {}, []
        for *_, prompt in prompts:
            rows.append(script[prompt][turns.setdefault(prompt, 0)])
            turns[prompt] += 1
        for ended, row in enumerate(list(range(len(rows)))[:: self.order]):
            if ended == self.stop_after:
                raise Interrupted
            on_end(row, rows[row])
        lengths = torch.tensor([len(row) for row in rows])
        longest = int(lengths.max())
        mask = torch.arange(longest) < lengths[:, None]
        return Samples(
            ids=torch.tensor([row + [0] * (longest - len(row)) for row in rows]),
            lengths=lengths,
            logprobs=torch.zeros(mask.shape),
            entropies=torch.where(mask, lengths[:, None].float(), 77.0),
            gate_weights=torch.zeros(mask.shape),
            guided=mask & False,
            replaced=mask & False,
            truncated=lengths == 3,
        )


@pytest.fixture
def models(lookup_models):
    return lookup_models(torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(4)))


@pytest.fixture
def path(write_jsonl):
    """Three problems, prompts [1], [2], [3], whose answers are the same words."""
    return str(write_jsonl([{"problem": f"t{i}", "answer": f"t{i}", "id": f"p{i}"} for i in (1, 2, 3)]))


# of 2 samples each: problem 1 has one right, 2 has none (one has no end), 3 has both
ANSWERS = {1: [[1, EOS], [4, EOS]], 2: [[4, 4, 4], [1, EOS]], 3: [[3, EOS], [3, EOS]]}
GREEDY = {1: [[1, EOS]], 2: [[4, EOS]], 3: [[4, EOS]]}


def toy(path, name="toy", samples=2, reward=None, **options):
    return Benchmark(name, path, reward or AnswerReward(), samples, **options)


def measured(models, benchmark, sampler, seed=1, **options):
    return evaluate(models, benchmark, benchmark.load(models.tokenizer, 2**20), sampler, seed=seed, **options)


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


def test_without_greedy_nothing_is_sampled_greedily(models, path):
    sampler = ScriptedSampler(ANSWERS)
    assert "greedy" not in measured(models, toy(path), sampler).metrics
    assert [call[2].temperature for call in sampler.calls] == [1.0]


def test_the_protocol_reaches_the_sampler_and_greedy_differs_in_the_temperature_only(models, path):
    sampling = SamplingParams(temperature=0.6, top_p=0.9, max_new_tokens=3)
    sampler = ScriptedSampler(ANSWERS, GREEDY)
    models.policy.train()
    measured(models, toy(path, sampling=sampling, greedy=True), sampler)
    (greedy_prompts, _, second, *_), (prompts, keys, first, gate, training, gradients) = sampler.calls
    assert prompts == [(1,), (1,), (2,), (2,), (3,), (3,)]
    assert greedy_prompts == [(1,), (2,), (3,)]
    assert len(keys.unique()) == 6
    assert first == sampling
    assert second == SamplingParams(temperature=0.0, top_p=0.9, max_new_tokens=3)
    assert (gate, training, gradients) == (None, False, False)
    assert models.policy.training


def keys_of(models, path, seed=1, **options):
    sampler = ScriptedSampler(ANSWERS)
    measured(models, toy(path, **options), sampler, seed=seed)
    return torch.cat([call[1] for call in sampler.calls]).tolist()


def test_noise_is_the_same_at_every_evaluation_and_another_for_another_seed_or_benchmark(models, path):
    first = keys_of(models, path)
    assert keys_of(models, path) == first
    assert not set(keys_of(models, path, seed=2)) & set(first)
    assert not set(keys_of(models, path, name="other")) & set(first)


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


def test_a_response_is_handed_to_the_reward_as_soon_as_it_ends_and_grades_may_come_back_in_any_order(models, path):
    """Grades of a problem that arrive late, or before those of an earlier one, go to their own responses."""

    class Late(AnswerReward):
        pending: list  # of (future, grade)

        def grade(self, prompt, response):
            self.pending.append((Future(), super().grade(prompt, response)))
            if len(self.pending) == 6:  # only the last response releases all, the latest first
                for future, grade in reversed(self.pending):
                    future.set_result(grade)
            return self.pending[-1][0]

    late = Late()
    late.pending = []
    got = measured(models, toy(path, reward=late), ScriptedSampler(ANSWERS, order=-1))
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


# ------------------------------------------------------------------------------------------------- kept samples


def opened(folder, models, benchmark, seed=1, weights="w"):
    open_samples(folder, models, benchmark, seed=seed, facts={"weights": weights}, notes={"policy": "here"})
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


@pytest.mark.parametrize(("column", "what"), [("problem", "the prompt 't1', which now is 't4'"), ("answer", "answer")])
def test_problems_that_have_changed_since_are_a_usage_error(column, what, models, path, tmp_path, write_jsonl):
    keep = opened(tmp_path / "toy", models, toy(path))
    measured(models, toy(path), ScriptedSampler(ANSWERS), keep=keep)
    other = write_jsonl([{"problem": "t1", "answer": "t1"} | {column: "t4"}], "other.jsonl")
    with pytest.raises(UsageError, match=f"problem 0 .p1. was answered with the {what}|{what}"):
        measured(models, toy(str(other)), ScriptedSampler(ANSWERS), keep=keep)
