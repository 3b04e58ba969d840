"""Checkpoints of a policy with adapters: they hold these alone, and say which weights and settings they belong to."""

from __future__ import annotations

from typing import Any

from torch.distributed.tensor import DTensor

from mentor_pl.models.lora import settings_of, trained
from mentor_pl.runtime.errors import UsageError


def leave_out_frozen(policy: Any, checkpoint: dict[str, Any]) -> None:
    """Take what is not trained out of a checkpoint, and number the optimizer's states as a sharded run does.

    A policy without adapters, and its checkpoint, are left as they are.
    """
    settings = settings_of(policy)
    if settings is None:
        return
    checkpoint["mentor"]["adapter"] = settings
    ours = {f"policy.{name}" for name in trained(policy)}
    checkpoint["state_dict"] = {name: value for name, value in checkpoint["state_dict"].items() if name in ours}
    parameters = list(policy.parameters())
    if isinstance(parameters[0], DTensor):
        return
    # by place among all parameters, as Lightning numbers them where they are sharded, and not among those trained
    places = [place for place, parameter in enumerate(parameters) if parameter.requires_grad]
    for state in checkpoint.get("optimizer_states", ()):
        state["state"] = {places[number]: moments for number, moments in state["state"].items()}
        state["param_groups"] = [
            group | {"params": [places[number] for number in group["params"]]} for group in state["param_groups"]
        ]


def refuse_other_adapter(policy: Any, saved: dict[str, Any]) -> None:
    """See that a checkpoint's adapter, or that it has none, is the policy's; `saved` is what it says of itself.

    Raises:
        UsageError: where it is not: its weights would count otherwise, or stand beside others.
    """
    ours, theirs = settings_of(policy), saved.get("adapter")
    if ours == theirs:
        return
    if ours is None or theirs is None:
        kinds = ("an adapter alone", "null") if ours is None else ("all weights", "set")
        raise UsageError(
            f"the checkpoint is of a run that trained {kinds[0]}, and model.adapter is {kinds[1]}: keep it as that run "
            "had it, or begin from that run's exported policy"
        )
    name = next(name for name in ours if ours[name] != theirs[name])
    raise UsageError(
        f"the checkpoint's adapter has {name} {theirs[name]}, this run's {ours[name]}: keep model.policy and "
        "model.adapter as they were, or begin from the run's exported policy"
    )
