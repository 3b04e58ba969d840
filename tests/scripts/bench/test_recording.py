"""The benchmark of records: what they take of a step, by a clock that is told the time."""

import pytest
import recording
from recording import Clock, Own


def test_a_steps_ratio_is_all_of_it_over_what_is_not_of_records(monkeypatch):
    now = 0.0
    monkeypatch.setattr(recording.time, "process_time", lambda: now)

    class Record:
        def write(self, seconds):
            nonlocal now
            now += seconds
            return seconds

    Own.watch(Record, "write")
    clock, record = Clock(), Record()
    clock.on_train_start(None, None)
    now += 0.9
    assert record.write(0.1) == 0.1
    clock.on_train_batch_end(None, None, None, None, 0)
    now += 2
    clock.on_train_batch_end(None, None, None, None, 1)
    assert Clock.ratios == pytest.approx([1 / 0.9, 1])
