"""What `mentor validate` and `mentor test` go through: a batch is a benchmark to be measured, one for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import lightning.pytorch as L
import torch

from mentor_pl.evaluation.benchmark import Benchmark


class BenchmarkLoader:
    """A sized iterable of benchmarks, the same on every rank: it is their problems that ranks share."""

    def __init__(self, benchmarks: Sequence[Benchmark]) -> None:
        self.benchmarks = benchmarks

    def __len__(self) -> int:
        return len(self.benchmarks)

    def __iter__(self) -> Iterator[Benchmark]:
        return iter(self.benchmarks)


class BenchmarkDataModule(L.LightningDataModule):
    """Benchmarks as data: `trainer.validate(module, BenchmarkDataModule(callback.benchmarks))`.

    Args:
        benchmarks: those of the Trainer's `callbacks.BenchmarkValidation`, which measures them.
    """

    def __init__(self, benchmarks: Sequence[Benchmark]) -> None:
        super().__init__()
        self.benchmarks = benchmarks

    def val_dataloader(self) -> BenchmarkLoader:
        return BenchmarkLoader(self.benchmarks)

    def test_dataloader(self) -> BenchmarkLoader:
        return BenchmarkLoader(self.benchmarks)

    def transfer_batch_to_device(self, batch: Benchmark, device: torch.device, dataloader_idx: int) -> Benchmark:
        return batch
