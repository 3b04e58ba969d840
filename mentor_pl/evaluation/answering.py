"""From prompts to answered problems: decode, and grade each response as soon as it ends, beside the decoding.

Shapes: N responses, `count` of each problem.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

import torch

from mentor_pl.decoding.noise import rollout_keys
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, Samples
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.samples_file import Answered, Response
from mentor_pl.models.loading import Models
from mentor_pl.rewards.base import Grades, Reward, checked
from mentor_pl.rewards.streaming import gather, submit
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt


def answer(
    models: Models,
    benchmark: Benchmark,
    prompts: Sequence[Prompt],
    sampler: Sampler,
    seed: int,
    finish: Callable[[Answered], None],
) -> Samples:
    """Decode and grade; `finish` takes each problem once all its responses have ended and are graded."""
    greedy: list[Response] | None = None
    if benchmark.greedy:
        certain = Responses(models, benchmark, prompts, 1)
        certain.decode(sampler, replace(benchmark.sampling, temperature=0.0), seed)
        greedy = [certain.of(place)[0] for place in range(len(prompts))]

    def pass_on(place: int, responses: tuple[Response, ...]) -> None:
        prompt = prompts[place]
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
                responses,
                greedy[place] if greedy is not None else None,
            )
        )

    drawn = Responses(models, benchmark, prompts, benchmark.samples, pass_on)
    return drawn.decode(sampler, benchmark.sampling, seed)


class Responses:
    """`count` responses to each of `prompts`, graded as they end; `pass_on` takes those of a problem once all are."""

    def __init__(
        self,
        models: Models,
        benchmark: Benchmark,
        prompts: Sequence[Prompt],
        count: int,
        pass_on: Callable[[int, tuple[Response, ...]], None] = lambda place, responses: None,
    ) -> None:
        self.models, self.benchmark, self.count, self.pass_on = models, benchmark, count, pass_on
        self.owners = [prompt for prompt in prompts for _ in range(count)]
        self.ended: dict[int, tuple[list[int], str, Future[Grades]]] = {}
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
        text = str(self.models.tokenizer.decode(ids, skip_special_tokens=True))
        self.ended[row] = ids, text, submit(self.benchmark.grader, self.owners[row], text)
        place = row // self.count
        if all(other in self.ended for other in self._rows(place)):
            self.waiting.add(place)
        for place in sorted(self.waiting):
            if all(self.ended[other][2].done() for other in self._rows(place)):
                self.waiting.discard(place)
                self.pass_on(place, self.of(place))

    def of(self, place: int) -> tuple[Response, ...]:
        """The responses to a problem."""
        rows = self._rows(place)
        futures = [self.ended[row][2] for row in rows]
        asked = self.benchmark
        grades, prompt = gather(futures), self.owners[rows[0]]
        right, parts = right_and_parts(asked.name, asked.grader, asked.correct, prompt, grades)
        return tuple(
            Response(text, len(ids), ids[-1] not in self.models.vocabulary.stop_ids, right[i], parts[i])
            for i, (ids, text, _) in enumerate(self.ended[row] for row in rows)
        )

    def _rows(self, place: int) -> range:
        return range(place * self.count, (place + 1) * self.count)


def right_and_parts(
    benchmark: str, reward: Reward, correct: str, prompt: Prompt, grades: Grades
) -> tuple[list[bool], list[dict[str, float]]]:
    """Of each response to a problem, whether it is right, and the other parts of its grade.

    Raises:
        UsageError: for a total outside the reward's range, or a reward without the part `correct`.
    """
    rows = range(len(grades.total))
    checked(reward, [prompt] * len(rows), grades)
    if correct not in grades.parts:
        raise UsageError(
            f"benchmark {benchmark}: reward has no part '{correct}', only {sorted(grades.parts)}: name one of them as "
            "`correct`"
        )
    parts = [{name: float(part[i]) for name, part in grades.parts.items() if name != correct} for i in rows]
    return [float(grades.parts[correct][i]) == 1 for i in rows], parts
