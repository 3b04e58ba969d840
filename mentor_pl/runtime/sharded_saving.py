"""Checkpoints in files of each rank, written by a thread while the run goes on.

    copied    to the host's memory, before the caller goes on: what is saved is what the last step left
    written   by each rank, to a folder beside its place
    sealed    with the sums of all ranks' files
    placed    by rank 0, which renames the folder: before that there is no checkpoint, whatever ends the run

torch's own `async_save` knows of the first two alone, and its thread would speak with those of other ranks in the group
that the run itself uses. Here all four are done in order, over a group of their own, for one checkpoint at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.state_dict_saver import save
from torch.utils._pytree import tree_map_only

from mentor_pl.runtime.checkpoint_files import make_room, place, storage_errors
from mentor_pl.runtime.collectives import all_objects, rank
from mentor_pl.runtime.errors import StorageError
from mentor_pl.runtime.sharded_files import META, seal, sums_of_rank
from mentor_pl.runtime.whole_files import unfinished_of

T = TypeVar("T")


class ShardedSaving:
    """Writes checkpoints behind the run, one at a time; call every method on every rank.

    Args:
        patience: how long ranks wait for one another.
    """

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience
        self._group: Any = None  # of all ranks, on the host
        self._thread: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def begin(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Copy a checkpoint and go on, once the one before is in place; the rest is done behind.

        Raises:
            StorageError: on every rank, where the one before could not be written.
        """
        self.end()
        if self._thread is None:
            self._group = dist.new_group(backend="gloo", timeout=self._patience)
            self._thread = ThreadPoolExecutor(1, "checkpoint")
        optimizers = enumerate(checkpoint.pop("optimizer_states", ()))
        tensors = {"state_dict": checkpoint.pop("state_dict"), **{f"optimizer_{i}": state for i, state in optimizers}}
        copied = tree_map_only(Tensor, lambda tensor: tensor.detach().to("cpu", copy=True), tensors)
        rest = BytesIO()
        torch.save(checkpoint, rest)
        self._last = self._thread.submit(_write, copied, rest.getvalue(), path, self._group)

    def end(self) -> None:
        """Wait until what was begun is in place.

        Raises:
            StorageError: on every rank, where it could not be written.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()


def _write(tensors: dict[str, Any], rest: bytes, path: Path, group: Any) -> None:
    unfinished = unfinished_of(path)

    def of_first(work: Callable[[], None]) -> None:
        agreed(path, lambda: work() if rank() == 0 else None, group)

    of_first(lambda: make_room(unfinished))
    agreed(path, lambda: save(tensors, checkpoint_id=unfinished, process_group=group), group)
    of_first(lambda: cast(None, (unfinished / META).write_bytes(rest)))
    every = all_objects(agreed(path, lambda: sums_of_rank(unfinished), group), group)
    of_first(lambda: seal(unfinished, every))
    of_first(lambda: place(unfinished, path))


def agreed(path: Path, work: Callable[[], T], group: Any = None) -> T:
    """What `work` gives; an error of storage where that of any rank fails, so that no rank waits for one that left.

    Args:
        path: of the checkpoint, for the message.
        work: of this rank.
        group: that ranks speak in; by default the run's.

    Raises:
        StorageError: then, on every rank.
    """
    result: Any = None
    failure = None
    try:
        with storage_errors(path):
            result = work()
    except StorageError as error:
        failure = str(error)
    for found in all_objects(failure, group):
        if found is not None:
            raise StorageError(found)
    return cast(T, result)
