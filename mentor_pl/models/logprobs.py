"""log π_θ(y_t), H_t and divergences of response tokens, without ever holding the logits of all of them.

The decoder layers run over one row of tokens that holds each prompt once (`prefix_sharing.py`), the output embedding
over response tokens alone, in chunks (`lm_head.py`).
Logits are cut to the tokenizer's ids and divided by the temperature, as they are when rollouts are sampled.

Shapes: B rollouts, S prompt tokens, T response tokens, U tokens of the row, M response tokens in all, V vocabulary,
H hidden size, H' the expert's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mentor_pl.models.attention import check_attended
from mentor_pl.models.lm_head import ExpertStates, TokenValues, head_choices, head_logprobs
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
    choices: Tensor | None = None,
    expert: ExpertStates | None = None,
) -> TokenValues:
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
        choices: [B, T] int64, other ids whose log-probability is wanted as well.
        expert: `response_states` of the same rollouts, and the embedding, from which both divergences are wanted.

    Returns:
        each [B, T] float32, 0 on padding; None of what is not asked for.
    """
    mask = _responses(response_ids, response_lengths)
    states = response_states(model, prompt_ids, prompt_lengths, response_ids, response_lengths)
    values = head_logprobs(
        states,
        response_ids[mask],
        model.get_output_embeddings(),
        vocab_size,
        temperature,
        choices=None if choices is None else choices[mask],
        expert=expert,
    )
    padding = torch.zeros(mask.shape, device=mask.device)
    padded: list[Any] = [None if flat is None else padding.masked_scatter(mask, flat) for flat in values]
    return TokenValues(*padded)


@torch.no_grad()
def expert_says(
    expert: Any,
    prompt_ids: Tensor,
    prompt_lengths: Tensor,
    response_ids: Tensor,
    response_lengths: Tensor,
    *,
    vocab_size: int,
    choices: bool,
    divergences: bool,
) -> dict[str, Any]:
    """What `token_logprobs` is given of the expert, from one forward of it.

    Args:
        expert: the causal LM; ids and lengths are those of `token_logprobs`, and so is `vocab_size`.
        choices: the expert's likeliest id in place of every response token, [B, T] int64, 0 on padding.
        divergences: `ExpertStates`, from which both divergences come.
    """
    states = response_states(expert, prompt_ids, prompt_lengths, response_ids, response_lengths)
    head, said = expert.get_output_embeddings(), dict[str, Any]()
    if divergences:
        said["expert"] = ExpertStates(states, head)
    if choices:
        mask = _responses(response_ids, response_lengths)
        likeliest = head_choices(states, head, vocab_size)
        said["choices"] = torch.zeros_like(response_ids).masked_scatter(mask, likeliest)
    return said


def response_states(
    model: Any, prompt_ids: Tensor, prompt_lengths: Tensor, response_ids: Tensor, response_lengths: Tensor
) -> Tensor:
    """The last hidden states before the response tokens, [M, H], rollout by rollout; arguments of `token_logprobs`."""
    rows = SharedPrefixes(prompt_ids, prompt_lengths, response_ids, response_lengths)
    # token t of the response is predicted by the state one place before it
    return hidden_states(model, rows)[rows.before[_responses(response_ids, response_lengths)]]


def _responses(response_ids: Tensor, response_lengths: Tensor) -> Tensor:
    """Which places hold response tokens, [B, T] bool."""
    return torch.arange(response_ids.shape[1], device=response_ids.device) < response_lengths[:, None]


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
