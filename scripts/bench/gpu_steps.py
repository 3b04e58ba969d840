"""Lines of `gpu.py`: a one-token step beside the card's bandwidth, and recorded where the policy is sharded.

roofline = (bytes of the weights but the input embedding + rows · bytes of a place · places) / copy bandwidth
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from types import MethodType
from typing import Any

import torch
import torch.distributed as dist
from gpu_setup import Setup, bandwidth
from process import in_one_line
from report import Figure
from rollout_work import Work
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.cache_size import place_bytes
from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.models.logprobs import token_logprobs
from mentor_pl.runtime.parallel import shard

ROWS = (8, 64, 256)
STEP = Figure("step ÷ roofline, 1.5B, 64 rows", None, "", 1.5, "at most")
COMPILED = Figure("step through torch.compile ÷ roofline, 1.5B, 64 rows", None, "", 1.5, "at most")


@dataclass(frozen=True)
class StepTime:
    """Of a call of the sampler: median seconds of a one-token step, syncs in all, what was counted."""

    seconds: float
    syncs: int
    stats: DecodeStats

    @property
    def recorded(self) -> float:
        """Share of the steps that replayed a CUDA graph."""
        return self.stats.graphed / self.stats.policy_forwards


def step_time(setup: Setup, task: Work, **options: Any) -> StepTime:
    """From the end of one wait for the rows to the end of the next, the host's work included, by the steps between.

    Most of them replay a step that is recorded, so that the median tells nothing of the recording.

    Args:
        options: of the sampler.
    """
    with _sync_times() as times:
        stats = task.sample(setup.sampler(Coin, **options)).stats
    each = stats.policy_forwards / len(times)
    return StepTime(median(after - before for before, after in pairwise(times)) / each, len(times), stats)


@contextmanager
def _sync_times() -> Iterator[list[float]]:
    """The clock whenever the host has waited for the rows."""
    times: list[float] = []
    sync = Drafts.sync

    def noted(drafts: Drafts, table: Any) -> None:
        sync(drafts, table)
        times.append(time.perf_counter())

    Drafts.sync = noted  # type: ignore[method-assign]
    try:
        yield times
    finally:
        Drafts.sync = sync  # type: ignore[method-assign]


def bytes_read(policy: Any, rows: int, places: float) -> float:
    """By a step over rows that have so many places each."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in policy.parameters())
    embedding = policy.get_input_embeddings().weight  # of which a step reads a line for each row
    weights -= embedding.numel() * embedding.element_size()
    return weights + rows * places * place_bytes(policy, embedding.device)


def small_steps(setup: Setup) -> Iterator[Figure]:
    """Of a 1.5B."""
    yield from _steps(setup, "1.5B")


def large_steps(setup: Setup) -> Iterator[Figure]:
    """Of a 7B."""
    yield from _steps(setup, "7B")


def _steps(setup: Setup, name: str) -> Iterator[Figure]:
    speed, context, steps = bandwidth(setup), setup.of(512, 9), setup.of(200, 12)
    models = setup.models(setup.shape(name), context + steps)
    for rows in ROWS:
        taken = step_time(setup, setup.work(models, rows, context, steps))
        floor = bytes_read(models.policy, rows, context + steps / 2) / speed
        detail = f"{1e3 * taken.seconds:.2f} ms against {1e3 * floor:.2f}, median of {taken.syncs - 1}; "
        detail += f"about {context + steps // 2} tokens a row; {taken.recorded:.0%} recorded"
        figure = Figure(f"step ÷ roofline, {name}, {rows} rows", None)
        yield replace(STEP if figure.name == STEP.name else figure, value=taken.seconds / floor, detail=detail)


def compiled_steps(setup: Setup) -> Iterator[Figure]:
    """Of a 1.5B, beside those that are not compiled."""
    context, steps, rows = setup.of(512, 9), setup.of(200, 12), setup.of(64, 4)
    models = setup.models(setup.shape("1.5B"), context + steps)
    task = setup.work(models, rows, context, steps)
    plain = step_time(setup, task)
    started = time.perf_counter()
    step_time(setup, task, torch_compile=True)
    first = time.perf_counter() - started
    taken = step_time(setup, task, torch_compile=True)
    floor = bytes_read(models.policy, rows, context + steps / 2) / bandwidth(setup)
    detail = f"{1e3 * taken.seconds:.2f} ms; {taken.recorded:.0%} recorded; the first call took {first:.0f} s"
    yield replace(COMPILED, value=taken.seconds / floor, detail=detail)
    yield Figure("plain ÷ compiled, time of a step, 1.5B, 64 rows", plain.seconds / taken.seconds)


def capture(setup: Setup) -> Iterator[Figure]:
    """Decoding inside `gathered()`: a 1.5B in float32, sharded by FSDP2 over this one rank, gathered in bfloat16."""
    window = setup.of(512 + 128, 24)
    models = setup.models(setup.shape("1.5B"), window, torch.float32)
    models.policy.token_logprobs = MethodType(token_logprobs, models.policy)
    task = setup.work(models, setup.of(64, 4), setup.of(512, 8), setup.of(128, 16))
    with _one_rank(setup) as mesh:
        shard(models.policy, mesh, torch.bfloat16 if setup.on_gpu else None)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            recorded = task.sample(setup.sampler(Coin))
        stats = recorded.stats
        reasons = [in_one_line(warning.message) for warning in said if "CUDA graphs" in str(warning.message)]
        detail = "; ".join(reasons) or f"{stats.graphed} of {stats.policy_forwards} steps"
        share = stats.graphed / stats.policy_forwards if setup.on_gpu else None
        reached = 0.5 if setup.on_gpu else None
        detail = detail if setup.on_gpu else "needs a GPU"
        yield Figure("steps recorded inside gathered(), share", share, "", reached, detail=detail)
        plain = task.sample(setup.sampler(Coin, cuda_graphs=False))
        same = (recorded.ids == plain.ids).float().mean()
        yield Figure("equal tokens inside gathered(), recorded and not", float(same))


@contextmanager
def _one_rank(setup: Setup) -> Iterator[DeviceMesh]:
    """A process group of this process alone."""
    if setup.on_gpu:
        torch.cuda.set_device(0)
    store = dist.TCPStore("127.0.0.1", 0, 1, is_master=True)
    dist.init_process_group("nccl" if setup.on_gpu else "gloo", store=store, rank=0, world_size=1)
    try:
        yield init_device_mesh(setup.device, (1,))
    finally:
        dist.destroy_process_group()
