"""The policy and the frozen expert: what can be known of them before weights are loaded, and loading them.

The two must speak over the same token ids, since π_mix adds their distributions id by id. Embeddings may be padded
differently inside one family (Qwen2.5: 151,936 or 152,064 rows), so both models' logits are cut to the tokenizer's ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch.nn.functional import linear
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from mentor_pl.models.fingerprint import fingerprint
from mentor_pl.models.logprobs import token_logprobs
from mentor_pl.models.lora import LoRA
from mentor_pl.models.placement import Placed
from mentor_pl.models.source import ModelSource
from mentor_pl.models.text_expert import TextExpert
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.runtime.errors import UsageError


@dataclass(frozen=True)
class Models:
    """Policy and frozen models with what decoding needs to know of them."""

    policy: Any  # a Hugging Face causal LM
    expert: Any | None
    tokenizer: PreTrainedTokenizerBase
    vocabulary: Vocabulary
    reference: Any | None = None  # the policy as it was, for algorithms that stay near it
    placed: Placed | None = None  # where the expert lies, if not whole on the device
    text_expert: TextExpert | None = None  # where the expert has ids of its own

    def expert_in_use(self, asked: bool = True) -> AbstractContextManager[None]:
        """The expert whole on the device inside, if it is asked; call on every rank."""
        return self.placed.in_use() if asked and self.placed is not None else nullcontext()

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.policy.parameters()).device
        return device


def load_policy(source: ModelSource, gradient_checkpointing: bool = False, adapter: LoRA | None = None) -> Any:
    """The policy in float32, in training mode, with `token_logprobs` as a method (so that sharding can register it).

    Raises:
        UsageError: as `checked_weights`.
    """
    return trainable(checked_weights(source, torch.float32, adapter), gradient_checkpointing)


def checked_weights(source: ModelSource, dtype: torch.dtype, adapter: LoRA | None = None) -> Any:
    """A model on the CPU that can be a policy, with its adapters.

    Args:
        dtype: of its weights; adapters are in float32.

    Raises:
        UsageError: where weights are missing, where training would not reproduce what was sampled: the model drops
            activations out, or does more to its logits than its output embedding does; and for an adapter that does not
            fit it.
    """
    model = source.weights(dtype)
    _check_dropout(source, model)
    _check_head(source, model)
    if adapter is not None:
        weights = fingerprint(model, torch.float32)
        adapter.attach(model)
        adapter.draw(model)
        model.adapter_settings |= {"weights": weights}
    return model


def trainable(model: Any, gradient_checkpointing: bool) -> Any:
    """A model as a policy: in training mode, with `token_logprobs` as a method."""
    model.token_logprobs = MethodType(token_logprobs, model)
    if gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model.train()


def _check_dropout(source: ModelSource, model: Any) -> None:
    rates = {k: v for k, v in model.config.to_dict().items() if "drop" in k and isinstance(v, float | int) and v > 0}
    for name, rate in rates.items():
        raise UsageError(
            f"{source.role} '{source.path}' sets {name} to {rate}, but rollouts are sampled without dropout and "
            "training must reproduce their log-probabilities: set it to 0 in config.json"
        )


@torch.no_grad()
def _check_head(source: ModelSource, model: Any) -> None:
    """Training applies the output embedding itself, as a linear map: scaled or capped logits would differ from it."""
    probe = torch.zeros(1, 1, dtype=torch.int64)
    hidden = model.eval().base_model(input_ids=probe).last_hidden_state
    head = model.get_output_embeddings()
    logits = linear(hidden, head.weight, getattr(head, "bias", None))
    if not torch.allclose(model(input_ids=probe).logits, logits, rtol=1e-3, atol=1e-4):
        raise UsageError(
            f"{source.role} '{source.path}': {type(model).__name__} scales or caps its logits, which training does not "
            "reproduce: take a model such as Qwen2, Qwen3 or Llama"
        )


def load_frozen(source: ModelSource, dtype: torch.dtype) -> Any:
    """An expert or a reference, in eval mode, with `token_logprobs` as a method."""
    model = source.weights(dtype).requires_grad_(False).eval()
    model.token_logprobs = MethodType(token_logprobs, model)
    return model


def save_folder(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    folder: str | Path,
    weights: dict[str, Any] | None = None,
    stop_ids: Sequence[int] = (),
) -> None:
    """Write an ordinary model folder, without the progress bar that would tear a running one.

    Args:
        weights: to be written in place of the model's own, which may be sharded.
        stop_ids: ids that end a response for whatever decodes from the folder; by default the model's own.
    """
    if stop_ids:
        model.config.eos_token_id = model.generation_config.eos_token_id = list(stop_ids)
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
