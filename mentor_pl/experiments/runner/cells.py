"""What cells will be, read from their configurations: whether they are whole, and how many fit beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mentor_pl.experiments.design.design import Design
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.machine import cores

REQUIRED = {"model": ("policy",), "data": ("train",)}  # of `mentor fit`: the settings without a default


def check_whole(design: Design) -> None:
    """Refuse a design whose runs lack what every run needs.

    Raises:
        UsageError: with the setting, and how to give it.
    """
    for settings in design.configurations():
        for room, names in REQUIRED.items():
            for name in names:
                if not (settings.get(room) or {}).get(name):
                    raise UsageError(
                        f"{room}.{name} is required, but no configuration of the design sets it: give one that does by "
                        "--base, such as --base configs/models/qwen2.5-7b.yaml"
                    )


def at_a_time(design: Design) -> int:
    """As many as cores have room for; 1 where cells would share a GPU, or one takes several devices."""
    import torch  # takes seconds

    if torch.cuda.is_available() or any(_is_spread(one["trainer"]) for one in design.configurations()):
        return 1
    return max(1, cores() // max(cell.threads for cell in design.cells()))


def _is_spread(trainer: Mapping[str, Any]) -> bool:
    """Whether a run takes more than one device; `auto` takes all."""
    devices = trainer.get("devices", 1)
    count = len(devices) if isinstance(devices, list) else devices
    return str(count) != "1" or str(trainer.get("num_nodes", 1)) != "1"
