"""The policy straight into shards: one rank reads it, and no other ever holds it whole.

Every rank builds the model without memory for its parameters and shards that. The first rank then reads the weights,
in bfloat16 where they are stored so, and deals them parameter by parameter, each rank's rows of it to that rank. A host
of eight processes so holds a model once where it would eight times.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, distribute_tensor

from mentor_pl.models.loading import checked_weights, trainable
from mentor_pl.models.lora import LoRA, settings_of
from mentor_pl.models.source import ModelSource
from mentor_pl.runtime.collectives import all_objects, rank, together
from mentor_pl.runtime.parallel import shard


def load_policy_in_shards(
    source: ModelSource,
    mesh: DeviceMesh,
    device: torch.device,
    param_dtype: torch.dtype = torch.float32,
    gradient_checkpointing: bool = False,
    adapter: LoRA | None = None,
) -> Any:
    """What `load_policy` gives, sharded over `mesh`; call on every rank.

    Args:
        source: where it comes from.
        mesh: of all ranks.
        device: of this rank's shards.
        param_dtype: dtype that parameters are gathered in.
        gradient_checkpointing: recompute activations in the backward pass.
        adapter: to be trained in place of the policy's weights; drawn on the first rank and dealt like them.

    Raises:
        UsageError: as `load_policy`, on every rank.
    """
    whole = together(lambda: checked_weights(source, source.stored_dtype(), adapter) if rank() == 0 else None, device)
    model = source.skeleton()
    if adapter is not None:
        adapter.attach(model)
    trainable(model, gradient_checkpointing)
    buffers = dict(model.named_buffers())
    shard(model, mesh, param_dtype)
    model.to_empty(device=device)
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    _deal(whole, model, device)
    model.generation_config, settings = all_objects(whole and (whole.generation_config, settings_of(whole)))[0]
    if settings is not None:
        model.adapter_settings = settings
    return model


@torch.no_grad()
def _deal(whole: Any | None, model: nn.Module, device: torch.device) -> None:
    """Fill a sharded model from the first rank's whole one, which is emptied."""
    values: dict[str, torch.Tensor] = {}
    if whole is not None:
        values = {**dict(whole.named_parameters()), **dict(whole.named_buffers())}
    for name, parameter in model.named_parameters():
        assert isinstance(parameter, DTensor)
        value = torch.empty(parameter.shape, device=device)  # what it holds is read on the first rank alone
        if whole is not None:
            value.copy_(values[name])
            values[name].data = value.new_empty(0)
        dealt = distribute_tensor(value, parameter.device_mesh, parameter.placements)
        parameter.to_local().copy_(dealt.to_local())
    stored = model.state_dict().keys()
    for name, buffer in model.named_buffers():
        if name in stored:
            dist.broadcast(buffer.copy_(values[name]) if whole is not None else buffer, 0)
