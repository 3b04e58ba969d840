"""Measuring a policy on a benchmark: decode what is missing, grade each response as soon as it ends, sum over ranks.

Shapes: P problems of this rank, n samples of each, N = P·n responses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torchmetrics import MeanMetric, Metric

from mentor_pl.decoding.sampler import Sampler, decoding, response_values
from mentor_pl.evaluation.answering import answer
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.class_spec import spec_of
from mentor_pl.evaluation.metrics import REASONING_WORDS, AvgAtK, PassAtK, WordOccurrence
from mentor_pl.evaluation.samples_file import Answered, SamplesWriter, check_settings, read_samples, write_header
from mentor_pl.models.loading import Models
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.runtime.collectives import all_objects, all_sum, rank, together, world_size
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt

BLOCK = 4096  # responses that one call of the sampler decodes: what it returns is held in memory


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        metrics: name -> value over all ranks.
        answered: this rank's problems, in their order.
    """

    metrics: Mapping[str, float]
    answered: Sequence[Answered]


def evaluate(
    models: Models,
    benchmark: Benchmark,
    prompts: Sequence[Prompt],
    sampler: Sampler,
    *,
    seed: int,
    words: Sequence[str] = REASONING_WORDS,
    keep: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, problems: None,
) -> Evaluation:
    """Measure the policy on a benchmark, this rank taking its share of the problems.

    The noise is keyed by (seed, benchmark, problem, sample), so two policies are compared on the same noise, and batch,
    number of ranks and interruptions do not change a sample's law; in 32-true on one machine two evaluations of one
    policy are equal.

    Args:
        models: the policy and its vocabulary.
        benchmark: protocol and reward.
        prompts: its problems, from `benchmark.load`; the same on every rank.
        sampler: decoder.
        seed: of the sampling noise.
        words: whose share of responses is measured.
        keep: folder that finished problems are kept in, opened by `open_samples`; those in it are not decoded again.
        progress: called with the problems done and their total, of this rank.

    Returns:
        metrics `avg@n`, `pass@k`, `greedy`, `length`, `truncated`, `words/<word>`, the mean of each part of the
        reward, and, where no samples are kept (they know no logits), `entropy`.

    Raises:
        UsageError: for a reward without the part `correct`, or with a total outside its range.
        Stopped: on all ranks, where a signal came while training; under `mentor validate` it ends things at once.
    """
    mine = prompts[rank() :: world_size()]
    kept = read_samples(keep) if keep is not None else {}
    done = [same_problem(kept[prompt.index], prompt, models, keep) for prompt in mine if prompt.index in kept]
    all_sum(torch.zeros((), device=models.device))  # every rank has read before any writes
    writer = SamplesWriter(keep, rank()) if keep is not None else None
    progress(len(done), len(mine))

    def finish(answered: Answered) -> None:
        done.append(answered)
        if writer is not None:
            writer.write(answered)
        progress(len(done), len(mine))

    entropy = MeanMetric()
    missing = [prompt for prompt in mine if prompt.index not in kept]

    def decode() -> None:
        for start in range(0, len(missing), block_size(benchmark.samples)):
            block = missing[start : start + block_size(benchmark.samples)]
            samples = answer(models, benchmark, block, sampler, seed, finish)
            entropy.update(response_values(samples.entropies, samples.lengths).cpu())

    try:
        with decoding(models.policy):
            together(decode, models.device)
    finally:
        if writer is not None:
            writer.close()
    done.sort(key=lambda answered: answered.index)  # sums do not depend on what ended first
    metrics = measure(done, benchmark.ks, words, _over_ranks(part_names(done)))
    if keep is None:
        metrics["entropy"] = entropy
    return Evaluation(dict(sorted(values(metrics, models.device).items())), done)


def _over_ranks(names: set[str]) -> list[str]:
    """The names that any rank has, so that all sum the same metrics in the same order."""
    return sorted(set().union(*all_objects(names)))


def part_names(answered: Sequence[Answered]) -> set[str]:
    """The reward's parts, of all responses."""
    return {name for one in answered for response in one.responses for name in response.parts}


def measure(
    answered: Sequence[Answered], ks: Sequence[int], words: Sequence[str], parts: Sequence[str], **options: Any
) -> dict[str, Metric]:
    """Metrics over problems: `avg@n`, `pass@k` for every k, `greedy`, what responses are like, words used.

    Args:
        answered: problems, at least one.
        ks: the k of each pass@k.
        words: whose share of responses is measured.
        parts: of the reward; one that a response lacks is 0 there.
        options: of every torchmetric.
    """
    n = len(answered[0].responses)
    correct = torch.tensor([[response.correct for response in one.responses] for one in answered])
    responses = [response for one in answered for response in one.responses]
    metrics: dict[str, Metric] = {f"avg@{n}": AvgAtK(**options)} | {f"pass@{k}": PassAtK(k, **options) for k in ks}
    for metric in metrics.values():
        metric.update(correct)
    if answered[0].greedy is not None:
        metrics["greedy"] = AvgAtK(**options)
        metrics["greedy"].update(torch.tensor([[one.greedy is not None and one.greedy.correct] for one in answered]))
    means = {name: [response.parts.get(name, 0.0) for response in responses] for name in parts}
    means["length"] = [response.length for response in responses]
    means["truncated"] = [float(response.truncated) for response in responses]
    for name, numbers in means.items():
        metrics[name] = MeanMetric(**options)
        metrics[name].update(torch.tensor(numbers, dtype=torch.float64))
    if words:
        metrics["words"] = WordOccurrence(words, **options)
        metrics["words"].update([response.text for response in responses])
    return metrics


def values(metrics: Mapping[str, Metric], device: torch.device | str = "cpu") -> dict[str, float]:
    """Metrics as numbers, one for each word. `device` is where ranks exchange them."""
    results: dict[str, float] = {}
    for name, metric in metrics.items():
        value = metric.to(device).compute()
        if isinstance(metric, WordOccurrence):
            shares = zip(metric.words, value.view(-1).tolist(), strict=True)  # a single word is a scalar
            results |= {f"words/{word}": share for word, share in shares}
        else:
            results[name] = float(value)
    return results


def open_samples(
    folder: Path,
    models: Models,
    benchmark: Benchmark,
    *,
    seed: int,
    settings: Mapping[str, Any],
    notes: Mapping[str, Any],
) -> None:
    """Make the folder of a benchmark's samples, or check that those in it were made with the same settings.

    Args:
        folder: of this benchmark and model.
        models: the policy and its vocabulary.
        benchmark: protocol and reward.
        seed: of the sampling noise.
        settings: what else the samples depend on, such as the weights.
        notes: what is good to know of them.

    Raises:
        UsageError: for samples that were made with other settings.
    """
    settings = {**settings, **protocol_of(benchmark, models.vocabulary, seed)}
    check_settings(folder, settings)
    all_sum(torch.zeros((), device=models.device))  # every rank has checked before the first writes
    if rank() == 0:
        report = {"pass_at": benchmark.ks, "without": sorted(benchmark.ids_without()), "licence": benchmark.licence}
        write_header(folder, {"settings": settings, **report, **notes})


def protocol_of(benchmark: Benchmark, vocabulary: Vocabulary, seed: int) -> dict[str, Any]:
    """What samples depend on beside the weights and the problems."""
    return {
        "seed": seed,
        "stop_ids": list(vocabulary.stop_ids),
        "samples": benchmark.samples,
        "sampling": asdict(benchmark.sampling),
        "greedy": benchmark.greedy,
        "system_prompt": benchmark.system_prompt,
        "reward": spec_of(benchmark.grader),
        "correct": benchmark.correct,
    }


def same_problem(answered: Answered, prompt: Prompt, models: Models, folder: Path | None) -> Answered:
    """A kept problem that still is what `prompt` asks.

    Raises:
        UsageError: where another text was answered, or the reference is another.
    """
    ours = models.tokenizer.decode(list(prompt.token_ids))
    for what, was, now in (("prompt", answered.prompt, ours), ("answer", answered.answer, prompt.answer)):
        if was != now:
            raise UsageError(
                f"{folder}: problem {answered.index} ({answered.id}) was answered with the {what} {was[-60:]!r}, which "
                f"now is {now[-60:]!r}: delete the folder, or give the problems it was made with"
            )
    return answered


def block_size(samples: int) -> int:
    """Problems decoded in one call."""
    return max(1, BLOCK // samples)
