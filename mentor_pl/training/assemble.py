"""From the rounds of a step, and from several draws of it, to one `Rollouts`.

Shapes: N rollouts of P groups, S tokens of a context, T response tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.algorithms.parts.gates import NO_GUIDANCE
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.rewards.base import Grading, Reward
from mentor_pl.runtime.collectives import all_objects
from mentor_pl.training.rounds import Round, joined, joined_columns
from mentor_pl.training.scoring import right_padded
from mentor_pl.types import Alternatives, Rollouts


def assemble(
    rounds: Sequence[Round],
    algorithm: Algorithm,
    reward: Reward,
    grading: Grading,
    alpha: float,
    sampling: SamplingParams,
    step: int,
    policy_updates: int,
) -> Rollouts:
    """The rows of all rounds, ordered by problem, in the order of their first rows, then by number.

    Waits for grades that are not there yet. All ranks together: each has the parts of every rank's rewards, in one
    order. A rank may have no rows.

    Raises:
        UsageError: for grades that are not what the reward declares.
    """
    rows = [row for one in rounds for row in one.rows]
    kept = [place for place, row in enumerate(rows) if not row.probe]
    groups: dict[int, int] = {}
    group = {place: groups.setdefault(rows[place].prompt.index, len(groups)) for place in kept}
    places = sorted(kept, key=lambda place: (group[place], rows[place].number))
    order = torch.tensor(places, dtype=torch.int64)
    samples = joined([one.samples for one in rounds], order)
    given = joined_columns([one.given for one in rounds], order)
    device = samples.ids.device
    prompt_ids, prompt_lengths = right_padded([rows[place].context for place in places], device)
    futures = [one.futures[place] for one in rounds for place in range(len(one.rows))]
    texts = [one.responses[place].text for one in rounds for place in range(len(one.rows))]
    grades = reward.gather([rows[place].prompt for place in places], [futures[place] for place in places], grading)
    names = dict.fromkeys(name for theirs in all_objects(list(grades.parts)) for name in theirs)
    none = [0.0] * len(places)

    def column(values: Sequence[float], dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    rollouts = Rollouts(
        prompt_ids=prompt_ids,
        prompt_lengths=prompt_lengths,
        response_ids=samples.ids,
        response_lengths=samples.lengths,
        group=column([group[place] for place in places], torch.int64),
        origin=column([rows[place].origin for place in places], torch.int64),
        logprobs=samples.logprobs,
        entropies=samples.entropies,
        gate_weights=samples.gate_weights,
        guided=samples.guided,
        replaced=samples.replaced,
        given=given,
        train_mask=given,
        truncated=samples.truncated,
        rewards=column(grades.total),
        reward_parts={name: column(grades.parts.get(name, none)) for name in names},
        reward_range=reward.range[1] - reward.range[0],
        temperature=sampling.temperature,
        alpha=alpha,
        gamma=next((one.gamma for one in reversed(rounds) if one.gamma is not None), NO_GUIDANCE),
        step=step,
        policy_updates=policy_updates,
        seconds={f"sampling/{part}": seconds for part, seconds in samples.stats.seconds.items()},
        decoding=samples.stats.counts(),
        texts=tuple(texts[place] for place in places),
        margins=samples.margins,
        divergences=samples.divergences,
        problems=column([rows[place].prompt.index for place in places], torch.int64),
        max_tokens=sampling.max_new_tokens,
        without_verdict=grades.without_verdict,
        numbers=column([rows[place].number for place in places], torch.int64),
        drafts=samples.drafts,
        alternatives=samples.alternatives,
    )
    return replace(rollouts, train_mask=rollouts.mask)


def joined_rollouts(parts: Sequence[Rollouts]) -> Rollouts:
    """The rollouts of several draws of a step, groups numbered anew; what they cost is added up.

    α, γ_p and the like are the first draw's.
    """
    several = [(f.name, [getattr(part, f.name) for part in parts]) for f in fields(Rollouts)]
    whole = torch.arange(sum(map(len, parts)))
    columns: dict[str, Any] = {
        name: joined_columns(values, whole) for name, values in several if isinstance(values[0], Tensor)
    }
    groups, before = [], 0
    for part in parts:
        own, numbers = part.group.unique(return_inverse=True)
        groups.append(numbers + before)
        before += len(own)
    graded = dict.fromkeys(name for part in parts for name in part.reward_parts)
    absent = [part.rewards.new_zeros(len(part)) for part in parts]
    columns["group"] = torch.cat(groups)
    columns["reward_parts"] = {
        name: torch.cat([part.reward_parts.get(name, none) for part, none in zip(parts, absent, strict=True)])
        for name in graded
    }
    stats = sum((DecodeStats.of(part.decoding) for part in parts), DecodeStats())
    seconds = Counter[str]()
    for part in parts:
        seconds.update(part.seconds)
    return replace(
        parts[0],
        **columns,
        decoding=stats.counts(),
        seconds=dict(seconds),
        texts=tuple(text for part in parts for text in part.texts),
        without_verdict=sum(part.without_verdict for part in parts),
        alternatives=Alternatives.joined([(part.alternatives, len(part)) for part in parts]),
    )
