"""Two methods on equal data at equal weights: losses, norms of the gradients, and the angle between them.

Shapes: N rollouts, M of a mini-batch, T response tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from mentor_pl.algorithms.base import Algorithm, advantages_of
from mentor_pl.decoding.sampler import decoding
from mentor_pl.models.lora import trained
from mentor_pl.runtime.collectives import all_sum
from mentor_pl.training.batching import mini_batches
from mentor_pl.training.importance import weighted
from mentor_pl.training.module import MentorModule
from mentor_pl.training.scoring import scored
from mentor_pl.training.update import Update
from mentor_pl.types import Rollouts


@dataclass(frozen=True)
class Gradients:
    """What a method makes of a step.

    Attributes:
        metrics: name -> mean over the mini-batches: loss, gradient's norm, the terms' own.
        each: the gradient of each mini-batch, by parameter that is trained; this rank's share of it.
    """

    metrics: dict[str, float]
    each: list[list[Tensor]]


def as_seen_by(module: MentorModule, algorithm: Algorithm, rollouts: Rollouts) -> Rollouts:
    """The rollouts with what another method reads of them and trains on.

    Args:
        module: with the models that it needs.
        algorithm: the method.
        rollouts: of this rank.
    """
    with decoding(module.policy):
        known = scored(
            module.models, replace(rollouts, given=rollouts.given & False), algorithm, module.micro_batch_tokens
        )
    kept = rollouts.graded & ~(rollouts.truncated & module.mask_truncated)
    told = replace(rollouts, expert_logprobs=known.expert_logprobs, reference_logprobs=known.reference_logprobs)
    return replace(told, train_mask=algorithm.train_mask(told) & kept[:, None])


def gradients(module: MentorModule, algorithm: Algorithm, rollouts: Rollouts) -> Gradients:
    """The gradients of every mini-batch at the weights as they are; none of them is stepped along.

    Args:
        module: whose policy it is.
        algorithm: the method.
        rollouts: of this rank, as the method sees them.
    """
    models = module.models
    update = Update(
        models.policy,
        models.expert,
        algorithm.all_terms,
        module.vocabulary.size,
        module.micro_batch_tokens,
        rollouts.alpha,
    )
    batches, sampled = mini_batches(rollouts.group, module.mini_batches), rollouts.logprobs
    if module.recompute_logprobs:
        rollouts = replace(rollouts, logprobs=update.rescored(rollouts, batches))
    advantages = advantages_of(algorithm, rollouts)
    if (cap := module.importance_cap) is not None:
        advantages = weighted(advantages, rollouts.logprobs, sampled, cap, rollouts.drawn)
    parameters, found, means = list(trained(module.policy).values()), [], []
    for rows in batches:
        metrics = update.accumulate_gradients(rollouts, advantages, rows, backward=module.manual_backward)
        found.append([_local(p.grad).clone() if p.grad is not None else _local(p) * 0 for p in parameters])
        for parameter in parameters:
            parameter.grad = None
        norm = dot(found[-1], found[-1]).sqrt()
        means.append({name: float(value) for name, value in metrics.items()} | {"grad_norm": float(norm)})
    return Gradients({name: sum(one[name] for one in means) / len(means) for name in means[0]}, found)


def dot(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """The inner product of two gradients over all ranks, a scalar in float64."""
    parts = [(a.double() * b.double()).sum() for a, b in zip(one, other, strict=True)]
    local = torch.stack(parts).sum()
    return all_sum(local)


def cosines(one: Gradients, other: Gradients) -> tuple[list[float], float]:
    """The cosine of each mini-batch's gradients, and that of their sums; no number where one of the two is 0."""

    def cosine(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
        return float(dot(a, b) / (dot(a, a) * dot(b, b)).sqrt())

    def whole(side: Gradients) -> list[Tensor]:
        return [torch.stack(list(parts)).sum(0) for parts in zip(*side.each, strict=True)]

    each = [cosine(a, b) for a, b in zip(one.each, other.each, strict=True)]
    return each, cosine(whole(one), whole(other))


def _local(value: Tensor) -> Tensor:
    """This rank's share; of what several ranks hold alike, the first one's alone counts."""
    if not isinstance(value, DTensor):
        return value.detach()
    place = zip(value.device_mesh.get_coordinate() or (), value.placements, strict=True)
    return value.to_local().detach() * all(at == 0 for at, held in place if held.is_replicate())
