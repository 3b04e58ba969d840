"""Runs of a few steps on the testbed, through the command line: what starts them, and what is left of them."""

import csv
from pathlib import Path

from mentor_pl.cli.main import main

ROOT = Path(__file__).parents[3]
RUN = Path("runs/quickstart/version_0")
EXTRAS = '''
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import DummyExperiment, Logger


class Server(Logger):
    """Of a server that names runs; for its folder it gives that of all runs, as W&B's."""

    name, version, save_dir = "server", None, "runs"
    ids = iter(())

    def __init__(self, version: str | None = None):
        super().__init__()
        self.version = version

    @property
    def experiment(self):
        self.version = self.version or next(self.ids)
        return DummyExperiment()

    def log_metrics(self, metrics, step=None): ...
    def log_hyperparams(self, params, *args, **kwargs): ...


class Away(CSVLogger):
    @property
    def experiment(self):
        raise ConnectionError("the server is away")


class Failing(CSVLogger):
    def log_metrics(self, metrics, step=None):
        raise ConnectionError("the server is gone")


class Rates(Callback):
    """Notes the learning rate of every update."""

    seen = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.seen.append(optimizer.param_groups[0]["lr"])
'''


def fit(steps, *options, every=2):
    """Train up to a number of steps, with a checkpoint every few; the exit status."""
    small = [
        *("--data.prompts_per_step", "2", "--data.sampling.max_new_tokens", "8", "--data.steps", str(steps)),
        *("--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu", "--model.final_lr", "1"),
        *("--trainer.callbacks.init_args.every_n_steps", str(every)),  # of the last callback, RunCheckpoints
    ]
    return main(["fit", "--config", str(ROOT / "configs/quickstart.yaml"), *small, *options])


def steps_logged(folder=RUN):
    with (folder / "metrics.csv").open(newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]


def names(folder=RUN):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def damage(path):
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def error(capfd):
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("mentor: error:")]
    return line
