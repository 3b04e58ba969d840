"""Buckets of shapes, and when a step is run, recorded and replayed; CUDA itself is stood in for."""

from contextlib import contextmanager

import pytest
import torch

from mentor_pl.decoding.engine.cuda_graphs import Replayed, bucket


@pytest.mark.parametrize("min_size", [8, 64])
def test_a_bucket_holds_its_number_and_is_at_most_a_quarter_too_large(min_size):
    sizes = [bucket(number, min_size) for number in range(1, 3000)]
    for number, size in enumerate(sizes, start=1):
        assert size >= number
        assert size <= max(min_size, 1.25 * number)
        assert bucket(size, min_size) == size
    assert sizes == sorted(sizes)


def test_buckets_by_hand():
    assert sorted({bucket(number, 8) for number in range(1, 41)}) == [8, 10, 12, 14, 16, 20, 24, 28, 32, 40]
    assert [bucket(number) for number in (1, 64, 65, 80, 81, 8192, 8193)] == [64, 64, 80, 80, 96, 8192, 10240]


class Device:
    """A GPU's queue: what ran, in order; while a graph records, nothing runs."""

    def __init__(self):
        self.ran, self.recording, self.pools = [], None, []

    def step(self, rows, width):
        (self.ran if self.recording is None else self.recording).append((rows, width))


@pytest.fixture
def device(monkeypatch):
    device = Device()

    class Graph:
        def __init__(self):
            self.content = []

        def replay(self):
            device.ran += [("replayed", *shape) for shape in self.content]

        def pool(self):
            return "the first graph's pool"

    @contextmanager
    def record(graph, pool=None):
        device.pools.append(pool)
        device.recording = graph.content
        yield
        device.recording = None

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    return device


def test_a_shape_runs_as_it_is_once_is_recorded_at_its_second_call_and_only_replayed_from_then_on(device):
    step = Replayed(device.step, slots=100, length=1000)
    for _ in range(3):
        step(8, 64)
    assert device.ran == [(8, 64), ("replayed", 8, 64), ("replayed", 8, 64)]
    assert device.pools == [None]  # recorded once
    assert step.replays == 2


def test_every_call_runs_exactly_once_in_its_bucket(device):
    step = Replayed(device.step, slots=100, length=1000)
    calls = [(3, 60), (8, 64), (9, 64), (1, 65), (10, 10), (7, 80)]
    for call in calls:
        step(*call)
    assert [shape[-2:] for shape in device.ran] == [(8, 64), (8, 64), (10, 64), (8, 80), (10, 64), (8, 80)]
    assert [len(shape) == 3 for shape in device.ran] == [False, True, False, False, True, True]


def test_buckets_end_at_the_slots_and_places_there_are(device):
    step = Replayed(device.step, slots=9, length=70)
    for call in [(9, 65), (9, 70), (2, 66)]:
        step(*call)
    assert device.ran == [(9, 70), ("replayed", 9, 70), (8, 70)]
    small = Replayed(device.step, slots=3, length=20)
    small(2, 5)
    assert device.ran[-1] == (3, 20)


def test_graphs_share_the_memory_pool_of_the_first_one(device):
    step = Replayed(device.step, slots=100, length=1000)
    for call in [(8, 64), (8, 64), (8, 80), (8, 80), (16, 64), (16, 64)]:
        step(*call)
    assert device.pools == [None, "the first graph's pool", "the first graph's pool"]


def test_a_step_that_cannot_be_recorded_is_run_as_it_is_with_one_warning(device, monkeypatch):
    @contextmanager
    def refuse(graph, pool=None):
        device.recording = []
        yield
        device.recording = None
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    step = Replayed(device.step, slots=100, length=1000)
    with pytest.warns(UserWarning, match="without CUDA graphs.*not permitted") as warned:
        for _ in range(4):
            step(8, 64)
    assert device.ran == [(8, 64)] * 4
    assert len(warned) == 1
    assert step.replays == 0
