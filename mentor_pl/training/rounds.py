"""One round: the rows an algorithm asks for, sampled together or taken as they are given, and graded as they end.

Shapes: n rows of the round, T response tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from mentor_pl.algorithms.base import Algorithm, Graded
from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, Samples, as_response
from mentor_pl.models.loading import Models
from mentor_pl.rewards.base import Grade, Grades, Grading, Reward
from mentor_pl.runtime.activity import activity
from mentor_pl.runtime.collectives import values_of_ranks
from mentor_pl.runtime.noise import rollout_keys
from mentor_pl.types import Alternatives, ExpertPrompt, Origin, Response, Row


class Round:
    """Rows on their way to being rollouts.

    Args:
        rows: [n]; none on a rank that merely takes part.
        models: policy, expert and vocabulary.
        reward: grader, which is handed every response as soon as it ends.
        grading: how long grades are waited for, and what becomes of responses without one.
        expert_prompt: what an expert with ids of its own reads of a row, where there is such an expert.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        models: Models,
        reward: Reward,
        grading: Grading,
        expert_prompt: Callable[[Row], ExpertPrompt] | None = None,
    ) -> None:
        self.rows, self.models, self.expert_prompt = rows, models, expert_prompt
        self.reward, self.grading = reward, grading
        self.responses: dict[int, Response] = {}  # by row
        self.futures: dict[int, Future[Grade | None]] = {}  # of grades; likewise
        self.samples = _as_given([], models.device)
        self.gamma: float | None = None  # under which mixture rows were sampled

    def sample(
        self,
        sampler: Sampler,
        sampling: SamplingParams,
        algorithm: Algorithm,
        *,
        seed: int,
        step: int,
        alternatives: int = 0,
    ) -> None:
        """Have a response to each row, in their order; call inside `decoding(models.policy)`.

        Args:
            sampler: decoder.
            sampling: temperature, filters, maximum length.
            algorithm: whose blend is the law of the mixture rows, and which says who drafts them.
            seed: of the noise.
            step: rollout batches before this one; part of the noise key.
            alternatives: how many of the likeliest tokens are kept of each guided one.
        """
        activity.begin_round(len(self.rows))
        order = [place for place, row in enumerate(self.rows) if row.complete]
        for place in order:
            self._end(place, [])
        parts = [_as_given([self.rows[place] for place in order], self.models.device)]
        sampled = [place for place, row in enumerate(self.rows) if not row.complete]
        mixed = [place for place in sampled if self.rows[place].origin == Origin.MIXTURE]
        if mixed and algorithm.blend is not None:
            self.gamma = algorithm.blend.gamma
        if mixed and algorithm.drafter == "initial":
            initial = replace(self.models, policy=self.models.reference)
            calls = [(self.models, [place for place in sampled if place not in mixed]), (initial, mixed)]
        else:
            calls = [(self.models, sampled)]
        for models, places in calls:
            if places:
                law = algorithm.blend if set(mixed) & set(places) else None
                parts.append(self._sampled(places, sampler, models, sampling, law, seed, step, alternatives))
                order += places
        self.samples = joined(parts, torch.tensor(order, dtype=torch.int64).argsort())

    def _sampled(
        self,
        places: Sequence[int],
        sampler: Sampler,
        models: Models,
        sampling: SamplingParams,
        law: Blend | None,
        seed: int,
        step: int,
        alternatives: int,
    ) -> Samples:
        rows, device = [self.rows[place] for place in places], self.models.device
        numbers = torch.tensor([[row.prompt.index, row.number] for row in rows], device=device)
        prefixes = [row.given for row in rows]
        mixed = [row.origin == Origin.MIXTURE for row in rows]
        options: dict[str, Any] = {"alternatives": alternatives} if alternatives else {}
        if self.expert_prompt is not None and law is not None:
            options["expert_prompts"] = [self.expert_prompt(row) for row in rows]
        if any(mixed) and not all(mixed):
            options["mixed"] = mixed
        samples = sampler(
            models,
            [row.context + row.given for row in rows],
            rollout_keys(seed, step, numbers[:, 0], numbers[:, 1]),
            sampling,
            law,
            limits=[sampling.max_new_tokens - len(prefix) for prefix in prefixes] if any(prefixes) else None,
            on_end=lambda row, ids: self._end(places[row], ids),
            **options,
        )
        return _behind(prefixes, samples) if any(prefixes) else samples

    def _end(self, place: int, ids: list[int]) -> None:
        """Hand a row that has ended with the sampled `ids` to the grader."""
        activity.end_rollout()
        row = self.rows[place]
        self.responses[place] = as_response(self.models, [*row.given, *ids])
        self.futures[place] = self.reward.submit(row.prompt, self.responses[place], self.grading)

    @property
    def given(self) -> Tensor:
        """[n, T] bool: the tokens that were not sampled."""
        counts = torch.tensor([len(row.given) for row in self.rows], dtype=torch.int64, device=self.samples.ids.device)
        return torch.arange(self.samples.ids.shape[1], device=counts.device) < counts[:, None]

    def grades(self) -> Grades:
        """Grades of all rows; waits for those that are not there yet."""
        prompts = [row.prompt for row in self.rows]
        return self.reward.gather(prompts, [self.futures[place] for place in range(len(prompts))], self.grading)

    def graded(self) -> Graded:
        """What the algorithm is told; all ranks together."""
        samples = self.samples
        policy = torch.tensor([row.origin == Origin.POLICY for row in self.rows], dtype=torch.bool)
        steps = torch.arange(samples.ids.shape[1], device=samples.ids.device)
        tokens = (steps < samples.lengths[:, None]) & ~self.given & policy.to(steps.device)[:, None]
        return Graded(
            rows=self.rows,
            lengths=samples.lengths.cpu(),
            entropies=values_of_ranks(samples.entropies[tokens]),
            wait=self._grades,
        )

    def _grades(self) -> tuple[Tensor, Tensor]:
        """Totals, and whether rows succeeded, of all rows: by the part `outcome` of their grades where there is one."""
        grades = self.grades()
        best = 1.0 if "outcome" in grades.parts else self.reward.range[1]
        successes = torch.tensor(grades.parts.get("outcome", grades.total)) >= best
        return torch.tensor(grades.total, dtype=torch.float32), successes


def joined(parts: Sequence[Samples], order: Tensor) -> Samples:
    """Samples of several calls in one, then put into `order` [n]."""
    names = [name for name, value in vars(parts[0]).items() if isinstance(value, Tensor)]
    columns = {name: joined_columns([getattr(part, name) for part in parts], order) for name in names}
    kept = Alternatives.joined([(part.alternatives, len(part.ids)) for part in parts])
    stats = sum((part.stats for part in parts), DecodeStats())
    return Samples(**columns, alternatives=kept.at(order) if kept is not None else None, stats=stats)


def joined_columns(columns: Sequence[Tensor], order: Tensor) -> Tensor:
    """Columns [·] or [·, T] in one, the shorter ones right-padded with 0, then put into `order` [n]."""
    longest = max(column.shape[-1] for column in columns)
    padded = [pad(column, (0, longest - column.shape[1])) if column.ndim == 2 else column for column in columns]
    whole = torch.cat(padded)
    return whole[order.to(whole.device)]


def _as_given(rows: Sequence[Row], device: torch.device) -> Samples:
    """Complete rows. What is not sampled has no log-probabilities or entropies here: 0."""
    lengths = torch.tensor([len(row.given) for row in rows], dtype=torch.int64, device=device)
    ids = torch.zeros(len(rows), max((len(row.given) for row in rows), default=0), dtype=torch.int64, device=device)
    for i, row in enumerate(rows):
        ids[i, : len(row.given)] = torch.tensor(row.given, device=device)
    zeros, never = torch.zeros(ids.shape, device=device), torch.zeros(ids.shape, dtype=torch.bool, device=device)
    ended = torch.zeros_like(lengths, dtype=torch.bool)
    return Samples(ids, lengths, zeros, zeros, zeros, never, never, ended, zeros, zeros, ids)


def _behind(prefixes: Sequence[Sequence[int]], samples: Samples) -> Samples:
    """The samples with given tokens in front, of which as little is known as of complete rows."""
    device = samples.ids.device
    counts = torch.tensor([len(prefix) for prefix in prefixes], device=device)  # [n]
    lengths = counts + samples.lengths
    source = torch.arange(int(lengths.max()), device=device) - counts[:, None]  # [n, T], into the sampled tokens
    sampled = (source >= 0) & (source < samples.lengths[:, None])
    source = source.clamp(0, samples.ids.shape[1] - 1)
    columns: dict[str, Any] = {
        name: value.gather(1, source).where(sampled, torch.zeros((), dtype=value.dtype, device=device))
        for name, value in vars(samples).items()
        if isinstance(value, Tensor) and value.ndim == 2
    }
    for i, prefix in enumerate(prefixes):
        for name in ("ids", "drafts"):
            columns[name][i, : len(prefix)] = torch.tensor(prefix, dtype=torch.int64, device=device)
    kept = samples.alternatives
    if kept is not None:
        columns["alternatives"] = replace(kept, positions=kept.positions + counts[kept.rows])
    return replace(samples, **columns, lengths=lengths)
