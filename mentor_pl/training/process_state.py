"""What a checkpoint must hold beyond weights and moments: random numbers, and how the optimizer was set.

Rollouts and data order need no random state (their noise is keyed); dropout and a user's own code may.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from mentor_pl.runtime.collectives import all_objects, rank, world_size
from mentor_pl.runtime.errors import UsageError

_PLAIN = (bool, int, float, str, type(None))


def process_state(optimizer: LightningOptimizer) -> dict[str, Any]:
    """Random states of all ranks, their number, and the optimizer's class and settings; call on every rank."""
    defaults = {name: _plain(value) for name, value in optimizer.optimizer.defaults.items()}
    return {
        "random_states": all_objects(random_states()),  # only rank 0 writes the file
        "ranks": world_size(),
        "optimizer": {"class": type(optimizer.optimizer).__name__, "settings": defaults},
    }


def restore(state: dict[str, Any], optimizer: LightningOptimizer, warmup: LambdaLR) -> None:
    """Put back what `process_state` gave; settings of the optimizer that the configuration has changed win.

    Raises:
        UsageError: for an optimizer of another class, whose moments would mean something else.
    """
    saved, now = state["optimizer"], optimizer.optimizer
    if saved["class"] != type(now).__name__:
        raise UsageError(
            f"the checkpoint is of a run with {saved['class']}, model.optimizer is {type(now).__name__}, and the "
            f"moments of one mean nothing to the other: keep {saved['class']}, or start anew from the exported policy"
        )
    for name, value in now.defaults.items():
        was = saved["settings"].get(name)
        if name in saved["settings"] and was != _plain(value):
            rank_zero_info(f"{name} is {_plain(value)} from here on, {was} before")
            for group in now.param_groups:
                group[name] = value
                if name == "lr":
                    group["initial_lr"] = value
    if now.defaults.get("lr") != saved["settings"].get("lr"):
        warmup.base_lrs = [group["initial_lr"] for group in now.param_groups]
        for group, factor in zip(now.param_groups, warmup.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * factor(warmup.last_epoch)
    if state["ranks"] != world_size():
        rank_zero_warn(
            f"the checkpoint is of {state['ranks']} processes, this run has {world_size()}: it goes on from the same "
            "weights, moments and problems, but no longer bit for bit: sums over ranks round in another order, and "
            "further ranks have fresh random states"
        )
    if rank() < len(state["random_states"]):
        restore_random(state["random_states"][rank()])


def set_place(checkpoint: dict[str, Any], steps: int) -> None:
    """Have the Trainer's loops stand behind batch `steps`, with more to come, wherever the checkpoint was made.

    Lightning counts an epoch as over, and with it the run, where the last batch before the checkpoint was the loader's
    last; how long the loader is by now it does not ask, so a finished run would not go on when data.steps is raised.
    Its public way, max_epochs=-1 with should_stop at an epoch's end, starts the loader anew from such a checkpoint.
    """
    # max_time is of one attempt: with those before it counted, a command that a scheduler repeats would end at once
    checkpoint.get("callbacks", {}).pop("Timer", None)
    fit_loop = checkpoint["loops"]["fit_loop"]
    done = dict.fromkeys(("ready", "started", "processed", "completed"), steps)
    begun = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    fit_loop["epoch_loop.batch_progress"] = {"total": done, "current": dict(done), "is_last_batch": False}
    fit_loop["epoch_progress"] = {"total": begun, "current": dict(begun)}
    fit_loop["epoch_loop.state_dict"]["_batches_that_stepped"] = steps
    fit_loop["state_dict"]["combined_loader"] = [{"step": steps}]


def random_states() -> dict[str, Tensor]:
    """Of torch's generators in this process, by kind of device."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random(states: dict[str, Tensor]) -> None:
    """Put back what `random_states` gave."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _plain(value: Any) -> Any:
    """A setting as a checkpoint can hold it."""
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, _PLAIN) else str(value)
