"""The policy as a Trainer trains it: whole on one device, or sharded over the devices of its strategy."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer
from torch.distributed.device_mesh import DeviceMesh

from mentor_pl.models.loading import load_policy
from mentor_pl.models.lora import LoRA
from mentor_pl.models.sharded_loading import load_policy_in_shards
from mentor_pl.models.source import ModelSource
from mentor_pl.runtime.parallel import check_trainer, sharding_mesh


def load_trained(
    trainer: Trainer,
    mesh: DeviceMesh | None,
    source: ModelSource,
    dtype: torch.dtype,
    gradient_checkpointing: bool,
    adapter: LoRA | None,
) -> Any:
    """The policy, under a strategy that can train it; call on every rank.

    Args:
        mesh: of the strategy, where it has one.
        source: where the policy comes from.
        dtype: that sharded parameters are gathered in.
        gradient_checkpointing: recompute activations in the backward pass.
        adapter: to be trained in place of the policy's weights.

    Raises:
        UsageError: for a strategy that cannot, before anything is loaded; and as `load_policy`.
    """
    check_trainer(trainer, mesh, whole=adapter is None)
    if mesh is None:
        return load_policy(source, gradient_checkpointing, adapter)
    over, device = sharding_mesh(trainer, mesh), trainer.strategy.root_device
    return load_policy_in_shards(source, over, device, dtype, gradient_checkpointing, adapter)
