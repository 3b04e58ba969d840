"""A step's metrics reach every logger at that step and at no other."""

import csv
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from boards import events, wandb_scalars
from lightning.pytorch.loggers import WandbLogger

from mentor_pl.runtime.logging import log_once
from mentor_pl.runtime.metrics_writer import keep_rows


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


LOGGED = (  # in parts, with steps left out and names of all kinds
    (0, {"val/AIME 2024/avg@8": 0.5, "val/maze/words/let's see": 0.25}),
    (1, {"train/α": 1.0, "train/gamma": math.inf, "cost/flops": 67018241.0, "not a number": math.nan}),
    (1, {"train/mixed/guided": 0.1, "a.b/c-d": -1e-30}),
    (3, {"train/α": 0.5, "train/gamma": 1.1, "cost/flops": 3e18, "a tensor": torch.tensor(2.5), "a count": 7}),
    (4, {"val/AIME 2024/avg@8": 0.75}),
)


def test_every_logger_has_the_same_names_steps_and_values(boards, tmp_path):
    loggers = boards()
    keep_rows(loggers[0], None)
    expected = {}
    for step, metrics in LOGGED:
        log_once(SimpleNamespace(log_every_n_steps=1, loggers=loggers, callbacks=[]), metrics, step)
        for name, value in metrics.items():
            expected.setdefault(name, {})[step] = float(value)
    next(one for one in loggers if isinstance(one, WandbLogger)).experiment.finish()

    with (tmp_path / "csv/run/version_0/metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    read = {name: {int(row["step"]): float(row[name]) for row in rows if row[name]} for name in rows[0]}
    del read["step"]
    np.testing.assert_equal(read, expected)
    np.testing.assert_equal(wandb_scalars(tmp_path / "wandb"), expected)
    board = events(tmp_path / "tensorboard")
    shown = {name: {one.step: one.value for one in board.Scalars(name)} for name in board.Tags()["scalars"]}
    single = {name: {step: float(np.float32(value)) for step, value in of.items()} for name, of in expected.items()}
    np.testing.assert_equal(shown, single)
