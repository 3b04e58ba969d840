"""What the lines of `gpu.py` share: sizes, models of random weights made on the card, clocks, the kernels turned off.

Shapes: A rows, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, TypeVar

import torch
from mixture import Shape, build_pair
from report import Figure
from rollout_work import LOW, NEVER, QWEN_1_5B, QWEN_7B, Work

from mentor_pl.decoding.coin import Coin
from mentor_pl.models.loading import Models, Vocabulary

T = TypeVar("T")
SHAPES = {"1.5B": QWEN_1_5B, "7B": QWEN_7B}
TINY = Shape(64, 2, 4, 2, 128)
# sharper than on a CPU: of 150,000 ids that have nothing to do with it, a token's successors must stand out
PROFILE = replace(LOW, sharpness=27.0)
REPEATS = 5


@dataclass(frozen=True)
class Setup:
    """Where and at which sizes lines are measured; it goes to their processes.

    Attributes:
        device: `cpu` or `cuda`.
        tiny: shapes for trying the lines, not for figures.
        page_tokens: places of a page of the caches, as of the samplers.
        folder: for what lines write.
    """

    device: str
    tiny: bool
    page_tokens: int | None
    folder: str

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    @property
    def dtype(self) -> torch.dtype:
        """Of the models that sample."""
        return torch.bfloat16 if self.on_gpu else torch.float32

    @property
    def vocabulary(self) -> int:
        """Ids that models embed."""
        return self.of(151936, 512)

    @property
    def page(self) -> int:
        """Places of a page; 0 where a row is one."""
        return self.sampler(Coin).page_tokens_on(self.device)

    def of(self, full: T, tiny: T) -> T:
        """A size."""
        return tiny if self.tiny else full

    def shape(self, name: str) -> Shape:
        """Of Qwen2.5 at 1.5B or 7B."""
        return self.of(SHAPES[name], TINY)

    def sampler(self, kind: Callable[..., T], **options: Any) -> T:
        """A sampler with these pages."""
        return kind(page_tokens=self.page_tokens, **options)

    def models(
        self, policy: Shape, window: int, dtype: torch.dtype | None = None, expert: Shape | None = None
    ) -> Models:
        """Random weights, made on the device."""
        size = self.vocabulary
        built = build_pair(policy, expert, PROFILE, size, window, 0, self.device, dtype or self.dtype)
        expert_model = built[1] if expert is not None else None
        return Models(built[0], expert_model, None, Vocabulary(size, (NEVER,), window))  # type: ignore[arg-type]

    def work(self, models: Models, rows: int, prompt_tokens: int, length: int, group: int = 1) -> Work:
        """Random prompts, of which `group` rows each have one."""
        generator = torch.Generator().manual_seed(1)
        texts = torch.randint(self.vocabulary // 2, (rows // group, prompt_tokens), generator=generator).tolist()
        return Work(models, [text for text in texts for _ in range(group)], length)

    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""
        if self.on_gpu:
            torch.cuda.synchronize()


def bandwidth(setup: Setup) -> float:
    """Bytes per second that a copy reads and writes, median of 20."""
    source = torch.empty(setup.of(2**31, 2**22), dtype=torch.uint8, device=setup.device)
    target = torch.empty_like(source)
    seconds = [_clocked(setup, lambda: target.copy_(source)) for _ in range(22)]
    return 2 * source.numel() / median(seconds[2:])


def seconds_of(setup: Setup, run: Callable[[], Any], calls: int = 10) -> float:
    """Of a call: the median of 5 times `calls` of them. On a GPU of what is recorded: the host's part is not in it."""
    run()
    repeated: Callable[[], Any] = run
    if setup.on_gpu:
        run()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        repeated = graph.replay

    def several() -> None:
        for _ in range(calls):
            repeated()

    return median(_clocked(setup, several) for _ in range(REPEATS)) / calls


def _clocked(setup: Setup, run: Callable[[], Any]) -> float:
    setup.synchronize()
    started = time.perf_counter()
    run()
    setup.synchronize()
    return time.perf_counter() - started


@contextmanager
def plainly(module: Any) -> Iterator[None]:
    """A module of the engine that asks whether a kernel is `usable` is told that it is not."""
    usable = module.usable
    module.usable = lambda *_: False
    try:
        yield
    finally:
        module.usable = usable


def unmeasured(name: str, reason: str) -> Figure:
    """In the place of what cannot be measured here."""
    return Figure(name, None, detail=reason)
