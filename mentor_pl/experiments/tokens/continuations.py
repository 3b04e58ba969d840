"""Other tokens at a place of a response, and what becomes of the response behind each of them.

Shapes: N responses, T tokens of one, A alternatives at a place, n continuations of each.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import torch

from mentor_pl.decoding.distribution import log_distribution
from mentor_pl.decoding.sampler import Sampler, as_response
from mentor_pl.evaluation.answering import right_and_parts
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.evaluate import BLOCK
from mentor_pl.experiments.tokens.responses import Labelled
from mentor_pl.experiments.tokens.scores import forwards
from mentor_pl.models.loading import Models
from mentor_pl.models.logprobs import response_states
from mentor_pl.rewards.base import Grade, Grading
from mentor_pl.runtime.noise import rollout_keys
from mentor_pl.runtime.progress import Progress
from mentor_pl.types import Row


@dataclass(frozen=True)
class Place:
    """A token of a response, and what the policy could have said there.

    Attributes:
        response: its number among those that were looked at.
        token: its place in the response, from 0.
        ids: [A] the likeliest tokens there, in this order.
        probabilities: [A] of them.
    """

    response: int
    token: int
    ids: tuple[int, ...]
    probabilities: tuple[float, ...]


def alternatives(
    models: Models,
    problems: Benchmark,
    responses: Sequence[Labelled],
    places: Sequence[tuple[int, int]],
    top: int,
    floor: float,
) -> list[Place]:
    """What the policy could say at some places: the likeliest `top` tokens of at least `floor`, or the likeliest alone.

    Args:
        models: the policy and its vocabulary; call inside `decoding(models.policy)`.
        problems: how responses are sampled.
        responses: N of them.
        places: (response, token) in order.
    """
    size, head = models.vocabulary.size, models.policy.get_output_embeddings()
    wanted: dict[int, list[int]] = {}
    for response, token in places:
        wanted.setdefault(response, []).append(token)
    found: dict[tuple[int, int], Place] = {}
    for rows, batch in forwards(models, responses):
        states = response_states(models.policy, *batch).split([len(responses[row].ids) for row in rows])
        for row, of_row in zip(rows, states, strict=True):
            if row not in wanted:
                continue
            logp = log_distribution(head(of_row[wanted[row]]), problems.sampling, size)
            values, ids = logp.exp().topk(min(top, size), -1)
            for token, some, chosen in zip(wanted[row], values.tolist(), ids.tolist(), strict=True):
                kept = max(1, sum(value >= floor and value > 0 for value in some))
                found[row, token] = Place(row, token, tuple(chosen[:kept]), tuple(some[:kept]))
    return [found[place] for place in places]


def rows_of(models: Models, problems: Benchmark, responses: Sequence[Labelled], place: Place) -> list[Row]:
    """What is continued: the response before the place, and each alternative behind it. One that ends is complete."""
    one, rows = responses[place.response], []
    for number, token in enumerate(place.ids):
        given = (*one.ids[: place.token], token)
        ended = token in models.vocabulary.stop_ids or len(given) >= problems.sampling.max_new_tokens
        rows.append(Row(one.prompt, one.prompt.token_ids, number, given=given, complete=ended))
    return rows


def successes(
    models: Models,
    problems: Benchmark,
    rows: Sequence[Row],
    n: int,
    sampler: Sampler,
    seed: int,
    progress: Progress,
) -> list[int]:
    """How many of n responses that begin as each row says are right; call inside `decoding(models.policy)`.

    Every continuation has noise of its own, so that all are independent. A complete row is graded once for all n.

    Args:
        models: the policy and its vocabulary.
        problems: how responses are sampled and graded.
        rows: with given tokens.
        n: continuations of each that is not complete.
        sampler: decoder.
        seed: of the noise.
        progress: of responses.
    """
    jobs = [place for place, row in enumerate(rows) for _ in range(1 if row.complete else n)]
    graded: list[Future[Grade | None]] = [Future() for _ in jobs]
    done = 0

    def end(job: int, ids: Sequence[int]) -> None:
        nonlocal done
        row = rows[jobs[job]]
        graded[job] = problems.grader.submit(row.prompt, as_response(models, [*row.given, *ids]), Grading())
        done += 1
        progress(done, len(jobs))

    numbers = torch.arange(len(jobs), device=models.device)
    indices = torch.tensor([rows[place].prompt.index for place in jobs], device=models.device)
    keys = rollout_keys(seed, zlib.crc32(f"{problems.name}/continued".encode()), indices, numbers)
    for job, place in enumerate(jobs):
        if rows[place].complete:
            end(job, ())
    todo = [job for job, place in enumerate(jobs) if not rows[place].complete]
    for start in range(0, len(todo), BLOCK):
        some = todo[start : start + BLOCK]
        of_some = [rows[jobs[job]] for job in some]
        sampler(
            models,
            [(*row.context, *row.given) for row in of_some],
            keys[some],
            problems.sampling,
            limits=[problems.sampling.max_new_tokens - len(row.given) for row in of_some],
            on_end=lambda place, ids, some=some: end(some[place], ids),  # type: ignore[misc]
        )
    grades = problems.grader.gather([rows[place].prompt for place in jobs], graded)
    right, _ = right_and_parts(problems.name, problems.correct, grades)
    counts = [0] * len(rows)
    for place, correct in zip(jobs, right, strict=True):
        counts[place] += correct * (n if rows[place].complete else 1)
    return counts
