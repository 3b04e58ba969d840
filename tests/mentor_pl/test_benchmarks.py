"""Held-out problems measured: the numbers by hand, the noise fixed, the protocol kept."""

from dataclasses import dataclass, field

import pytest
import torch

from mentor_pl import benchmarks
from mentor_pl.benchmarks import Benchmark, block_size, evaluate
from mentor_pl.decoding.base import Samples
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.sampling import Sampling
from mentor_pl.errors import UsageError
from mentor_pl.rewards.base import Grades


class AnswerReward:
    """Right where the response is the answer; half a point for being short."""

    range = (0.0, 1.5)

    def __call__(self, prompts, responses):
        right = [float(response == prompt.answer) for prompt, response in zip(prompts, responses, strict=True)]
        short = [float(len(response.split()) < 2) for response in responses]
        return Grades([r + s / 2 for r, s in zip(right, short, strict=True)], {"outcome": right, "short": short})


@dataclass
class ScriptedSampler:
    """Answers the problem whose prompt ends with p with the words of answers[p], one row after the other."""

    answers: dict
    greedy: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)

    def __call__(self, models, prompts, keys, sampling, gate=None, *, limits=None, on_end=None):
        self.calls.append((list(prompts), keys, sampling, gate, models.policy.training, torch.is_grad_enabled()))
        script, turns, rows = (self.greedy if sampling.temperature == 0 else self.answers), {}, []
        for *_, prompt in prompts:
            rows.append(script[prompt][turns.setdefault(prompt, 0)])
            turns[prompt] += 1
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
    return write_jsonl([{"problem": f"t{i}", "answer": f"t{i}"} for i in (1, 2, 3)])


# of 2 samples each: problem 1 has one right, 2 has none (one is long), 3 has both
ANSWERS = {1: [[1], [4]], 2: [[4, 4, 4], [1]], 3: [[3], [3]]}


def test_every_metric_by_hand(models, path):
    sampler = ScriptedSampler(ANSWERS, greedy={1: [[1]], 2: [[4]], 3: [[4]]})
    got = evaluate(models, Benchmark("toy", str(path), AnswerReward(), samples=2, greedy=True), sampler, seed=1)
    assert got == pytest.approx(
        {
            "avg@2": (1 / 2 + 0 + 1) / 3,
            "pass@2": 2 / 3,
            "greedy": 1 / 3,
            "length": (1 + 1 + 3 + 1 + 1 + 1) / 6,
            "truncated": 1 / 6,
            "entropy": (5 * 1 + 3 * 3) / 8,  # the mean over 8 tokens, three of which have entropy 3
            "short": 5 / 6,
        }
    )


def test_without_greedy_nothing_is_sampled_greedily(models, path):
    sampler = ScriptedSampler(ANSWERS)
    got = evaluate(models, Benchmark("toy", str(path), AnswerReward(), samples=2), sampler, seed=1)
    assert "greedy" not in got
    assert [call[2].temperature for call in sampler.calls] == [1.0]


def test_the_protocol_reaches_the_sampler_and_greedy_differs_in_the_temperature_only(models, path):
    sampling = Sampling(temperature=0.6, top_p=0.9, max_new_tokens=3)
    sampler = ScriptedSampler(ANSWERS, greedy={i: [[i]] for i in (1, 2, 3)})
    models.policy.train()
    evaluate(models, Benchmark("toy", str(path), AnswerReward(), 2, sampling, greedy=True), sampler, seed=1)
    (prompts, keys, first, gate, training, gradients), (greedy_prompts, _, second, *_) = sampler.calls
    assert prompts == [(1,), (1,), (2,), (2,), (3,), (3,)]
    assert greedy_prompts == [(1,), (2,), (3,)]
    assert len(keys.unique()) == 6
    assert first == sampling
    assert second == Sampling(temperature=0.0, top_p=0.9, max_new_tokens=3)
    assert (gate, training, gradients) == (None, False, False)
    assert models.policy.training


def keys_of(models, path, name="toy", seed=1, **options):
    sampler = ScriptedSampler(ANSWERS)
    evaluate(models, Benchmark(name, str(path), AnswerReward(), samples=2, **options), sampler, seed=seed)
    return torch.cat([call[1] for call in sampler.calls]).tolist()


def test_noise_is_the_same_at_every_evaluation_and_another_for_another_seed_or_benchmark(models, path):
    first = keys_of(models, path)
    assert keys_of(models, path) == first
    assert not set(keys_of(models, path, seed=2)) & set(first)
    assert not set(keys_of(models, path, name="other")) & set(first)


def test_blocks_change_neither_noise_nor_results(models, path, monkeypatch):
    benchmark = Benchmark("toy", str(path), AnswerReward(), samples=4, sampling=Sampling(max_new_tokens=2), greedy=True)
    seen = []
    whole = evaluate(models, benchmark, Naive(), seed=1), keys_of(models, path)
    monkeypatch.setattr(benchmarks, "block_size", lambda samples: 2)
    got = (
        evaluate(models, benchmark, Naive(rows=3), seed=1, progress=lambda *at: seen.append(at)),
        keys_of(models, path),
    )
    assert got[0] == pytest.approx(whole[0])
    assert got[1] == whole[1]
    assert seen == [(0, 3), (2, 3), (3, 3)]


def test_a_limit_takes_the_first_problems_and_a_limit_beyond_the_end_all(models, path):
    assert keys_of(models, path, limit=2) == keys_of(models, path)[:4]
    assert keys_of(models, path, limit=99) == keys_of(models, path)


def test_problems_over_the_prompt_limit_are_left_out(models, write_jsonl):
    path = write_jsonl([{"problem": "t1 t1 t1", "answer": "t1"}, {"problem": "t3", "answer": "t3"}])
    sampler = ScriptedSampler(ANSWERS)
    got = evaluate(models, Benchmark("toy", str(path), AnswerReward(), 2, max_prompt_tokens=2), sampler, seed=1)
    assert sampler.calls[0][0] == [(3,), (3,)]
    assert got["avg@2"] == 1


def test_the_system_prompt_stands_before_every_problem(models, path):
    sampler = ScriptedSampler(ANSWERS)
    evaluate(models, Benchmark("toy", str(path), AnswerReward(), 2, system_prompt="t4 t4"), sampler, seed=1)
    assert sampler.calls[0][0] == [(4, 4, 1), (4, 4, 1), (4, 4, 2), (4, 4, 2), (4, 4, 3), (4, 4, 3)]


@pytest.mark.parametrize(("rank", "problems"), [(0, [1, 3]), (1, [2])])
def test_each_process_takes_its_share_of_the_problems(rank, problems, models, path, monkeypatch):
    monkeypatch.setattr(benchmarks, "world_size", lambda: 2)
    monkeypatch.setattr(benchmarks, "rank", lambda: rank)
    sampler = ScriptedSampler(ANSWERS)
    evaluate(models, Benchmark("toy", str(path), AnswerReward(), 2), sampler, seed=1)
    assert sampler.calls[0][0] == [(problem,) for problem in problems for _ in range(2)]


def test_fewer_problems_than_processes_is_a_usage_error(models, path, monkeypatch):
    monkeypatch.setattr(benchmarks, "world_size", lambda: 4)  # a process without problems has no metrics to sum
    with pytest.raises(UsageError, match="3 problems for 4 processes"):
        evaluate(models, Benchmark("toy", str(path), AnswerReward(), 2), ScriptedSampler(ANSWERS), seed=1)


def test_another_part_of_the_reward_may_say_what_is_right(models, path):
    benchmark = Benchmark("toy", str(path), AnswerReward(), samples=2, correct="short")
    got = evaluate(models, benchmark, ScriptedSampler(ANSWERS), seed=1)
    assert got["avg@2"] == pytest.approx(5 / 6)
    assert got["outcome"] == pytest.approx(3 / 6)  # then the outcome is a part among others


def test_a_part_that_the_reward_does_not_have_is_a_usage_error_that_lists_those_it_has(models, path):
    benchmark = Benchmark("toy", str(path), AnswerReward(), samples=2, correct="truth")
    with pytest.raises(UsageError, match=r"no part 'truth', only \['outcome', 'short'\]"):
        evaluate(models, benchmark, ScriptedSampler(ANSWERS), seed=1)


def test_a_reward_outside_its_range_is_a_usage_error_here_too(models, path):
    class Wrong(AnswerReward):
        range = (0.0, 1.0)

    with pytest.raises(UsageError, match=r"Wrong gave 1\.5"):
        evaluate(models, Benchmark("toy", str(path), Wrong(), samples=2), ScriptedSampler(ANSWERS), seed=1)


@pytest.mark.parametrize("options", [{"samples": 0}, {"limit": 0}], ids=str)
def test_counts_out_of_range_are_usage_errors_that_name_the_benchmark(options):
    ((name, value),) = options.items()
    with pytest.raises(UsageError, match=f"benchmark toy: {name} is {value}"):
        Benchmark("toy", "problems.jsonl", AnswerReward(), **options)


@pytest.mark.parametrize(("samples", "problems"), [(1, 512), (8, 64), (512, 1), (1000, 1)])
def test_a_block_holds_about_512_responses_and_at_least_one_problem(samples, problems):
    assert block_size(samples) == problems
