"""A step's metrics reach every logger at that step and at no other."""

from types import SimpleNamespace

import pytest
from lightning.pytorch.loggers import CSVLogger

from mentor_pl.runtime.logging import forgive, log_once


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


@pytest.mark.filterwarnings("ignore:logger")
def test_an_experiment_that_cannot_be_begun_is_asked_for_once_and_named_once(tmp_path, recwarn):
    class Away(CSVLogger):
        asked = 0

        @property
        def experiment(self):
            Away.asked += 1
            raise ConnectionError("no network")

    logger = Away(tmp_path)
    for _ in range(2):
        forgive([logger])
        logger.log_metrics({"a": 1.0}, step=1)
        logger.save()
    assert Away.asked == 1 and isinstance(logger, Away)
    said = [str(one.message) for one in recwarn if "Away" in str(one.message)]
    assert len(said) == 1 and "failed in experiment (no network)" in said[0]
