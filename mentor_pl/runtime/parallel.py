"""Several processes: the sharding plan (FSDP2), decoding on gathered parameters, sums and sets over all ranks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

from mentor_pl.runtime.errors import UsageError


class FSDP2Strategy(ModelParallelStrategy):
    """Fully sharded data parallelism over all devices of the Trainer.

    Lightning's `ModelParallelStrategy` by itself takes all devices for tensor parallelism, under which gradients of
    different data are never summed; this one always makes the data-parallel size the world size.

    Args:
        save_distributed_checkpoint: one file per rank instead of a single one that loads anywhere.
        timeout_minutes: how long a rank waits for the others; the slowest rank's rollouts must fit in.
    """

    def __init__(self, save_distributed_checkpoint: bool = False, timeout_minutes: float = 120) -> None:
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=save_distributed_checkpoint,
            timeout=timedelta(minutes=timeout_minutes),
        )

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


def check_trainer(trainer: Trainer, mesh: DeviceMesh | None) -> None:
    """See that a Trainer's strategy and precision are ones that this training works under.

    Args:
        trainer: the Trainer.
        mesh: the strategy's device mesh, where it has one.

    Raises:
        UsageError: where they are not.
    """
    if isinstance(trainer.strategy, DDPStrategy | FSDPStrategy):
        raise UsageError(
            f"strategy {type(trainer.strategy).__name__} cannot run several forwards per step on sharded or "
            "replicated weights: use mentor_pl.runtime.parallel.FSDP2Strategy (configs/trainer/fsdp.yaml)"
        )
    if mesh is not None and mesh["data_parallel"].size() != world_size():
        raise UsageError(
            f"strategy {type(trainer.strategy).__name__} has {mesh['data_parallel'].size()} "
            f"data-parallel ranks for {world_size()} processes, so gradients would not be summed over all of them: "
            "use mentor_pl.runtime.parallel.FSDP2Strategy (configs/trainer/fsdp.yaml)"
        )
    if str(trainer.precision) in ("bf16-true", "16-true", "16-mixed"):
        raise UsageError(
            f"precision {trainer.precision} loses the small updates or the rotary angles of the policy: use "
            "bf16-mixed or 32-true"
        )


def shard(policy: Any, mesh: DeviceMesh, param_dtype: torch.dtype | None = None) -> None:
    """Shard a Hugging Face causal LM in place: each decoder layer, then what is left.

    Args:
        policy: a model with `token_logprobs` as a method.
        mesh: one-dimensional, the data-parallel ranks.
        param_dtype: dtype that parameters are gathered in; gradients are reduced in float32 always.
    """
    precision = MixedPrecisionPolicy(param_dtype=param_dtype, reduce_dtype=torch.float32)
    layers = set(getattr(policy, "_no_split_modules", None) or [])
    for module in policy.modules():
        if type(module).__name__ in layers:
            fully_shard(module, mesh=mesh, mp_policy=precision)
    fully_shard(policy, mesh=mesh, mp_policy=precision)
    register_fsdp_forward_method(policy, "token_logprobs")


@contextmanager
def gathered(policy: nn.Module) -> Iterator[None]:
    """Every parameter whole on every rank, so that forwards inside need no collective.

    Ranks may then decode different numbers of steps. Does nothing to a model that is not sharded.
    """
    sharded = [module for module in policy.modules() if isinstance(module, FSDPModule)]
    if not sharded:
        yield
        return
    root, *inner = sharded
    root.set_reshard_after_forward(False)
    for module in sharded:
        module.unshard()
    try:
        yield
    finally:
        for module in sharded:
            module.reshard()
        for module in inner:  # the root's parameters are wanted again at once by the backward pass: it stays as it is
            module.set_reshard_after_forward(True, recurse=False)


def world_size() -> int:
    """Number of processes; 1 where nothing is distributed."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's place among all; 0 where nothing is distributed."""
    return dist.get_rank() if dist.is_initialized() else 0


def all_sum(value: Tensor) -> Tensor:
    """The sum of a tensor over all ranks, same shape."""
    if world_size() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total


def all_max(value: Tensor) -> Tensor:
    """The greatest of a tensor over all ranks, element by element, same shape."""
    if world_size() == 1:
        return value
    greatest = value.clone()
    dist.all_reduce(greatest, op=dist.ReduceOp.MAX)
    return greatest


def all_objects(value: Any) -> list[Any]:
    """An object of every rank, in order of rank; it must be picklable."""
    found: list[Any] = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(found, value)
    return found


def all_values(values: Tensor) -> Tensor:
    """The values [n] of all ranks in one tensor [Σn], in order of rank; n may differ between ranks."""
    if world_size() == 1:
        return values
    counts = torch.zeros(world_size(), dtype=torch.int64, device=values.device)
    counts[rank()] = len(values)
    dist.all_reduce(counts)
    padded = values.new_zeros(int(counts.max()))
    padded[: len(values)] = values
    parts = [torch.empty_like(padded) for _ in range(world_size())]
    dist.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts.tolist(), strict=True)])
