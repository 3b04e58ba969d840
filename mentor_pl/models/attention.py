"""Attention functions of our own under transformers' models: put in for a while, and sure to be what attends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mentor_pl.runtime.errors import UsageError


@contextmanager
def attending_by(implementation: str, *models: Any) -> Iterator[None]:
    """Let `models` attend by a function registered as `implementation`; their own comes back afterwards."""
    configs = [model.config for model in models if hasattr(model, "config")]
    before = [config._attn_implementation for config in configs]
    try:
        for config in configs:
            config._attn_implementation = implementation
        yield
    finally:
        for config, own in zip(configs, before, strict=True):
            config._attn_implementation = own


def check_plain(module: Any, given: object | None, options: Mapping[str, Any], whose: str) -> None:
    """See that a layer asks for a softmax of scaled products and nothing else.

    Args:
        module: the layer's attention.
        given: what came through the model's arguments; None where the model lets none through.
        options: the arguments of transformers' attention interface.
        whose: who does not reproduce more than that, for the message.

    Raises:
        UsageError: where it asks for more.
    """
    if given is None or options.get("softcap") is not None or options.get("s_aux") is not None:
        raise UsageError(
            f"{type(module).__name__} caps its attention scores, adds sinks or hides its arguments, which {whose} does "
            "not reproduce: take a model such as Qwen2, Qwen3 or Llama"
        )


def check_attended(model: Any, layers: int) -> None:
    """See that every layer of `model` attended by the function it was given; else rollouts would read one another.

    Raises:
        UsageError: for attention of a model's own, and for layers that do something else, such as recurrent ones.
    """
    wanted = getattr(getattr(model, "config", None), "num_hidden_layers", layers)
    if layers != wanted:
        raise UsageError(
            f"{type(model).__name__}: {layers} of {wanted} layers attend by way of transformers' attention interface, "
            "which is how rollouts are kept apart: take a model such as Qwen2, Qwen3 or Llama"
        )


def spans(starts: Tensor, counts: Tensor) -> Tensor:
    """start, start + 1, … of each span, one behind the other: [B], [B] -> [Σ counts]."""
    before = counts.cumsum(0) - counts
    return torch.arange(int(counts.sum())) + (starts - before).repeat_interleave(counts)
