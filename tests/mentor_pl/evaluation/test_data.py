"""Benchmarks as Lightning's data: each is one batch, as it is, on every rank."""

import pytest
import torch

from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.data import BenchmarkDataModule


@pytest.mark.parametrize("stage", ["val", "test"])
def test_every_benchmark_is_one_batch_in_its_order(stage):
    benchmarks = [Benchmark("one"), Benchmark("two")]
    data = BenchmarkDataModule(benchmarks)
    loader = getattr(data, f"{stage}_dataloader")()
    assert len(loader) == 2
    for _ in range(2):  # validated twice
        assert [data.transfer_batch_to_device(batch, torch.device("cpu"), 0).name for batch in loader] == ["one", "two"]
