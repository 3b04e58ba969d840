"""log π_θ(y_t) and H_t of response tokens, without ever holding the logits of all of them.

The decoder layers run over one row of tokens that holds each prompt once (`prefix_sharing.py`), the output embedding
over response tokens alone, in chunks (`lm_head.py`).
Logits are cut to the tokenizer's ids and divided by the temperature, as they are when rollouts are sampled.

Shapes: B rollouts, S prompt tokens, T response tokens, U tokens of the row, M response tokens in all, V vocabulary,
H hidden size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mentor_pl.models.attention import check_attended
from mentor_pl.models.lm_head import head_logprobs
from mentor_pl.models.prefix_sharing import SharedPrefixes, prefix_sharing


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

    Neighbouring rollouts with equal prompts share theirs. To differentiate a model with gradient checkpointing, stay
    within `prefix_sharing(model)`.

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
    rows = SharedPrefixes(prompt_ids, prompt_lengths, response_ids, response_lengths)
    hidden = hidden_states(model, rows)  # [U, H]
    mask = torch.arange(response_ids.shape[1], device=response_ids.device) < response_lengths[:, None]  # [B, T]
    # token t of the response is predicted by the state one place before it
    states, targets = hidden[rows.before[mask]], response_ids[mask]  # [M, H], [M]

    logprobs, entropies = head_logprobs(states, targets, model.get_output_embeddings(), vocab_size, temperature)
    padding = torch.zeros(mask.shape, device=mask.device)
    return padding.masked_scatter(mask, logprobs), padding.masked_scatter(mask, entropies)


def tokens_read(model: Any) -> int:
    """Tokens that a model has been fed outside of decoding, in all; a shared prompt counts once."""
    return getattr(model, "tokens_read", 0)


def hidden_states(model: Any, rows: SharedPrefixes) -> Tensor:
    """The base model's last hidden states of a row of tokens, [U, H]."""
    model.tokens_read = tokens_read(model) + rows.ids.shape[1]
    with prefix_sharing(model):
        output = model.base_model(input_ids=rows.ids, position_ids=rows.positions, use_cache=False, rows=rows)
    check_attended(model, rows.layers)
    hidden: Tensor = output.last_hidden_state[0]
    return hidden
