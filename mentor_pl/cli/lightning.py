"""`mentor fit|validate|test`: LightningCLI over MentorModule and RolloutDataModule.

Several --config files merge, later ones win; `callbacks+:` appends; `${data.seed}` refers to another setting after
all files have merged. The merged settings are saved as config.yaml in the run folder, and that file runs again.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import jsonargparse
import lightning.pytorch as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger
from omegaconf.errors import OmegaConfBaseException

from mentor_pl.cli.changes import check_changes
from mentor_pl.cli.errors.blame import refusal_of_callback, refusal_of_settings
from mentor_pl.cli.errors.explain import check_groups, check_nulls
from mentor_pl.cli.errors.names import among
from mentor_pl.cli.errors.refusing import Refusing, explained, usage_errors
from mentor_pl.cli.errors.sources import read_sources
from mentor_pl.cli.errors.types import Setting, settings, show
from mentor_pl.cli.help import short_help
from mentor_pl.cli.quiet import quiet
from mentor_pl.cli.resume import checkpoint, resume, warn_of_nothing_left
from mentor_pl.cli.run_config import RunConfig
from mentor_pl.cli.run_folder import check_loggers
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.data import BenchmarkDataModule
from mentor_pl.runtime import signals
from mentor_pl.runtime.errors import RunError, UsageError
from mentor_pl.runtime.metrics_writer import keep_rows
from mentor_pl.runtime.parallel import check_trainer
from mentor_pl.runtime.ranges import check, check_seed
from mentor_pl.training.checkpoints import RunCheckpoints, Saved, folder_of, read, refuse_checkpoints
from mentor_pl.training.progress_lines import ProgressLines
from mentor_pl.training.trainer_settings import check_callbacks

Unused = dict[str, Any] | None

MAX_THREADS = 1024  # more than any machine has, and fewer than would exhaust one
THREADS_HELP = "of torch on the CPU, for each process; by default $OMP_NUM_THREADS, else one for each core"


class TrainerParser(Refusing, LightningArgumentParser):
    """Of the Trainer's commands."""


class MentorCLI(LightningCLI):
    """LightningCLI whose refusals are one line each."""

    def __init__(self, model: type[L.LightningModule], data: type[L.LightningDataModule], args: list[str]) -> None:
        self.command = args[0]
        self.saved: Saved | None = None  # what the checkpoint to start from says of itself
        self.accepted, self.sources = _accepted(model, data, self.command), read_sources(args[1:])
        check_groups(self.sources, self.accepted)
        jsonargparse.set_parsing_settings(
            # Interpolation after merging, so that overrides reach what refers to them.
            omegaconf_absolute_to_relative_paths=True,
            # A benchmark is settings, or the class_path of one that has its own.
            subclasses_enabled=[Benchmark],
        )
        with explained(self.sources, self.accepted):
            super().__init__(
                model,
                data if self.command == "fit" else None,
                save_config_callback=RunConfig,
                save_config_kwargs={"overwrite": True},
                seed_everything_default=0,
                # a run is one epoch of `data.steps` batches, and says how it is getting on
                trainer_defaults={"max_epochs": 1, "callbacks": [ProgressLines()] if self.command == "fit" else []},
                parser_kwargs={"parser_mode": "omegaconf+", "allow_abbrev": False, "prog": "mentor"},
                parser_class=TrainerParser,
                auto_configure_optimizers=False,  # the module takes an optimizer of its own
                # a table of ours is printed in place of Lightning's
                args=args if self.command == "fit" else [self.command, "--verbose=false", *args[1:]],
            )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Only the one that was asked for: making a parser takes its time."""
        return {self.command: LightningCLI.subcommands()[self.command]}

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Measuring needs no data; those of a run's configuration are taken, and not used."""
        parser.add_argument("--threads", type=int | None, default=None, help=THREADS_HELP)
        if self.command == "fit":
            super().add_core_arguments_to_parser(parser)
            parser.add_argument(
                "--resume",
                type=str | None,
                default=None,
                help="go on with a run in its own folder: auto (the newest of these settings; begins it where there is "
                "none), a run's folder, or its newest checkpoint",
            )
            parser.add_argument(
                "--resume_changes",
                type=str,
                nargs="*",
                default=[],
                metavar="KEY",
                help="settings that are meant to differ from the checkpoint's, such as model.optimizer",
            )
            return
        assert self.model_class is not None
        parser.add_lightning_class_args(self.trainer_class, "trainer")
        parser.add_lightning_class_args(self.model_class, "model")
        parser.add_argument("--data", type=Unused, default=None, help="as of fit; taken and not used")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Without Lightning's remark on sys.argv, which holds the same arguments."""
        try:
            self.config = parser.parse_args(args)
        except OmegaConfBaseException as error:
            parser.error(str(error), error)
        check_nulls(self.config[self.command].as_dict(), self.sources, self.accepted)
        check_seed("seed_everything", self.config[self.command].get("seed_everything"))
        check(
            "threads", self.config[self.command].threads, at_least=1, at_most=MAX_THREADS, because="it counts threads"
        )

    def before_instantiate_classes(self) -> None:
        """Find the checkpoint to start from, and compare the settings it holds."""
        config = self.config[self.command]
        if config.threads is not None:
            os.environ["OMP_NUM_THREADS"] = str(config.threads)  # for processes that are started from here
            torch.set_num_threads(config.threads)
        check_loggers(config.trainer)
        self.given = deepcopy(config)
        if self.command == "fit":
            for key in config.resume_changes:
                if key.split(".")[0] not in self.accepted:
                    raise UsageError(f"--resume_changes {key}: no such setting; {among(key, self.accepted)}")
            self.given.resume, self.given.resume_changes = None, []  # config.yaml begins a run of its own
        self.resumes = self.command == "fit" and bool(config.resume)
        if config.ckpt_path is not None and not config.ckpt_path.strip():
            raise UsageError(
                "--ckpt_path is an empty text: give a checkpoint, a run's folder, last or best, or leave it out"
            )
        if self.resumes:
            path = resume(config)
        else:
            path = checkpoint(config, config.ckpt_path) if config.ckpt_path else None
        if path is None:
            return
        config.ckpt_path = str(path)
        self.saved = read(path)
        if self.command == "fit":
            now = RunConfig(self._parser(self.command), config).settings
            check_changes(self.saved.settings, now, config.resume_changes)
            warn_of_nothing_left(self.saved.step, config.data.get("steps"))

    def _dump_config(self) -> None:
        """Modules are given no settings to remember: `RunConfig` keeps them, and dumping takes its time."""
        self.config_dump: dict[str, Any] = {}

    def make(self) -> None:
        """Make what the configuration names, and see to the strategy before further processes are started."""
        super().instantiate_classes()
        check_trainer(self.trainer, None)

    def instantiate_classes(self) -> None:
        try:
            self.make()
        except Exception as error:
            refusal = refusal_of_settings(error)
            if refusal is None:
                raise
            raise UsageError(refusal) from error
        if self.command == "fit":
            signals.pass_on(lambda: getattr(self.trainer.strategy.launcher, "procs", ()))
            if not self.resumes:
                refuse_checkpoints(folder_of(self.trainer))
        else:
            self.datamodule = BenchmarkDataModule(self._benchmarks())
        for logger in self.trainer.loggers:
            if isinstance(logger, CSVLogger):  # measuring may share a run's folder: the run's rows are not its own
                name = "metrics.csv" if self.command == "fit" else f"{self.command}.csv"
                keep_rows(logger, self.saved.step if self.saved and self.resumes else None, name)

    def _benchmarks(self) -> list[Benchmark]:
        """What the callbacks measure."""
        callbacks: list[L.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        found = [benchmark for callback in callbacks for benchmark in getattr(callback, "benchmarks", ())]
        if not found:
            raise UsageError(
                f"mentor {self.command}: trainer.callbacks has no benchmarks, so nothing would be measured: give a "
                "configuration with callbacks.BenchmarkValidation, such as --config configs/benchmarks.yaml"
            )
        return found

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        self.config[self.command] = self.given  # for config.yaml, and for the checkpoints
        settings = self.config_init[self.command].trainer
        given = settings.callbacks or []
        callbacks = given if isinstance(given, list) else [given]
        check_callbacks(callbacks)
        keeps = settings.enable_checkpointing is False or any(isinstance(one, Checkpoint) for one in callbacks)
        if self.command == "fit" and not keeps:
            settings.callbacks = [*callbacks, RunCheckpoints()]
        try:
            return super().instantiate_trainer(**kwargs)
        except UsageError:
            raise
        except Exception as error:  # of many kinds, for what is not there, not installed or does not go together
            raise UsageError(f"trainer: {str(error).rstrip('.')} ({self._given_to_trainer()})") from error

    def _given_to_trainer(self) -> str:
        """What the configuration sets the Trainer to, beyond its defaults."""
        given = self._get(self.config, "trainer").as_dict()
        plain = {name: value for name, value in given.items() if isinstance(value, str | int | float)}
        defaults = {name: setting.default for name, setting in settings(L.Trainer).items()}
        return ", ".join(f"trainer.{name} is {show(v)}" for name, v in plain.items() if v != defaults[name])

    def _parse_ckpt_path(self) -> None:
        """A checkpoint gives weights and state. Settings come from the configuration alone, so that they can differ.

        Lightning has no setting for it: this step of its own would read all weights once more, and put what a
        checkpoint calls `hyper_parameters` over the configuration.
        """


def run(args: list[str]) -> None:
    """Run a Trainer command, `args[0]`."""
    with quiet():
        from mentor_pl.training.data import RolloutDataModule
        from mentor_pl.training.module import MentorModule

        if not {"-h", "--help"}.isdisjoint(args):
            groups = {"model": MentorModule, "data": RolloutDataModule}
            print(short_help(args[0], groups if args[0] == "fit" else {"model": MentorModule}), end="")
            raise SystemExit(0)
        start(MentorModule, RolloutDataModule, ["--help" if one == "--help_all" else one for one in args])


def start(model: type[L.LightningModule], data: type[L.LightningDataModule], args: list[str]) -> None:
    """Run a Trainer command over these classes."""
    with trainer_errors():
        MentorCLI(model, data, args)


@contextmanager
def trainer_errors() -> Iterator[None]:
    """`usage_errors`, and so are settings of the Trainer that do not go together, and callbacks that cannot work here.

    Raises:
        UsageError: for these; all else passes.
    """
    try:
        with usage_errors():
            yield
    except MisconfigurationException as error:
        raise UsageError(str(error)) from error
    except Exception as error:
        refusal = None if isinstance(error, UsageError | RunError | OSError) else refusal_of_callback(error)
        if refusal is None:
            raise
        raise UsageError(refusal) from error


def _accepted(model: type, data: type, command: str) -> dict[str, Setting]:
    """The settings at the top of a configuration."""
    empty = inspect.Parameter.empty
    method = settings(getattr(L.Trainer, command))
    own = {name: s for name, s in method.items() if name not in LightningCLI.subcommands()[command]}
    if command == "fit":
        own |= {"resume": Setting(str | None, None), "resume_changes": Setting(list[str], [])}
    groups = {"trainer": L.Trainer, "model": model, "data": data if command == "fit" else Unused}
    return {name: Setting(group, empty) for name, group in groups.items()} | {
        "seed_everything": Setting(bool | int, 0),
        "threads": Setting(int | None, None),
        **own,
    }
