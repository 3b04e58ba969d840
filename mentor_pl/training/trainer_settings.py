"""What a Trainer may be set to. A run is one epoch of `data.steps` batches, optimised by hand and measured by a
callback, so many of Lightning's settings would do nothing here, or harm. They are refused, each with its remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import combinations
from typing import Any, NamedTuple

from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.trainer.states import TrainerFn

from mentor_pl.runtime.checkpoint_files import SafeCheckpointIO
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.failing_loggers import forgive
from mentor_pl.runtime.folders import check_folder
from mentor_pl.runtime.logging import MetricsWatcher
from mentor_pl.runtime.ranges import check


class Allowed(NamedTuple):
    """The values of a setting that work here, and what to do in place of all others."""

    values: tuple[Any, ...]
    remedy: str


_LENGTH = "a run is one epoch of data.steps batches: set data.steps"
_MEASURED = "the benchmarks of a callback are measured: set every_n_steps of callbacks.BenchmarkValidation"
_ALL_BENCHMARKS = "all benchmarks are measured: leave some out of callbacks.BenchmarkValidation, or set their limit"

# In this order: some change others behind them.
SETTINGS = {
    "fast_dev_run": Allowed((False,), "it leaves loggers and checkpoints out: for a trial set data.steps to 1"),
    "barebones": Allowed((False,), "it switches logging off: leave it out"),
    "overfit_batches": Allowed((0.0, 0), "problems are drawn anew each step: give data.train a file of few problems"),
    "max_epochs": Allowed((1,), _LENGTH),
    "max_steps": Allowed((-1,), _LENGTH),
    "min_steps": Allowed((None,), _LENGTH),
    "min_epochs": Allowed((None, 0), _LENGTH),
    "limit_train_batches": Allowed((1.0,), _LENGTH),
    "accumulate_grad_batches": Allowed((1,), "gradients are summed over micro-batches: set model.micro_batch_tokens"),
    "gradient_clip_val": Allowed((None,), "the module clips: set model.max_grad_norm"),
    "gradient_clip_algorithm": Allowed((None, "norm"), "the module clips by norm: set model.max_grad_norm"),
    "val_check_interval": Allowed((1.0,), _MEASURED),
    "check_val_every_n_epoch": Allowed((1,), _MEASURED),
    "num_sanity_val_steps": Allowed((2, 0), "at_start of callbacks.BenchmarkValidation measures before training"),
    "limit_val_batches": Allowed((1.0,), _ALL_BENCHMARKS),
    "limit_test_batches": Allowed((1.0,), _ALL_BENCHMARKS),
    "reload_dataloaders_every_n_epochs": Allowed((0,), "the one loader lasts the whole run: leave it out"),
    "use_distributed_sampler": Allowed((True,), "ranks are dealt their problems by data.seed: leave it out"),
    "precision": Allowed(
        ("bf16-mixed", "32-true"), "others lose small updates or rotary angles: take one of these two"
    ),
}
# Of the Trainer's settings above, those that are read when nothing is trained.
MEASURING = ("fast_dev_run", "barebones", "precision")


def prepare(trainer: Trainer) -> None:
    """Have loggers fail alone and checkpoints written whole, and see that this is a Trainer to train or measure under.

    Raises:
        UsageError: where it is not, for its settings, folders or callbacks.
    """
    forgive(trainer.loggers)
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = SafeCheckpointIO()
    check_settings(trainer)
    check_folders(trainer)
    check_callbacks(trainer.callbacks)  # type: ignore[attr-defined]


def check_settings(trainer: Trainer) -> None:
    """Refuse settings that do nothing here, or harm.

    Raises:
        UsageError: for the first of them.
    """
    fitting = trainer.state.fn == TrainerFn.FITTING
    for name in SETTINGS if fitting else MEASURING:
        holder = trainer if hasattr(trainer, name) else trainer._accelerator_connector
        value, allowed = getattr(holder, name, None), SETTINGS[name]
        value = value.value if isinstance(value, Enum) else value
        if repr(value) not in map(repr, allowed.values):  # 1 is one batch, 1.0 all of them
            choice = " or ".join("null" if one is None else str(one) for one in allowed.values)
            raise UsageError(f"trainer.{name} is {value} where only {choice} works: {allowed.remedy}")
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    check(
        "trainer.log_every_n_steps",
        every,
        at_least=1,
        because="it counts steps",
        otherwise="trainer.logger false logs none",
    )


def check_folders(trainer: Trainer) -> None:
    """Refuse folders of loggers and checkpoints that could not be written to.

    Raises:
        UsageError: for the first of them.
    """
    if not trainer.is_global_zero:
        return
    for logger in trainer.loggers:
        check_folder(f"trainer.logger: save_dir of {type(logger).__name__}", logger.save_dir)
    if not trainer.loggers:
        check_folder("trainer.default_root_dir", trainer.default_root_dir)
    for callback in trainer.checkpoint_callbacks:
        check_folder(f"trainer.callbacks: dirpath of {type(callback).__name__}", getattr(callback, "dirpath", None))


def check_callbacks(callbacks: Sequence[Callback]) -> None:
    """Refuse callbacks that would do one thing twice, or never.

    Raises:
        UsageError: for two of one class that are alike or keep one state, for metrics of a benchmark that is not
            measured, and for Lightning's EarlyStopping.
    """
    for first, second in combinations(callbacks, 2):
        if type(first) is type(second) and (_alike(first, second) or _one_state(first, second)):
            raise UsageError(f"trainer.callbacks has {type(first).__name__} twice, for one and the same: leave one out")
    benchmarks = [benchmark.name for callback in callbacks for benchmark in getattr(callback, "benchmarks", ())]
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None) or ""
        if monitor.startswith("val/") and monitor.split("/")[1] not in benchmarks:
            raise UsageError(
                f"{type(callback).__name__} monitor is '{monitor}', but no benchmark of that name is measured: give "
                + (" or ".join(f"val/{name}/…" for name in benchmarks) or "callbacks.BenchmarkValidation one")
            )
        if isinstance(callback, EarlyStopping) and not isinstance(callback, MetricsWatcher):
            raise UsageError(
                f"trainer.callbacks has Lightning's EarlyStopping of {callback.monitor}, which looks once an epoch, "
                "and a run is one epoch: take callbacks.EarlyStopping"
            )


def _alike(first: Callback, second: Callback) -> bool:
    return repr(vars(first)) == repr(vars(second))


def _one_state(first: Callback, second: Callback) -> bool:
    """Whether both would be saved under one key."""
    return type(first).state_dict is not Callback.state_dict and first.state_key == second.state_key
