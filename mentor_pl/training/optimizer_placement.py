"""Where the optimizer's states lie while rollouts are sampled.

    device       on the device, always
    offloaded    in the host's memory; they come back for the next step

AdamW's states are twice the weights that are trained, in float32, and sampling needs none of them, but room for its KV
caches. They are whole on the device again for whoever asks the optimizer: a step, or a checkpoint. What is kept on the
host is a copy bit for bit, so a run is the same with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._python_dispatch import is_traceable_wrapper_subclass
from torch.utils._pytree import tree_leaves

from mentor_pl.runtime.errors import UsageError

OptimizerPlacement = Literal["device", "offloaded"]


def check_optimizer_placement(placement: OptimizerPlacement, tried: Optimizer, device: torch.device) -> None:
    """See that a placement does something.

    Args:
        tried: an optimizer of the run's class and settings, which has taken a step.
        device: of the run.

    Raises:
        UsageError: where it would not.
    """
    if placement == "device":
        return
    name, why = type(tried).__name__, None
    if device.type == "cpu":
        why = "this run is on the CPU, so the optimizer's states are in the host's memory anyway"
    elif getattr(tried, "is_paged", False):
        why = f"{name} moves its states to the host's memory and back by itself"
    elif not any(True for _ in states_of(tried)):
        why = f"{name} as it is set keeps nothing of the weights' size"
    if why is not None:
        raise UsageError(f"model.optimizer_placement is offloaded, but {why}: take device")


class OffloadedStates:
    """The states of an optimizer, in the host's memory from each `rest` until somebody asks for them.

    In between the optimizer must be asked by its methods: whoever reads its `state` finds zeros.

    Args:
        optimizer: whose states are replaced; it calls them back itself, by hooks.
        device: where they are used; the host's memory is pinned where it is a GPU.
    """

    def __init__(self, optimizer: Optimizer, device: torch.device) -> None:
        self._optimizer, self._pinned = optimizer, device.type == "cuda"
        self._kept: dict[Tensor, Tensor] = {}  # on the device -> on the host
        self._away = False
        optimizer.register_step_pre_hook(self.come_back)
        optimizer.register_state_dict_pre_hook(self.come_back)

    def rest(self) -> None:
        """Move what there is to the host; nothing before the first step."""
        if self._away:
            return
        before, self._kept, self._away = self._kept, {}, True
        for state in states_of(self._optimizer):
            there = before.get(state)
            if there is None:
                there = torch.empty_like(state, device="cpu", pin_memory=self._pinned)
            self._kept[state] = there.copy_(state, non_blocking=True)
            state.data = state.new_zeros(()).expand(state.shape)  # a shape that takes no memory

    def come_back(self, *_: Any) -> None:
        """Have them on the device; takes what torch tells its hooks."""
        if self._away:
            for state, there in self._kept.items():
                state.data = there.to(state.device, non_blocking=True, copy=True)
            self._away = False


def states_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """The tensors that an optimizer's states lie in, each once: of DTensors this rank's part. Counters are left out."""
    seen: set[Tensor] = set()
    for leaf in tree_leaves(list(optimizer.state.values())):
        for tensor in _plain(leaf):
            if tensor.numel() > 1 and tensor not in seen:
                seen.add(tensor)
                yield tensor


def _plain(value: Any) -> Iterator[Tensor]:
    """What a tensor is made of: itself, or what a DTensor or a quantised tensor wraps."""
    if is_traceable_wrapper_subclass(value):
        for name in value.__tensor_flatten__()[0]:
            yield from _plain(getattr(value, name))
    elif isinstance(value, Tensor):
        yield value
