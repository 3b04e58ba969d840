"""Log-probabilities of responses that were not kept from sampling: of given tokens, of the expert, of the reference.

Shapes: N rollouts, B of a forward, T response tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.algorithms.parts.losses.base import Need
from mentor_pl.models.loading import Models
from mentor_pl.training.batching import micro_batches
from mentor_pl.types import Origin, Rollouts, Row


def score(model: Any, rollouts: Rollouts, rows: Tensor, vocab_size: int, tokens: int) -> tuple[Tensor, Tensor]:
    """log π and H in nats of the response tokens of some rollouts, [N, T] float32 each, 0 in all others.

    Args:
        model: a causal LM with `token_logprobs`, whole on this rank.
        rollouts: of this rank.
        rows: [B] int64, which of them.
        vocab_size: ids of the tokenizer.
        tokens: of one forward.
    """
    values = torch.zeros(2, *rollouts.response_ids.shape, device=rollouts.response_ids.device)
    for some in micro_batches(rollouts.prompt_lengths, rollouts.response_lengths, rollouts.group, tokens, rows):
        longest = int(rollouts.response_lengths[some].max())
        values[:, some, :longest] = torch.stack(
            model.token_logprobs(
                rollouts.prompt_ids[some],
                rollouts.prompt_lengths[some],
                rollouts.response_ids[some, :longest],
                rollouts.response_lengths[some],
                vocab_size=vocab_size,
                temperature=rollouts.temperature,
            )[:2]
        )
    return values[0], values[1]


def given_likelihoods(models: Models, tokens: int, temperature: float, rows: Sequence[Row]) -> Tensor:
    """Mean log π_θ of the given tokens of each row, [n] float32 on the CPU; call inside `decoding(models.policy)`.

    Args:
        models: policy and vocabulary.
        tokens: of one forward.
        temperature: as of sampling.
        rows: n rows with given tokens.
    """
    if not rows:
        return torch.zeros(0)
    prompts, prompt_lengths = right_padded([row.context for row in rows], models.device)
    responses, lengths = right_padded([row.given for row in rows], models.device)
    sums = torch.zeros(len(rows))
    apart = torch.arange(len(rows))
    for some in micro_batches(prompt_lengths, lengths, apart, tokens, apart):
        values = models.policy.token_logprobs(
            prompts[some],
            prompt_lengths[some],
            responses[some],
            lengths[some],
            vocab_size=models.vocabulary.size,
            temperature=temperature,
        )[0]
        sums[some] = values.sum(1).float().cpu()
    return sums / lengths.cpu()


def right_padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Lists of ids as a tensor [n, L] int64, right-padded with 0, and their lengths [n]."""
    longest = max(map(len, rows), default=0)
    ids = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in rows], dtype=torch.int64, device=device)
    return ids.view(len(rows), longest), torch.tensor([len(ids) for ids in rows], dtype=torch.int64, device=device)


def scored(models: Models, rollouts: Rollouts, algorithm: Algorithm, tokens: int) -> Rollouts:
    """The rollouts with what sampling could not keep; call inside `decoding(models.policy)`.

    Args:
        models: policy, and expert and reference where they are needed.
        rollouts: of this rank.
        algorithm: what it needs, and who drafted its mixture rows.
        tokens: of one forward.
    """
    everyone, size = torch.arange(len(rollouts)), models.vocabulary.size
    unknown = rollouts.given
    if algorithm.drafter != "policy":
        unknown = unknown | ((rollouts.origin == Origin.MIXTURE)[:, None] & rollouts.mask)
    rows = unknown.any(1).nonzero().squeeze(1).cpu()
    if len(rows):
        logprobs, entropies = score(models.policy, rollouts, rows, size, tokens)
        rollouts = replace(
            rollouts,
            logprobs=torch.where(unknown, logprobs, rollouts.logprobs),
            entropies=torch.where(rollouts.given, entropies, rollouts.entropies),
        )
    needs = algorithm.needs
    if Need.EXPERT_LOGPROBS in needs:
        rollouts = replace(rollouts, expert_logprobs=score(models.expert, rollouts, everyone, size, tokens)[0])
    if Need.REFERENCE_LOGPROBS in needs:
        rollouts = replace(rollouts, reference_logprobs=score(models.reference, rollouts, everyone, size, tokens)[0])
    return rollouts
