"""The optimizer of the policy, refused before weights are loaded where it could not train it, and its learning rate.

    lr · min(1, (k + 1) / (w + 1)) · (f + (1 − f) · ½(1 + cos(π k / K)))

k of the run's K optimizer steps are done, w are the warm-up's, and f is what is left in the end. The optimizer is tried
on one small weight, since what a class cannot do shows in a step: LBFGS wants a closure, SparseAdam sparse gradients,
and a learning rate of NaN or infinity leaves weights that are no numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check

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


def check_lr_schedule(warmup: int, final: float) -> None:
    """See that the learning rate can rise and fall so.

    Raises:
        UsageError: where it cannot.
    """
    check("model.warmup_steps", warmup, at_least=0, because="it counts updates", otherwise="0 for none")
    check("model.final_lr", final, at_least=0, at_most=1, because="it is a share of the learning rate")


def lr_factor(step: int, warmup: int, final: float, steps: float) -> float:
    """What the learning rate is multiplied by.

    Args:
        step: optimizer steps done.
        warmup: steps over which it rises.
        final: what is left of it at the end.
        steps: of the run; infinite where they are not known.
    """
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return min(1.0, (step + 1) / (warmup + 1)) * (final + (1 - final) * fall)


def try_optimizer(factory: Callable[[Any], Optimizer]) -> Optimizer:
    """Make the optimizer and take a step with it, of a weight of its own.

    Returns:
        what was tried.

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
    return optimizer
