"""Both models at every token: the plain loop over a KV cache. Exact, batched, and the yardstick for faster samplers.

Shapes: N rollouts of the call, B rows still decoding, S prompt tokens (left-padded), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from mentor_pl.decoding.base import Sampler, Samples
from mentor_pl.decoding.noise import COIN, DRAFT, RESIDUAL, exponential, uniform
from mentor_pl.decoding.sampling import Sampling, draw, entropy, guide, log_distribution
from mentor_pl.errors import UsageError
from mentor_pl.gates import Gate
from mentor_pl.models import Models


class _Reader:
    """One model's place in its rows: feeds tokens, returns next-token logits, forgets finished rows."""

    def __init__(self, model: Any, ids: Tensor, mask: Tensor) -> None:
        self.model, self.mask, self.cache = model, mask, DynamicCache()
        self.ids, self.positions = ids, (mask.cumsum(-1) - 1).clamp(min=0)

    def logits(self) -> Tensor:
        """Logits after what was fed last, [B, ≥ V]."""
        output = self.model(
            input_ids=self.ids,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits

    def feed(self, tokens: Tensor, keep: Tensor) -> None:
        """Append `tokens` [B] to the rows that `keep` [k] names and drop the others."""
        if len(keep) < len(tokens):
            self.cache.batch_select_indices(keep)
        self.mask = torch.nn.functional.pad(self.mask[keep], (0, 1), value=1)
        self.positions = self.positions[keep, -1:] + 1
        self.ids = tokens[keep, None]


class Naive(Sampler):
    """Policy and expert both read every token; the coin decides who speaks.

    Args:
        rows: rollouts decoded at a time.

    Raises:
        UsageError: for fewer than one row.
    """

    def __init__(self, rows: int = 256) -> None:
        if rows < 1:
            raise UsageError(f"sampler rows is {rows}, but it decodes that many rollouts at a time: give at least 1")
        self.rows = rows

    def __call__(
        self,
        models: Models,
        prompts: Sequence[Sequence[int]],
        keys: Tensor,
        sampling: Sampling,
        gate: Gate | None = None,
    ) -> Samples:
        if gate is not None and models.expert is None:
            raise UsageError("mixed-policy rollouts need an expert: set model.expert, or data.group.mixed to 0")
        if gate is not None and sampling.temperature == 0:
            raise UsageError("mixed-policy rollouts are draws: give a temperature above 0")
        n, limit, device = len(prompts), sampling.max_new_tokens, models.device
        samples = Samples(
            ids=torch.zeros(n, limit, dtype=torch.int64, device=device),
            lengths=torch.zeros(n, dtype=torch.int64, device=device),
            logprobs=torch.zeros(n, limit, device=device),
            entropies=torch.zeros(n, limit, device=device),
            gate_weights=torch.zeros(n, limit, device=device),
            guided=torch.zeros(n, limit, dtype=torch.bool, device=device),
            replaced=torch.zeros(n, limit, dtype=torch.bool, device=device),
            truncated=torch.zeros(n, dtype=torch.bool, device=device),
        )
        for start in range(0, n, self.rows):
            block = torch.arange(start, min(start + self.rows, n), device=device)
            self._decode(models, prompts[start : start + self.rows], block, keys.to(device), sampling, gate, samples)
        longest = int(samples.lengths.max()) if n else 0
        return Samples(**{k: v[:, :longest] if v.ndim == 2 else v for k, v in vars(samples).items()})

    def _decode(
        self,
        models: Models,
        prompts: Sequence[Sequence[int]],
        rows: Tensor,
        keys: Tensor,
        sampling: Sampling,
        gate: Gate | None,
        out: Samples,
    ) -> None:
        """Decode the rollouts `rows` [B] of the call and write them to `out`."""
        ids, mask = _left_padded(prompts, models.device)
        readers = [_Reader(models.policy, ids, mask)]
        if gate is not None:
            readers.append(_Reader(models.expert, ids, mask))
        stop_ids = torch.tensor(models.vocabulary.stop_ids, device=models.device)
        for position in range(sampling.max_new_tokens):
            logps = [log_distribution(reader.logits(), sampling, models.vocabulary.size) for reader in readers]
            tokens = self._choose(logps, keys[rows], position, sampling, gate, rows, out)
            stopped = torch.isin(tokens, stop_ids)
            out.lengths[rows] = position + 1
            keep = (~stopped).nonzero().squeeze(1)
            rows = rows[keep]
            if len(rows) == 0:
                return
            for reader in readers:
                reader.feed(tokens, keep)
        out.truncated[rows] = True

    def _choose(
        self,
        logps: list[Tensor],
        keys: Tensor,
        position: int,
        sampling: Sampling,
        gate: Gate | None,
        rows: Tensor,
        out: Samples,
    ) -> Tensor:
        """Choose the tokens at `position` of `rows` [B], write all that is known of them to `out`, return ids [B]."""
        policy = logps[0]
        size = policy.shape[1]
        places = torch.full_like(keys, position)
        if sampling.temperature == 0:
            tokens = policy.argmax(-1)
        else:
            tokens = draw(policy, exponential(keys, places, DRAFT, size))
        entropies = entropy(policy)
        if gate is not None:
            weights = gate(entropies)
            coin, noise = uniform(keys, places, COIN), exponential(keys, places, RESIDUAL, size)
            tokens, guided, replaced = guide(policy, logps[1], tokens, weights, coin, noise)
            out.gate_weights[rows, position] = weights
            out.guided[rows, position], out.replaced[rows, position] = guided, replaced
        out.ids[rows, position] = tokens
        out.logprobs[rows, position] = policy.gather(1, tokens[:, None]).squeeze(1)
        out.entropies[rows, position] = entropies
        return tokens


def _left_padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and attention mask [B, S], so that every row's next token is in the same column."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=device)
    lengths = torch.tensor([len(p) for p in prompts], device=device)
    return ids, (torch.arange(longest, device=device) >= longest - lengths[:, None]).long()
