"""A sampler that says what it is told, a reward that knows the answer; importable as `scripted`."""

from dataclasses import dataclass, field

import torch

from mentor_pl.decoding.sampler import Samples
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.evaluate import evaluate
from mentor_pl.rewards.base import Grade, Reward

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

    def __call__(self, models, prompts, keys, sampling, blend=None, *, limits=None, on_end=None):
        self.calls.append((list(prompts), keys, sampling, blend, models.policy.training, torch.is_grad_enabled()))
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
            margins=torch.zeros(mask.shape),
            divergences=torch.zeros(mask.shape),
            drafts=torch.tensor([row + [0] * (longest - len(row)) for row in rows]),
        )


# of 2 samples each: problem 1 has one right, 2 has none (one has no end), 3 has both
ANSWERS = {1: [[1, EOS], [4, EOS]], 2: [[4, 4, 4], [1, EOS]], 3: [[3, EOS], [3, EOS]]}
GREEDY = {1: [[1, EOS]], 2: [[4, EOS]], 3: [[4, EOS]]}


def toy(path, name="toy", samples=2, reward=None, **options):
    return Benchmark(name, path, reward or AnswerReward(), samples, **options)


def measured(models, benchmark, sampler, seed=1, **options):
    return evaluate(models, benchmark, benchmark.load(models.tokenizer, 2**20), sampler, seed=seed, **options)


def keys_of(models, path, seed=1, **options):
    sampler = ScriptedSampler(ANSWERS)
    measured(models, toy(path, **options), sampler, seed=seed)
    return torch.cat([call[1] for call in sampler.calls]).tolist()
