"""Gradients of the algorithm's terms over a mini-batch of rollouts, in micro-batches, over all ranks.

Shapes: N rollouts, M of a mini-batch, B of a micro-batch, T response tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, Term, Tokens
from mentor_pl.models.prefix_sharing import prefix_sharing
from mentor_pl.runtime.parallel import all_max, all_sum, world_size
from mentor_pl.training.batching import micro_batches
from mentor_pl.types import Rollouts


def largest_gap(logprobs: Tensor, old_logprobs: Tensor, mask: Tensor) -> Tensor:
    """max |log π − log π_old| over response tokens: [B, T], [B, T], [B, T] -> scalar."""
    return (logprobs - old_logprobs).abs().masked_fill(~mask, 0).max()


class Update:
    """What one batch of rollouts does to the gradients.

    Args:
        policy: with `token_logprobs` as a method; sharded or not.
        terms: of the loss.
        vocab_size: ids of the tokenizer.
        micro_batch_tokens: tokens in one forward and backward pass.
    """

    def __init__(self, policy: Any, terms: Sequence[Term], vocab_size: int, micro_batch_tokens: int) -> None:
        self.policy, self.terms, self.vocab_size, self.tokens = policy, terms, vocab_size, micro_batch_tokens

    def accumulate_gradients(
        self, rollouts: Rollouts, advantages: Tensor, rows: Tensor, backward: Callable[[Tensor], None]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Gradients of the loss over the global mini-batch whose share here are `rows` [M].

        Args:
            rollouts: of this rank, N of them.
            advantages: [N] or [N, T].
            rows: [M].
            backward: of a loss.

        Returns:
            the mini-batch's means for the log, and the largest |log π_θ − log π_old| of its tokens.
        """
        known = _tokens(rollouts, advantages, rows, rollouts.response_ids.shape[1])
        totals = all_sum(torch.stack([*(term.weight(known) for term in self.terms), known.mask.sum()]))
        weights, tokens = totals[:-1], totals[-1]
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=tokens.device))
        gap = torch.zeros((), device=tokens.device)
        for some, share in self._passes(rollouts, rows):
            inputs = self._read(rollouts, advantages, some)
            loss = torch.zeros((), device=tokens.device)
            for term, weight in zip(self.terms, weights, strict=True):
                output = term(inputs)
                # ranks' gradients are averaged, while the loss is a sum over them
                loss = loss + output.total * (term.coefficient * share * world_size() / weight)
                value = share * output.total.detach() * (tokens / weight)
                sums["loss"] += term.coefficient * value
                if len(self.terms) > 1:
                    sums[term.name] += value
                for name, part in output.token_sums.items():
                    sums[name] += share * part
            with prefix_sharing(self.policy):  # for layers that run again on the way back
                backward(loss)
            sums["entropy"] += share * inputs.entropies.detach().sum()
            gap = torch.maximum(gap, largest_gap(inputs.logprobs.detach(), inputs.old_logprobs, inputs.mask))
        means = all_sum(torch.stack(list(sums.values()))) / tokens
        return dict(zip(sums, means, strict=True)), all_max(gap)

    @torch.no_grad()
    def rescored(self, rollouts: Rollouts, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """log π_old [N, T] as the updates' own passes compute it, and how far sampling's are from that."""
        logprobs = rollouts.logprobs.clone()
        for mini_batch in batches:
            for rows, _ in self._passes(rollouts, mini_batch):
                values, _ = self._logprobs(rollouts, rows)
                logprobs[rows, : values.shape[1]] = values
        return logprobs, all_max(largest_gap(logprobs, rollouts.logprobs, rollouts.mask))

    def _passes(self, rollouts: Rollouts, rows: Tensor) -> Iterator[tuple[Tensor, float]]:
        """The micro-batches of a mini-batch `rows` [M]: rows [B] of each, and the weight 1.

        Sharded ranks must run equally many passes: one that has run out repeats its last, at weight 0.
        """
        batches = micro_batches(rollouts.prompt_lengths, rollouts.response_lengths, rollouts.group, self.tokens, rows)
        device = rollouts.response_ids.device
        for i in range(int(all_max(torch.tensor(len(batches), device=device)))):
            yield batches[min(i, len(batches) - 1)], 1.0 if i < len(batches) else 0.0

    def _logprobs(self, rollouts: Rollouts, rows: Tensor) -> tuple[Tensor, Tensor]:
        """log π_θ and entropies of the rollouts `rows` [B], up to the longest of them."""
        longest = int(rollouts.response_lengths[rows].max())
        values: tuple[Tensor, Tensor] = self.policy.token_logprobs(
            rollouts.prompt_ids[rows],
            rollouts.prompt_lengths[rows],
            rollouts.response_ids[rows, :longest],
            rollouts.response_lengths[rows],
            vocab_size=self.vocab_size,
            temperature=rollouts.temperature,
        )
        return values

    def _read(self, rollouts: Rollouts, advantages: Tensor, rows: Tensor) -> LossInputs:
        """The rollouts `rows` [B] as the current policy sees them."""
        logprobs, entropies = self._logprobs(rollouts, rows)
        known = _tokens(rollouts, advantages, rows, logprobs.shape[1])
        return LossInputs(**vars(known), logprobs=logprobs, entropies=entropies)


def _tokens(rollouts: Rollouts, advantages: Tensor, rows: Tensor, longest: int) -> Tokens:
    """What is known of the first `longest` tokens of the rollouts `rows` [B]."""

    def of(column: Tensor) -> Tensor:
        return column[rows, :longest]

    def if_scored(column: Tensor | None) -> Tensor | None:
        return None if column is None else of(column)

    each = advantages if advantages.ndim == 2 else advantages[:, None].expand(-1, rollouts.response_ids.shape[1])
    return Tokens(
        mask=of(rollouts.train_mask),
        advantages=of(each),
        old_logprobs=of(rollouts.logprobs),
        origin=rollouts.origin[rows],
        gate_weights=of(rollouts.gate_weights),
        guided=of(rollouts.guided),
        replaced=of(rollouts.replaced),
        given=of(rollouts.given),
        expert_logprobs=if_scored(rollouts.expert_logprobs),
        reference_logprobs=if_scored(rollouts.reference_logprobs),
    )
