"""The optimizer of the policy, refused before weights are loaded where it could not train it.

It is tried on one small weight, since what a class cannot do shows in a step: LBFGS wants a closure, SparseAdam sparse
gradients, and a learning rate of NaN or infinity leaves weights that are no numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from mentor_pl.runtime.errors import UsageError

REMEDY = "take one such as torch.optim.AdamW with an lr of 1.0e-6"


def make_optimizer(factory: Callable[[Any], Optimizer], parameters: Iterable[nn.Parameter]) -> Optimizer:
    """What `factory` makes of these parameters.

    Raises:
        UsageError: for settings that the optimizer refuses.
    """
    try:
        return factory(parameters)
    except Exception as problem:  # of as many kinds as there are optimizers
        raise UsageError(f"model.optimizer cannot be made: {problem}: {REMEDY}") from problem


def try_optimizer(factory: Callable[[Any], Optimizer]) -> None:
    """Make the optimizer and take a step with it, of a weight of its own.

    Raises:
        UsageError: where it cannot be made, takes no step of dense gradients by itself, or ends in what is no number.
    """
    weight = nn.Parameter(torch.zeros(2, 2))
    optimizer = make_optimizer(factory, [weight])
    weight.grad = torch.ones_like(weight)
    name = type(optimizer).__name__
    try:
        optimizer.step()
    except Exception as problem:  # likewise
        raise UsageError(
            f"model.optimizer {name} takes no step from dense gradients alone ({problem}): {REMEDY}"
        ) from problem
    if not weight.isfinite().all():
        rate = optimizer.param_groups[0].get("lr")
        raise UsageError(f"model.optimizer {name} with lr {rate} makes weights that are no numbers: {REMEDY}")
