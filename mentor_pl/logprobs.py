"""log π_θ(y_t) and H_t of response tokens, without ever holding the logits of all of them.

The decoder layers run over whole rows, the output embedding over response tokens alone, in chunks (`chunked_head.py`).
Logits are cut to the tokenizer's ids and divided by the temperature, as they are when rollouts are sampled.

Shapes: B rollouts, S prompt tokens, T response tokens, L = longest prompt + response, M response tokens in all,
V vocabulary, H hidden size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mentor_pl.chunked_head import head_logprobs


def sequences(prompt_ids: Tensor, prompt_lengths: Tensor, response_ids: Tensor, response_lengths: Tensor) -> Tensor:
    """Prompt and response in one row, right-padded with 0: [B, S], [B], [B, T], [B] -> [B, L]."""
    lengths = prompt_lengths + response_lengths
    places = torch.arange(int(lengths.max()), device=prompt_ids.device).expand(len(lengths), -1)  # [B, L]
    from_prompt = prompt_ids.gather(1, places.clamp(max=prompt_ids.shape[1] - 1))
    from_response = response_ids.gather(1, (places - prompt_lengths[:, None]).clamp(0, response_ids.shape[1] - 1))
    ids = torch.where(places < prompt_lengths[:, None], from_prompt, from_response)
    return ids.masked_fill(places >= lengths[:, None], 0)


def token_logprobs(
    model: Any,
    prompt_ids: Tensor,
    prompt_lengths: Tensor,
    response_ids: Tensor,
    response_lengths: Tensor,
    *,
    vocab_size: int,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of every response token under a Hugging Face causal LM.

    Args:
        model: the causal LM; its base model is called and its output embedding applied, nothing between them.
        prompt_ids: [B, S] int64, right-padded.
        prompt_lengths: [B] int64.
        response_ids: [B, T] int64, right-padded.
        response_lengths: [B] int64.
        vocab_size: ids of the tokenizer; padded rows of the embedding take no part.
        temperature: divides the logits.

    Returns:
        log π(y_t) and H_t in nats, both [B, T] float32, 0 on padding.
    """
    ids = sequences(prompt_ids, prompt_lengths, response_ids, response_lengths)  # [B, L]
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state  # [B, L, H]
    steps = torch.arange(response_ids.shape[1], device=ids.device).expand_as(response_ids)  # [B, T]
    mask = steps < response_lengths[:, None]
    # token t of the response is predicted by the state one place before it
    before = (prompt_lengths[:, None] - 1 + steps).clamp(max=ids.shape[1] - 1)
    rows = torch.arange(len(ids), device=ids.device)[:, None].expand_as(steps)
    states, targets = hidden[rows[mask], before[mask]], response_ids[mask]  # [M, H], [M]

    logprobs, entropies = head_logprobs(states, targets, model.get_output_embeddings(), vocab_size, temperature)
    padding = torch.zeros(mask.shape, device=ids.device)
    return padding.masked_scatter(mask, logprobs), padding.masked_scatter(mask, entropies)
