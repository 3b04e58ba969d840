"""A step's metrics reach every logger at that step and at no other."""

from types import SimpleNamespace

import pytest

from mentor_pl.runtime.logging import log_once


class Logger:
    def __init__(self):
        self.logged, self.saves = [], 0

    def log_metrics(self, metrics, step):
        self.logged.append((step, metrics))

    def save(self):
        self.saves += 1


def logged(metrics, step, every):
    """What two loggers were given, which must be the same, and how often they saved it."""
    loggers = [Logger(), Logger()]
    log_once(SimpleNamespace(log_every_n_steps=every, loggers=loggers, callbacks=[]), metrics, step)
    assert loggers[0].__dict__ == loggers[1].__dict__
    return loggers[0].logged, loggers[0].saves


METRICS = {"train/loss": 1.0, "val/maze/avg@8": 0.5}


@pytest.mark.parametrize(("step", "every"), [(0, 10), (10, 10), (7, 1)])
def test_a_step_that_is_due_logs_everything_and_saves(step, every):
    assert logged(METRICS, step, every) == ([(step, METRICS)], 1)


def test_between_two_due_steps_benchmarks_alone_are_logged():
    assert logged(METRICS, 7, 10) == ([(7, {"val/maze/avg@8": 0.5})], 1)


@pytest.mark.parametrize(("metrics", "step"), [({"train/loss": 1.0}, 7), ({}, 10)])
def test_nothing_to_log_touches_no_logger(metrics, step):
    assert logged(metrics, step, 10) == ([], 0)
