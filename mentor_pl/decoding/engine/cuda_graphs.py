"""CUDA graphs of forwards: recorded once per shape, then replayed without a word from Python.

Shapes are bucketed, so that a few dozen graphs serve responses of any length. Graphs live as long as one call of a
sampler: sharded parameters are gathered to new addresses every time, and the cache is given back after it. Models
whose forward cannot be recorded, because it waits for the host, are decoded without, and a warning says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch

from mentor_pl.runtime.collectives import rank

ROW_BUCKET = 8


def bucket(number: int, min_size: int = 64) -> int:
    """The next size at or above `number` of min_size × 1, 5/4, 6/4, 7/4, 2, 10/4, …: at most a quarter too large."""
    if number <= min_size:
        return min_size
    quarter = 1 << ((number - 1).bit_length() - 3)
    return -(-number // quarter) * quarter


class Recorded:
    """Calls `step(*shape)`; what it does is recorded at a shape's second call.

    The first call of a shape runs as it is, which is the warm-up that recording needs.

    Args:
        step: works on tensors of fixed addresses alone and never waits for the host.

    Attributes:
        replays: calls so far that were replayed.
    """

    def __init__(self, step: Callable[..., None]) -> None:
        self.step = step
        self.recordable, self.replays = True, 0
        self.seen: set[tuple[int, ...]] = set()
        self.graphs: dict[tuple[int, ...], torch.cuda.CUDAGraph] = {}

    def __call__(self, *shape: int) -> None:
        if shape in self.seen and shape not in self.graphs and self.recordable:
            self._record(shape)
        if shape in self.graphs:
            self.graphs[shape].replay()
            self.replays += 1
        else:
            self.seen.add(shape)
            self.step(*shape)

    def _record(self, shape: tuple[int, ...]) -> None:
        """Record the step of `shape`; nothing is executed while recording."""
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self.graphs.values())).pool() if self.graphs else None
        try:
            with torch.cuda.graph(graph, pool=pool):
                self.step(*shape)
        except RuntimeError as problem:
            self.recordable = False
            warnings.warn(
                f"rank {rank()} decodes without CUDA graphs, two to three times more slowly, since a step could not be "
                f"recorded: {problem}; if the model's forward waits for the host, say so by the sampler's "
                "cuda_graphs: false",
                stacklevel=2,
            )
        else:
            self.graphs[shape] = graph


class Replayed(Recorded):
    """The one-token step, `step(rows, width)`, in bucketed shapes.

    Args:
        slots: R, the greatest number of rows.
        length: greatest width.
    """

    def __init__(self, step: Callable[[int, int], None], slots: int, length: int) -> None:
        super().__init__(step)
        self.slots, self.length = slots, length

    def __call__(self, *shape: int) -> None:
        rows, width = shape
        super().__call__(min(bucket(rows, ROW_BUCKET), self.slots), min(bucket(width), self.length))
