"""Where a frozen model lies between its uses, and how it comes to be whole on the device for one.

    replicated   whole on every device, always
    sharded      a part of each weight on every device; the parts are gathered for a use
    offloaded    whole in the host's memory; copied to the device for a use

A use is a `with` block. The weights are never trained, so what was brought is dropped behind it and nothing goes back.
Buffers, which are small, stay on the device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from mentor_pl.runtime.collectives import rank, world_size

Placement = Literal["replicated", "sharded", "offloaded"]


class Placed(ABC):
    """A frozen model that is whole on a device while it is used.

    Args:
        model: on the CPU; its parameters are replaced.
        device: where it is used.
    """

    def __init__(self, model: Any, device: torch.device) -> None:
        self.model, self.device = model, device
        self._rest = {parameter: self.at_rest(parameter.detach()) for parameter in model.parameters()}
        model.to(device)
        self._drop()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The weights whole on the device inside; call on every rank."""
        for parameter, rest in self._rest.items():
            parameter.data = self.whole(rest, parameter.shape)
        try:
            yield
        finally:
            self._drop()

    def _drop(self) -> None:
        for parameter in self._rest:  # a shape that takes no memory, so that parameters can be counted
            parameter.data = parameter.new_zeros(()).expand(parameter.shape)

    @abstractmethod
    def at_rest(self, weight: Tensor) -> Tensor:
        """What is kept of a weight that is whole and on the CPU."""

    @abstractmethod
    def whole(self, rest: Tensor, shape: torch.Size) -> Tensor:
        """The weight on the device, of what is kept of it."""


class Sharded(Placed):
    """A part of each weight on every rank, as many elements as on any other."""

    def at_rest(self, weight: Tensor) -> Tensor:
        share = -(-weight.numel() // world_size())
        part = weight.flatten()[rank() * share : (rank() + 1) * share]
        return torch.zeros(share, dtype=weight.dtype, device=self.device).index_copy_(
            0, torch.arange(len(part), device=self.device), part.to(self.device)
        )

    def whole(self, rest: Tensor, shape: torch.Size) -> Tensor:
        parts = rest.new_empty(len(rest) * world_size())
        dist.all_gather_into_tensor(parts, rest)
        return parts[: shape.numel()].view(shape)


class Offloaded(Placed):
    """Every weight in the host's memory, pinned where the device is a GPU."""

    def at_rest(self, weight: Tensor) -> Tensor:
        return weight.pin_memory() if self.device.type == "cuda" else weight.clone()

    def whole(self, rest: Tensor, shape: torch.Size) -> Tensor:
        return rest.to(self.device, non_blocking=True, copy=True)


def placed(model: Any, device: torch.device, placement: Placement) -> Placed | None:
    """Put a model, on the CPU, where it is to lie; None where it is whole on the device."""
    if placement == "replicated":
        model.to(device)
        return None
    return (Sharded if placement == "sharded" else Offloaded)(model, device)
