"""Gradients of the algorithm's terms over a mini-batch of rollouts, in micro-batches, over all ranks.

Shapes: N rollouts, M of a mini-batch, B of a micro-batch, T response tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.losses.base import LossInputs, Need, Term, Tokens
from mentor_pl.models.lm_head import TokenValues
from mentor_pl.models.logprobs import expert_says
from mentor_pl.models.prefix_sharing import prefix_sharing
from mentor_pl.runtime.collectives import all_max, all_sum, world_size
from mentor_pl.training.batching import micro_batches
from mentor_pl.training.dealing import Deal
from mentor_pl.training.sampling_gap import SamplingGap
from mentor_pl.types import Rollouts

_DIVERGENCES = frozenset({Need.REVERSE_KL, Need.FORWARD_KL})


class Update:
    """What one batch of rollouts does to the gradients.

    Args:
        policy: with `token_logprobs` as a method; sharded or not.
        expert: read beside the policy where a term asks for it.
        terms: of the loss.
        vocab_size: ids of the tokenizer.
        micro_batch_tokens: tokens in one forward and backward pass.
        alpha: weight of what the expert teaches; a term that it leaves no strength is not there.
    """

    def __init__(
        self,
        policy: Any,
        expert: Any,
        terms: Sequence[Term],
        vocab_size: int,
        micro_batch_tokens: int,
        alpha: float = 1.0,
    ) -> None:
        self.policy, self.expert, self.alpha = policy, expert, alpha
        self.terms = [term for term in terms if term.strength(alpha)] or list(terms)  # none: a gradient of zeros
        self.vocab_size, self.tokens = vocab_size, micro_batch_tokens
        self.needs = frozenset[Need]().union(*(term.needs for term in self.terms))

    @property
    def needs_advantages(self) -> bool:
        """Whether nothing is learned of a token without an advantage."""
        return all(term.skips_zero_advantage for term in self.terms)

    @property
    def clip_range(self) -> tuple[float, float] | None:
        """The ratios of a token that no term clips."""
        ranges = [term.clip_range for term in self.terms if term.clip_range is not None]
        return (max(low for low, _ in ranges), min(high for _, high in ranges)) if ranges else None

    @property
    def reads_expert(self) -> bool:
        """Whether the expert reads each micro-batch beside the policy."""
        return bool(self.needs & {Need.CHOICE_LOGPROBS, *_DIVERGENCES})

    def accumulate_gradients(
        self,
        rollouts: Rollouts,
        advantages: Tensor,
        rows: Tensor,
        backward: Callable[[Tensor], None],
        gap: SamplingGap | None = None,
    ) -> dict[str, Tensor]:
        """Gradients of the loss over the global mini-batch whose share here are `rows` [M].

        Rollouts that no term learns from are not read, such as those without any advantage under a surrogate alone.
        The terms' weights count them all the same. What is read is dealt anew among ranks (`dealing.py`).

        Args:
            rollouts: of this rank, N of them.
            advantages: [N] or [N, T].
            rows: [M].
            backward: of a loss.
            gap: is shown the log-probabilities, where the weights are those that sampled.

        Returns:
            for the log, the loss, the entropy of π_old over all tokens, and the terms' own means over the tokens that
            were read.
        """
        known = _tokens(rollouts, advantages, rows, rollouts.response_ids.shape[1])
        entropy = (rollouts.entropies[rows] * known.mask).sum()
        totals = all_sum(torch.stack([*(term.weight(known) for term in self.terms), known.mask.sum(), entropy]))
        weights = totals[:-2].where(totals[:-2] > 0, 1)
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=totals.device))
        deal = Deal(rollouts, advantages, self._learnable(known, rows))
        for some, share in self._passes(deal.rollouts, deal.rows):
            inputs = self._read(deal.rollouts, deal.advantages, some)
            loss = torch.zeros((), device=totals.device)
            for term, weight in zip(self.terms, weights, strict=True):
                output = term(inputs)
                # ranks' gradients are averaged, while the loss is a sum over them
                loss = loss + output.total * (term.strength(self.alpha) * share * world_size() / weight)
                value = share * output.total.detach() / weight
                sums["loss"] += term.strength(self.alpha) * value
                if len(self.terms) > 1:
                    sums[term.name] += value
                for name, part in output.token_sums.items():
                    sums[f"read/{name}"] += share * part
            with prefix_sharing(self.policy):  # for layers that run again on the way back
                backward(loss)
            sums["read"] += share * inputs.mask.sum()
            if gap is not None and share:
                gap.add(deal.rollouts, some, inputs.logprobs)
        found = dict(zip(sums, all_sum(torch.stack(list(sums.values()))), strict=True))
        read = found.pop("read").clamp(min=1)
        means = {name.removeprefix("read/"): v / read if name.startswith("read/") else v for name, v in found.items()}
        return means | {"entropy": totals[-1] / totals[-2].clamp(min=1)}

    def _learnable(self, known: Tokens, rows: Tensor) -> Tensor:
        """Those of `rows` [M] that may carry a gradient."""
        learned = torch.stack([term.learns(known) for term in self.terms]).any(0)  # [M, T]
        return rows[learned.any(1).cpu()]

    @torch.no_grad()
    def rescored(self, rollouts: Rollouts, batches: Sequence[Tensor], gap: SamplingGap | None = None) -> Tensor:
        """log π_old [N, T] as the updates' own passes compute it; `gap` is shown it."""
        logprobs = rollouts.logprobs.clone()
        for mini_batch in batches:
            deal = Deal(rollouts, rollouts.logprobs, mini_batch)
            read = deal.rollouts.logprobs.clone()
            for rows, share in self._passes(deal.rollouts, deal.rows):
                values = self._logprobs(deal.rollouts, rows).logprobs
                if share:
                    read[rows, : values.shape[1]] = values
                    if gap is not None:
                        gap.add(deal.rollouts, rows, values)
            logprobs[mini_batch] = deal.home(read)
        return logprobs

    def _passes(self, rollouts: Rollouts, rows: Tensor) -> Iterator[tuple[Tensor, float]]:
        """The micro-batches of `rows` [M]: rows [B] of each, and the weight 1.

        Sharded ranks must run equally many passes, and an optimizer moves no parameter without a gradient: there is one
        pass at least, and a rank that has run out reads its shortest rollout again, at weight 0.
        """
        batches = micro_batches(rollouts.prompt_lengths, rollouts.response_lengths, rollouts.group, self.tokens, rows)
        spare = rollouts.response_lengths.argmin()[None].cpu()
        passes = int(all_max(torch.tensor(max(1, len(batches)), device=rollouts.response_ids.device)))
        yield from ((batch, 1.0) for batch in batches)
        yield from ((spare, 0.0) for _ in range(passes - len(batches)))

    def _logprobs(self, rollouts: Rollouts, rows: Tensor, needs: Collection[Need] = ()) -> TokenValues:
        """log π_θ and entropies of the rollouts `rows` [B], up to the longest of them, and what else is needed."""
        longest = int(rollouts.response_lengths[rows].max())
        ids = (
            rollouts.prompt_ids[rows],
            rollouts.prompt_lengths[rows],
            rollouts.response_ids[rows, :longest],
            rollouts.response_lengths[rows],
        )
        choices, divergences = Need.CHOICE_LOGPROBS in needs, bool(_DIVERGENCES & frozenset(needs))
        said: dict[str, Any] = {}
        if choices or divergences:
            said = expert_says(self.expert, *ids, vocab_size=self.vocab_size, choices=choices, divergences=divergences)
        values: TokenValues = self.policy.token_logprobs(
            *ids, vocab_size=self.vocab_size, temperature=rollouts.temperature, **said
        )
        return values

    def _read(self, rollouts: Rollouts, advantages: Tensor, rows: Tensor) -> LossInputs:
        """The rollouts `rows` [B] as the current policy sees them."""
        values = self._logprobs(rollouts, rows, self.needs)
        known = _tokens(rollouts, advantages, rows, values.logprobs.shape[1])
        return LossInputs(**vars(known), **values._asdict())


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
        max_tokens=rollouts.max_tokens,
    )
