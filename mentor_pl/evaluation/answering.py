"""From prompts to answered problems: decode, and grade each response as soon as it ends, beside the decoding.

Shapes: N responses, `count` of each problem.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from math import isnan

import torch

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, Samples, as_response
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.samples_file import Answered, GradedResponse
from mentor_pl.models.loading import Models
from mentor_pl.rewards.base import Grade, Grades, Grading
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.noise import rollout_keys
from mentor_pl.types import Prompt, Response


def answer(
    models: Models,
    benchmark: Benchmark,
    prompts: Sequence[Prompt],
    sampler: Sampler,
    seed: int,
    finish: Callable[[Answered], None],
    special: bool = True,
) -> Samples:
    """Decode and grade; `finish` takes each problem once all its responses have ended and are graded.

    At temperature 0 the samples of a problem and its greedy response are one: it is decoded and graded once.

    Args:
        special: as of `as_response`.
    """
    random = benchmark.sampling.temperature > 0
    count = benchmark.samples if random else 1
    greedy: list[GradedResponse] | None = None
    if benchmark.greedy and random:
        certain = Responses(models, benchmark, prompts, 1, special=special)
        certain.decode(sampler, replace(benchmark.sampling, temperature=0.0), seed)
        greedy = [certain.of(place)[0] for place in range(len(prompts))]

    def pass_on(place: int, responses: tuple[GradedResponse, ...]) -> None:
        prompt, certain = prompts[place], (greedy[place] if greedy is not None else responses[0])
        finish(
            Answered(
                benchmark.name,
                prompt.index,
                str(prompt.metadata.get("id", prompt.index)),
                str(models.tokenizer.decode(list(prompt.token_ids))),
                prompt.problem,
                prompt.answer,
                prompt.response_prefix,
                prompt.metadata,
                responses * (benchmark.samples // count),
                certain if benchmark.greedy else None,
            )
        )

    drawn = Responses(models, benchmark, prompts, count, pass_on, special)
    return drawn.decode(sampler, benchmark.sampling, seed)


class Responses:
    """`count` responses to each of `prompts`, graded as they end; `pass_on` takes those of a problem once all are."""

    def __init__(
        self,
        models: Models,
        benchmark: Benchmark,
        prompts: Sequence[Prompt],
        count: int,
        pass_on: Callable[[int, tuple[GradedResponse, ...]], None] = lambda place, responses: None,
        special: bool = True,
    ) -> None:
        self.models, self.benchmark, self.count = models, benchmark, count
        self.pass_on, self.special = pass_on, special
        self.owners = [prompt for prompt in prompts for _ in range(count)]
        self.ended: dict[int, tuple[Response, Future[Grade | None]]] = {}
        self.waiting: set[int] = set()  # problems whose responses have all ended, but are not all graded

    def decode(self, sampler: Sampler, sampling: SamplingParams, seed: int) -> Samples:
        """Sample all of them, and wait for the last grade."""
        device = self.models.device
        indices = torch.tensor([prompt.index for prompt in self.owners], device=device)
        places = torch.arange(len(self.owners), device=device) % self.count
        keys = rollout_keys(seed, zlib.crc32(self.benchmark.name.encode()), indices, places)
        ids = [prompt.token_ids for prompt in self.owners]
        samples = sampler(self.models, ids, keys, sampling, on_end=self.end)
        for place in sorted(self.waiting):
            self.pass_on(place, self.of(place))
        return samples

    def end(self, row: int, ids: list[int]) -> None:
        """Take a response that has ended."""
        response = as_response(self.models, ids, self.special)
        self.ended[row] = response, self.benchmark.grader.submit(self.owners[row], response, Grading())
        place = row // self.count
        if all(other in self.ended for other in self._rows(place)):
            self.waiting.add(place)
        for place in sorted(self.waiting):
            if all(self.ended[other][1].done() for other in self._rows(place)):
                self.waiting.discard(place)
                self.pass_on(place, self.of(place))

    def of(self, place: int) -> tuple[GradedResponse, ...]:
        """The responses to a problem."""
        rows = self._rows(place)
        responses, futures = zip(*(self.ended[row] for row in rows), strict=True)
        grades = self.benchmark.grader.gather([self.owners[row] for row in rows], futures)
        right, parts = right_and_parts(self.benchmark.name, self.benchmark.correct, grades)
        return tuple(
            GradedResponse(response.text, len(response.tokens), response.truncated, right[i], parts[i])
            for i, response in enumerate(responses)
        )

    def _rows(self, place: int) -> range:
        return range(place * self.count, (place + 1) * self.count)


def right_and_parts(benchmark: str, correct: str, grades: Grades) -> tuple[list[bool], list[dict[str, float]]]:
    """Of each response to a problem, whether it is right, and the other parts of its grade.

    One without a grade is not right; it, and one whose grade stands in for a verdict, has the part `not_graded`.

    Raises:
        UsageError: for a reward without the part `correct`.
    """
    rows = range(len(grades.total))
    graded = [not isnan(total) for total in grades.total]
    if correct not in grades.parts and any(graded):
        raise UsageError(
            f"benchmark {benchmark}: reward has no part '{correct}', only {sorted(grades.parts)}: name one of them as "
            "`correct`"
        )
    parts = [{name: float(part[i]) for name, part in grades.parts.items() if name != correct} for i in rows]
    for i in grades.failed:
        parts[i]["not_graded"] = 1.0
    return [graded[i] and float(grades.parts[correct][i]) == 1 for i in rows], parts
