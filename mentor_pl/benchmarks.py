"""Benchmarks: held-out problems, how they are sampled and graded, and what is measured on them.

Shapes: P problems of this rank, n samples of each.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torchmetrics import MeanMetric

from mentor_pl.decoding.base import Sampler, decoding
from mentor_pl.decoding.noise import rollout_keys
from mentor_pl.decoding.sampling import Sampling
from mentor_pl.errors import UsageError
from mentor_pl.metrics import AvgAtK, PassAtK
from mentor_pl.models import Models
from mentor_pl.parallel import rank, world_size
from mentor_pl.prompts import load_prompts
from mentor_pl.rewards.base import Reward
from mentor_pl.rollout import decode_texts, graded, response_values
from mentor_pl.types import Prompt


@dataclass(frozen=True)
class Benchmark:
    """One set of problems with its protocol.

    Attributes:
        name: in metric names, `val/<name>/…`.
        path: JSON-lines file with the fields `problem` and `answer`.
        reward: grader; a response is right where the part `correct` is 1.
        samples: responses per problem, n; avg@n and pass@n are reported.
        sampling: temperature, filters, maximum length of the samples.
        greedy: also report the accuracy of the greedy response.
        system_prompt: put before every problem; none by default.
        max_prompt_tokens: problems with longer prompts are left out.
        limit: only the first so many problems; all by default.
        correct: the reward's part that says whether a response is right.

    Raises:
        UsageError: for counts out of range.
    """

    name: str
    path: str
    reward: Reward
    samples: int = 8
    sampling: Sampling = field(default_factory=Sampling)
    greedy: bool = False
    system_prompt: str | None = None
    max_prompt_tokens: int = 1024
    limit: int | None = None
    correct: str = "outcome"

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise UsageError(f"benchmark {self.name}: samples is {self.samples}: give at least 1")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"benchmark {self.name}: limit is {self.limit}: give at least 1, or null for all")


def evaluate(
    models: Models,
    benchmark: Benchmark,
    sampler: Sampler,
    *,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, problems: None,
) -> dict[str, float]:
    """Measure the policy on a benchmark, this rank taking its share of the problems.

    The noise is keyed by (seed, benchmark, problem, sample), so two evaluations of one policy are equal, and two
    policies are compared on the same noise.

    Args:
        models: the policy and its vocabulary.
        benchmark: problems and protocol.
        sampler: decoder.
        seed: of the sampling noise.
        progress: called with the problems done and their total, of this rank.

    Returns:
        metric name -> value over all ranks: `avg@n`, `pass@n`, `greedy`, `length`, `truncated`, `entropy` and the mean
        of each part of the reward.

    Raises:
        UsageError: for unreadable problems, fewer problems than processes, or a reward without the part `correct`.
    """
    prompts = load_prompts(
        benchmark.path, models.tokenizer, benchmark.system_prompt, benchmark.max_prompt_tokens
    ).prompts[: benchmark.limit]
    if len(prompts) < world_size():
        raise UsageError(f"benchmark {benchmark.name}: {len(prompts)} problems for {world_size()} processes: use fewer")
    mine = prompts[rank() :: world_size()]
    n = benchmark.samples
    average, passed, greedy = AvgAtK(), PassAtK(n), AvgAtK()
    means: dict[str, MeanMetric] = {}
    progress(0, len(mine))
    with decoding(models.policy):
        for start in range(0, len(mine), block_size(n)):
            block = mine[start : start + block_size(n)]
            correct, facts = _respond(models, benchmark, sampler, block, n, benchmark.sampling, seed)
            average.update(correct)
            passed.update(correct)
            for name, values in facts.items():
                means.setdefault(name, MeanMetric()).update(values)
            if benchmark.greedy:
                certain = replace(benchmark.sampling, temperature=0.0)
                greedy.update(_respond(models, benchmark, sampler, block, 1, certain, seed)[0])
            progress(start + len(block), len(mine))
    results = {f"avg@{n}": average, f"pass@{n}": passed} | ({"greedy": greedy} if benchmark.greedy else {}) | means
    return {name: float(metric.to(models.device).compute()) for name, metric in sorted(results.items())}


def _respond(
    models: Models,
    benchmark: Benchmark,
    sampler: Sampler,
    prompts: Sequence[Prompt],
    count: int,
    sampling: Sampling,
    seed: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sample and grade `count` responses to each prompt.

    Returns:
        correctness [P, count] bool, and what else is known: name -> one value per response, or per token for `entropy`.
    """
    owners = [prompt for prompt in prompts for _ in range(count)]
    indices = torch.tensor([prompt.index for prompt in owners], device=models.device)
    places = torch.arange(len(owners), device=models.device) % count
    keys = rollout_keys(seed, zlib.crc32(benchmark.name.encode()), indices, places)
    samples = sampler(models, [prompt.token_ids for prompt in owners], keys, sampling)
    grades = graded(benchmark.reward, owners, decode_texts(models, samples))
    if benchmark.correct not in grades.parts:
        raise UsageError(
            f"benchmark {benchmark.name}: reward has no part '{benchmark.correct}', only {sorted(grades.parts)}: name "
            "one of them as `correct`"
        )
    correct = torch.tensor(grades.parts[benchmark.correct]).view(-1, count) == 1
    facts = {name: torch.tensor(part) for name, part in grades.parts.items() if name != benchmark.correct}
    facts["length"] = samples.lengths.float().cpu()
    facts["truncated"] = samples.truncated.float().cpu()
    facts["entropy"] = response_values(samples.entropies, samples.lengths).cpu()
    return correct, facts


def block_size(samples: int) -> int:
    """Problems decoded together: about 512 responses, so that progress is visible and finished rows are replaced."""
    return max(1, 512 // samples)
