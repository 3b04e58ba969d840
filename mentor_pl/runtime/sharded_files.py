"""Checkpoints that are a folder with files of each rank: sealed, checked, and read as one state.

The seal is the SHA-256 of every file, written last. torch keeps the table of contents as a pickle; only names that such
a table is made of are let through, so that a folder of a stranger runs no code.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict_loader import _load_state_dict

from mentor_pl.runtime.collectives import rank

SEAL = "checksums.json"
META, _CONTENTS = "meta.pt", ".metadata"  # Lightning's file for all but tensors, torch's table of contents
_NAMES = {("torch", "Size"), ("torch", "device"), ("torch.serialization", "_get_layout"), ("pathlib", "PosixPath")}


def is_sharded(path: Path) -> bool:
    """Whether a path is a checkpoint of files of each rank."""
    return (path / META).is_file()


def sums_of_rank(folder: Path) -> dict[str, str]:
    """The SHA-256 of the files that this rank has written, which are then on the disk."""
    prefix = f"__{rank()}_"
    return {
        path.name: _sha256(path, sync=True)
        for path in sorted(folder.iterdir())
        if path.name.startswith(prefix) or (rank() == 0 and not path.name.startswith("__"))
    }


def seal(folder: Path, sums: Sequence[Mapping[str, str]]) -> None:
    """Write the seal, of what each rank has summed."""
    with (folder / SEAL).open("w", encoding="utf-8") as file:
        json.dump({name: digest for part in sums for name, digest in part.items()}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def sharded_damage(folder: Path) -> str | None:
    """What is wrong with a folder; none where it is as it was sealed."""
    try:
        sums: dict[str, str] = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{SEAL} is missing or cannot be read"
    for name, expected in sorted(sums.items()):
        path = folder / Path(name).name
        if not path.is_file():
            return f"{name} is missing"
        if _sha256(path) != expected:
            return f"the checksum of {name} is wrong"
    return None if {META, _CONTENTS} <= set(sums) else f"{SEAL} is not whole"


def check_contents(folder: Path) -> None:
    """Refuse a table of contents that would run code.

    Raises:
        pickle.UnpicklingError: for one that names anything else than such a table is made of.
    """
    with (folder / _CONTENTS).open("rb") as file:
        _Contents(file).load()


def whole_state(folder: Path) -> dict[str, Any]:
    """The checkpoint as one file would hold it, for a Trainer that does not shard."""
    check_contents(folder)
    state: dict[str, Any] = {}
    planner = _EmptyStateDictLoadPlanner()
    _load_state_dict(state, storage_reader=FileSystemReader(folder), planner=planner, no_dist=True)
    checkpoint: dict[str, Any] = torch.load(folder / META, map_location="cpu", weights_only=True)
    optimizers = sorted(name for name in state if name.startswith("optimizer_"))
    return checkpoint | {
        "state_dict": state["state_dict"],
        "optimizer_states": [_by_number(state[name]) for name in optimizers],
    }


def meta(folder: Path) -> dict[str, Any]:
    """All but tensors of weights and optimizers."""
    loaded: dict[str, Any] = torch.load(folder / META, map_location="cpu", weights_only=True)
    return loaded


def _by_number(state: dict[str, Any]) -> dict[str, Any]:
    """An optimizer's state by the parameters' numbers, in place of their names."""
    numbers = count()
    groups = [
        group | {"params": [(name, next(numbers)) for name in group["params"]]} for group in state["param_groups"]
    ]
    number = {name: i for group in groups for name, i in group["params"]}
    return {
        "state": {number[name]: moments for name, moments in state["state"].items()},
        "param_groups": [group | {"params": [i for _, i in group["params"]]} for group in groups],
    }


def _sha256(path: Path, *, sync: bool = False) -> str:
    with path.open("rb") as file:
        if sync:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _member(kind: Any, name: str) -> Any:
    """What `getattr` is in a pickle of an Enum's member, as some Pythons write them (3.11.2); nothing else of it."""
    if isinstance(kind, type) and issubclass(kind, Enum) and name in kind.__members__:
        return kind[name]
    raise pickle.UnpicklingError(f"{name} of {kind!r:.60} has no place in the table of contents of a checkpoint")


class _Contents(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _NAMES:
            return super().find_class(module, name)
        if (module, name) == ("builtins", "getattr"):
            return _member
        if module == "torch" and isinstance(found := getattr(torch, name, None), torch.dtype):
            return found
        if module in ("torch.distributed.checkpoint.metadata", "torch.distributed.checkpoint.filesystem"):
            found = super().find_class(module, name)
            if is_dataclass(found) or (isinstance(found, type) and issubclass(found, Enum)):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in the table of contents of a checkpoint")
