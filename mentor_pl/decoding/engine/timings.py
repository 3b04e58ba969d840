"""How long forwards take on this machine: measured once per pair of models, then remembered.

Timings choose how far drafts look ahead, and with it which rows share a forward, so the last bits of every
number depend on them. They are therefore kept in a file (`$MENTOR_CACHE`, or the user's cache folder) and not measured
anew by every run: two runs on one machine draft alike, and are equal to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import torch
from lightning.pytorch.utilities import rank_zero_info

from mentor_pl.decoding.engine.cuda_graphs import Replayed
from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.pages import PageTable

ROUNDS = 7
MANY = 9  # tokens per row of a long forward, beside a short one of 1
WIDTH = 64  # places of the cache that are read while measuring, or two pages


@dataclass(frozen=True)
class ForwardTimings:
    """Seconds.

    Attributes:
        policy_step: a one-token forward of the policy over all rows.
        expert_call: the part of a packed forward of the expert that does not grow with its tokens.
        expert_token: the part that does, per token.
    """

    policy_step: float
    expert_call: float
    expert_token: float


class Execution(NamedTuple):
    """How the engine runs forwards, and so how they are measured.

    Attributes:
        page_tokens: places of a page; 0 where a page is a row.
        cuda_graphs: whether the policy's steps are recorded and replayed.
        torch_compile: whether they are compiled.
    """

    page_tokens: int = 0
    cuda_graphs: bool = False
    torch_compile: bool = False


PLAIN = Execution()


def remembered_timings(
    policy: Any, expert: Any, rows: int, device: torch.device, execution: Execution = PLAIN
) -> ForwardTimings:
    """Timings of this pair of models at so many rows; measured where this machine has not measured them before."""
    file = _cache_folder() / f"timings-{_fingerprint(policy, expert, rows, device, execution)}.json"
    found = _read_timings(file)
    if found is not None:
        return found
    with suppress(OSError):
        file.unlink(missing_ok=True)  # it is not there, or it is spoilt
    rank_zero_info(f"measuring how long policy and expert take at {rows} rows, once for these models on this machine")
    measured = measure_timings(policy, expert, rows, device, execution)
    with suppress(OSError):  # a machine without a writable cache folder measures in every run
        _keep(file, measured)
    return _read_timings(file) or measured


def _keep(file: Path, timings: ForwardTimings) -> None:
    """Write the file unless another process has: of those that measure at once, the first one's word holds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as draft:
        json.dump(asdict(timings), draft)
    try:
        with suppress(FileExistsError):
            os.link(draft.name, file)
    finally:
        os.unlink(draft.name)


def measure_timings(
    policy: Any, expert: Any, rows: int, device: torch.device, execution: Execution = PLAIN
) -> ForwardTimings:
    """The least of a few forwards over scratch caches; call inside `cached_attention`.

    What else runs on the machine only ever adds to a forward's time, so the least is what it costs; and forwards are
    timed in turn, so that a busy while is no one kind's alone.
    """
    places = max(WIDTH, 2 * execution.page_tokens)
    size = execution.page_tokens or places
    pages = PageTable(rows, places, size, rows * -(-places // size), device)
    for slot in range(rows):
        pages.reserve(slot, places)
    pages.upload()
    runner = ModelRunner(policy, pages, execution.torch_compile)
    tokens = torch.zeros(rows, dtype=torch.int64, device=device)

    def one_token(some: int, width: int) -> None:
        runner.step(tokens[:some], tokens[:some] + places - 1, width)

    run = Replayed(one_token, rows, places) if execution.cuda_graphs else one_token
    run(rows, places)  # a graph is recorded, or a forward compiled, at its second call
    expert_runner = ModelRunner(expert, pages)
    forwards = [lambda: run(rows, places), *(_packed(expert_runner, rows, count) for count in (1, MANY))]
    step, few, many = _seconds(forwards, device)
    slope = max(0.0, (many - few) / ((MANY - 1) * rows))
    return ForwardTimings(step, max(few - slope * rows, 0.1 * few), slope)


def _packed(runner: ModelRunner, rows: int, count: int) -> Callable[[], object]:
    """A forward of so many tokens for each row."""
    counts = torch.full((rows,), count)
    tokens = torch.zeros(rows * count, dtype=torch.int64, device=runner.device)
    starts = torch.full((rows,), runner.pages.length - 16)
    return lambda: runner.forward(tokens, torch.arange(rows), starts, counts, counts.cumsum(0) - 1)


def _seconds(forwards: Sequence[Callable[[], object]], device: torch.device) -> list[float]:
    """What each of some forwards takes."""

    def once(run: Callable[[], object]) -> float:
        started = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    rounds = [[once(run) for run in forwards] for _ in range(1 + ROUNDS)]
    return [min(some) for some in zip(*rounds[1:], strict=True)]  # a first forward sets itself up


def _fingerprint(policy: Any, expert: Any, rows: int, device: torch.device, execution: Execution) -> str:
    """What timings depend on."""
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu × {torch.get_num_threads()}"
    shapes = [[str(tuple(p.shape)) + str(p.dtype) for p in model.parameters()] for model in (policy, expert)]
    on_host = json.dumps([machine, torch.__version__, rows, torch.is_autocast_enabled(device.type), shapes, execution])
    return hashlib.sha256(on_host.encode()).hexdigest()[:16]


def _cache_folder() -> Path:
    base = os.environ.get("MENTOR_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mentor_pl"


def _read_timings(file: Path) -> ForwardTimings | None:
    try:
        timings = ForwardTimings(
            **{name: float(value) for name, value in json.loads(file.read_text(encoding="utf-8")).items()}
        )
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):  # not there, or spoilt
        return None
    usable = timings.policy_step > 0 and timings.expert_call > 0 and timings.expert_token >= 0
    return timings if usable and all(map(math.isfinite, asdict(timings).values())) else None
