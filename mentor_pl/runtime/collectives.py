"""Sums, sets and lists over all ranks; where nothing is distributed, of this process alone."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from mentor_pl.runtime import signals
from mentor_pl.runtime.errors import RunError, UsageError

T = TypeVar("T")


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


def all_objects(value: Any, group: Any = None) -> list[Any]:
    """An object of every rank, in order of rank; it must be picklable.

    Args:
        group: of all ranks, that they speak in; by default the one that all else is exchanged in.
    """
    found: list[Any] = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(found, value, group)
    return found


def objects_on_first(value: Any) -> list[Any]:
    """An object of every rank, in order of rank, on rank 0; nothing on the others. It must be picklable."""
    if world_size() == 1:
        return [value]
    found: list[Any] | None = [None] * world_size() if rank() == 0 else None
    dist.gather_object(value, found)
    return found or []


def exchanged(parts: Sequence[Any], device: torch.device) -> list[Any]:
    """Of an object for each rank, in order of rank, those that the ranks have for this one; they must be picklable.

    Each goes to its rank alone, where `all_objects` sends everything to all.

    Args:
        parts: as many as there are ranks, their tensors on the CPU.
        device: one that ranks exchange tensors on.
    """
    told = [torch.frombuffer(bytearray(pickle.dumps(part)), dtype=torch.uint8) for part in parts]
    sent = torch.tensor([len(part) for part in told], device=device)
    received = torch.empty_like(sent)
    dist.all_to_all_single(received, sent)
    sizes = received.tolist()
    heard = torch.empty(sum(sizes), dtype=torch.uint8, device=device)
    dist.all_to_all_single(heard, torch.cat(told).to(device), sizes, sent.tolist())
    return [pickle.loads(part.numpy().tobytes()) for part in heard.cpu().split(sizes)]


def all_values(values: Tensor) -> Tensor:
    """The values [n] of all ranks in one tensor [Σn], in order of rank; n may differ between ranks."""
    return torch.cat(values_of_ranks(values))


def values_of_ranks(values: Tensor) -> list[Tensor]:
    """The values [n] of each rank, in order of rank; n may differ between ranks."""
    if world_size() == 1:
        return [values]
    counts = torch.zeros(world_size(), dtype=torch.int64, device=values.device)
    counts[rank()] = len(values)
    dist.all_reduce(counts)
    padded = values.new_zeros(int(counts.max()))
    padded[: len(values)] = values
    parts = [torch.empty_like(padded) for _ in range(world_size())]
    dist.all_gather(parts, padded)
    return [part[:count] for part, count in zip(parts, counts.tolist(), strict=True)]


class _RollCall(NamedTuple):
    group: Any  # of all ranks, on the host
    patience: timedelta


_roll_call: _RollCall | None = None


def call_the_roll(patience: timedelta) -> None:
    """Have `together` say who did not come within `patience`; call on every rank once its processes are connected."""
    global _roll_call
    _roll_call = _RollCall(dist.new_group(backend="gloo", timeout=patience), patience) if world_size() > 1 else None


def _all_come() -> None:
    """Wait for all ranks, where the roll is called.

    Raises:
        RunError: with the ranks that did not come; on those that did, rank 0 knows which.
    """
    if _roll_call is None or world_size() == 1:
        return
    try:
        dist.monitored_barrier(_roll_call.group, _roll_call.patience, wait_all_ranks=True)
    except RuntimeError as error:
        late = re.search(r"Ranks ([\d, ]+) failed to pass", str(error))
        who = f"rank {late[1].strip()}" if late else "a rank, which the log of rank 0 names,"
        minutes = _roll_call.patience.total_seconds() / 60
        raise RunError(
            f"{who} did not come within {minutes:g} minutes, for which rank {rank()} has waited: its log says what it "
            "did last; where it only was slow, raise trainer.strategy.init_args.timeout_minutes"
        ) from error


def together(work: Callable[[], T], device: torch.device | str = "cpu") -> T:
    """What `work` gives, on all ranks, or its end on all of them; call on every rank.

    Raises:
        Stopped: where `work` of any rank was given up, or any rank was asked to stop meanwhile.
        UsageError, RunError: where that of any rank failed so, with its message; and where one does not come.
    """
    result: Any = None
    problem: signals.Stopped | UsageError | RunError | None = None
    try:
        result = work()
        signals.check()
    except (signals.Stopped, UsageError, RunError) as error:
        problem = error
    _all_come()
    if int(all_max(torch.tensor(int(problem is not None), device=device))):
        ours = None if problem is None else (type(problem), *problem.args)
        kind, *args = next(found for found in all_objects(ours) if found is not None)
        raise problem or kind(*args)
    return cast(T, result)
