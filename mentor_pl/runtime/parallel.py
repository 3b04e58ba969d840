"""Several processes: the strategy (FSDP2), its checkpoints, the sharding plan, decoding on gathered parameters."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_warn
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, get_optimizer_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.distributed_c10d import _set_pg_timeout
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.optim import Optimizer

from mentor_pl.runtime.checkpoint_files import SafeCheckpointIO, misfits, refuse_damaged
from mentor_pl.runtime.collectives import call_the_roll, world_size
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import MAX_SECONDS, check
from mentor_pl.runtime.sharded_files import check_contents, is_sharded
from mentor_pl.runtime.sharded_saving import ShardedSaving, agreed

IN_BACKGROUND = {"background": True}  # for `Trainer.save_checkpoint`'s storage_options
_ONE_FILE = 10**9  # parameters that a checkpoint in one file has at most by default


class FSDP2Strategy(ModelParallelStrategy):
    """Fully sharded data parallelism over all devices of the Trainer.

    Lightning's `ModelParallelStrategy` by itself takes all devices for tensor parallelism, under which gradients of
    different data are never summed; this one always makes the data-parallel size the world size.

    Args:
        save_distributed_checkpoint: a folder with files of each rank, or a single file, for which rank 0 gathers 12
            bytes and more of each parameter in its host's memory. By default a folder where several ranks train a
            policy of more than 10⁹ parameters, all of them.
        timeout_minutes: how long a rank waits for the others; the slowest rank's rollouts must fit in. A run that ends
            so names the rank that did not come.
        shard_size: how many ranks share one copy of the policy (HSDP), such as the GPUs of a node, so that parameters
            are gathered within it and gradients alone cross; by default all ranks share one.

    Raises:
        UsageError: for a timeout that is not positive, and where the ranks are no multiple of `shard_size`.
    """

    def __init__(
        self,
        save_distributed_checkpoint: bool | None = None,
        timeout_minutes: float = 120,
        shard_size: int | None = None,
    ) -> None:
        most, because = MAX_SECONDS / 60, "ranks wait for one another"
        check("FSDP2Strategy timeout_minutes", timeout_minutes, above=0, at_most=most, because=because)
        check(
            "FSDP2Strategy shard_size", shard_size, at_least=1, because="it counts ranks", otherwise="or null for all"
        )
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=save_distributed_checkpoint,  # type: ignore[arg-type]
            timeout=timedelta(minutes=timeout_minutes),
        )
        self.checkpoint_io = SafeCheckpointIO()
        self.shard_size = shard_size
        self._hybrid_mesh: DeviceMesh | None = None
        self._saving = ShardedSaving(timedelta(minutes=timeout_minutes))

    @property
    def _save_distributed_checkpoint(self) -> bool:
        """What Lightning and this class ask when they save."""
        if self._in_shards is not None:
            return self._in_shards
        assert self.model is not None
        parameters = list(self.model.parameters())
        whole = all(parameter.requires_grad for parameter in parameters)  # else checkpoints hold adapters alone
        return world_size() > 1 and whole and sum(parameter.numel() for parameter in parameters) > _ONE_FILE

    @_save_distributed_checkpoint.setter
    def _save_distributed_checkpoint(self, value: bool | None) -> None:
        self._in_shards = value

    def setup_environment(self) -> None:
        self._data_parallel_size = ranks = self.num_nodes * self.num_processes
        if self.shard_size is not None and ranks % self.shard_size:
            raise UsageError(
                f"FSDP2Strategy shard_size is {self.shard_size}, but {ranks} ranks are no multiple of it: give the "
                "GPUs of a node, or null"
            )
        super().setup_environment()
        assert self._timeout is not None
        call_the_roll(self._timeout)
        if self.shard_size not in (None, ranks):
            shape, names = (ranks // self.shard_size, self.shard_size), ("replicate", "shard")
            self._hybrid_mesh = init_device_mesh(self.root_device.type, shape, mesh_dim_names=names)
            for name in names:  # new groups have the default's, of half an hour at most
                _set_pg_timeout(self._timeout, self._hybrid_mesh.get_group(name))

    @property
    def sharding_mesh(self) -> DeviceMesh:
        """What the policy is sharded over: all ranks, or replicas × shards."""
        return self._hybrid_mesh if self._hybrid_mesh is not None else self.device_mesh["data_parallel"]

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """What is trained; frozen weights, which rank 0 would gather in vain, are in no checkpoint."""
        assert self.model is not None
        whole = not self._save_distributed_checkpoint
        options = StateDictOptions(full_state_dict=whole, cpu_offload=whole, ignore_frozen_params=True)
        return get_model_state_dict(self.model, options=options)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """What Lightning gives, but for files of each rank the states where they are: saving copies them."""
        if not self._save_distributed_checkpoint:
            return super().optimizer_state(optimizer)
        assert self.model is not None
        inner = optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        return cast(dict[str, Any], get_optimizer_state_dict(self.model, inner))

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Write a checkpoint whole or not at all; call on every rank.

        Args:
            storage_options: `IN_BACKGROUND` to have files of each rank written while the run goes on, until the next
                checkpoint is saved or `end_saving` is called; one file is written at once all the same.

        Raises:
            StorageError: on every rank, where one could not write this checkpoint, or the one before in background.
        """
        path = Path(self.broadcast(filepath))
        background = storage_options is IN_BACKGROUND
        if not self._save_distributed_checkpoint:
            write, options = super().save_checkpoint, None if background else storage_options
            agreed(path, lambda: write(checkpoint, path, options))
            return
        self._saving.begin(checkpoint, path)
        if not background:
            self._saving.end()

    def end_saving(self) -> None:
        """Wait until a checkpoint that is written in background is in place; call on every rank.

        Raises:
            StorageError: on every rank, where it could not be written.
        """
        self._saving.end()

    def teardown(self) -> None:
        failing = sys.exc_info()[0] is not None
        try:
            self._saving.end()
        except Exception as error:
            if not failing:
                raise
            rank_zero_warn(str(error))  # and what ends the run is said as it would be
        finally:
            super().teardown()

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint of any number of ranks, sharded or not, undamaged and without running code in it."""
        path = Path(self.broadcast(checkpoint_path))
        refuse_damaged(path)
        if is_sharded(path):
            check_contents(path)
        with misfits():
            return super().load_checkpoint(path, weights_only=True)


def check_trainer(trainer: Trainer, mesh: DeviceMesh | None, whole: bool = True) -> None:
    """See that a Trainer's strategy is one that this training works under.

    Args:
        trainer: the Trainer.
        mesh: the strategy's device mesh, where it has one.
        whole: whether checkpoints hold all of the policy's weights; files of each rank are read for all of them.

    Raises:
        UsageError: where it is not.
    """
    if isinstance(trainer.strategy, DDPStrategy | FSDPStrategy):
        raise UsageError(
            f"trainer.strategy {type(trainer.strategy).__name__} cannot run several forwards per step on sharded or "
            "replicated weights: use mentor_pl.runtime.parallel.FSDP2Strategy (configs/trainer/fsdp.yaml)"
        )
    if mesh is not None and mesh["data_parallel"].size() != world_size():
        raise UsageError(
            f"strategy {type(trainer.strategy).__name__} has {mesh['data_parallel'].size()} "
            f"data-parallel ranks for {world_size()} processes, so gradients would not be summed over all of them: "
            "use mentor_pl.runtime.parallel.FSDP2Strategy (configs/trainer/fsdp.yaml)"
        )
    if not whole and getattr(trainer.strategy, "_save_distributed_checkpoint", False):
        raise UsageError(
            "trainer.strategy writes checkpoints with a file for each rank (save_distributed_checkpoint), which must "
            "hold every weight, but those of a run with model.adapter hold the adapter alone, which is small: set it "
            "to false"
        )


def sharding_mesh(trainer: Trainer, mesh: DeviceMesh) -> DeviceMesh:
    """What the policy is sharded over, for a Trainer whose strategy has a device mesh."""
    strategy = trainer.strategy
    return strategy.sharding_mesh if isinstance(strategy, FSDP2Strategy) else mesh["data_parallel"]


def shard(policy: Any, mesh: DeviceMesh, param_dtype: torch.dtype | None = None) -> None:
    """Shard a Hugging Face causal LM in place: each decoder layer, then what is left.

    Args:
        policy: a model with `token_logprobs` as a method.
        mesh: of the data-parallel ranks; with two dimensions replicas × shards.
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
    """Every parameter whole on every rank, so that forwards inside need no collective and run no hook of FSDP2.

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
        with _without_hooks(sharded):
            yield
    finally:
        for module in sharded:
            module.reshard()
        for module in inner:  # the root's parameters are wanted again at once by the backward pass: it stays as it is
            module.set_reshard_after_forward(True, recurse=False)


@contextmanager
def _without_hooks(sharded: Sequence[Any]) -> Iterator[None]:
    """Forwards of `sharded`, which are whole, without FSDP2's hooks; others' hooks stay.

    Even where nothing is to be gathered its hooks make two streams wait in every forward: no CUDA graph can be recorded
    of that, and every step pays for it.
    """
    every = [(m, hooks) for m in sharded for hooks in (m._forward_pre_hooks, m._forward_hooks)]
    before = [dict(hooks) for _, hooks in every]
    for module, hooks in every:
        for name, hook in list(hooks.items()):
            if getattr(hook, "__self__", None) is module._get_fsdp_state():
                del hooks[name]
    try:
        yield
    finally:
        for (_, hooks), kept in zip(every, before, strict=True):
            hooks.clear()
            hooks.update(kept)
