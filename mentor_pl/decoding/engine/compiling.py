"""Steps through `torch.compile`: what lies between a model's products, and the noise of a draft, become a few kernels.

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


def compiled(function: Callable[..., Any], what: str, device: torch.device) -> Callable[..., Any]:
    """`function`, compiled when it is first called; where it is called otherwise it stays as it is.

    Args:
        function: such as a model's forward; call it with gradients off.
        what: it is, for the message.
        device: of its tensors.

    Raises:
        UsageError: by the call, where there is no compiler or the function is no graph.
    """
    # without it Python passes half a millisecond a step between kernels, which a GPU's recorded steps do not do
    options: dict[str, Any] = {"cpp_wrapper": True} if device.type == "cpu" else {}
    shapes.use_duck_shape = False  # else sizes that happen to be equal are taken to be equal always
    fast = torch.compile(function, dynamic=True, fullgraph=True, options=options)

    def refusal(reason: str) -> UsageError:
        return UsageError(
            f"sampler torch_compile is true, but {what} cannot be compiled here, {reason}: set it to false"
        )

    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return fast(*arguments, **named)
        except FailOnRecompileLimitHit as error:
            raise refusal("PyTorch keeps no more graphs of it than torch._dynamo.config.recompile_limit") from error
        except TorchDynamoException as error:
            raise refusal(" ".join(str(error).split("\n\n")[0].split())[:300]) from error

    return call
