"""A model's forward through `torch.compile`: what lies between its products becomes a few kernels.

Compiled once for any number of rows, any width of the cache and any number of its pages, as one graph: what would break
it, or would have it compiled again and again, is an error and not a slower run. Only sizes of 1 have graphs of their
own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
from torch.fx.experimental import _config as shapes

from mentor_pl.runtime.errors import UsageError


def compiled_forward(model: Any) -> Callable[..., Any]:
    """`model.forward`, compiled when it is first called; other calls of the model stay as they are.

    Args:
        model: a Hugging Face causal LM.

    Raises:
        UsageError: by the call, where there is no compiler or the forward is no graph.
    """
    # without it Python passes half a millisecond a step between kernels, which a GPU's recorded steps do not do
    options: dict[str, Any] = {"cpp_wrapper": True} if next(model.parameters()).device.type == "cpu" else {}
    forward = torch.compile(model.forward, dynamic=True, fullgraph=True, options=options)

    def call(**arguments: Any) -> Any:
        try:
            # else sizes that happen to be equal are taken to be equal always
            with shapes.patch(use_duck_shape=False):  # type: ignore[attr-defined]
                return forward(**arguments)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            reason = " ".join(str(error).split("\n\n")[0].split())[:300]
            raise UsageError(
                f"sampler torch_compile is true, but {type(model).__name__} cannot be compiled here, {reason}: "
                "set it to false"
            ) from error

    return call
