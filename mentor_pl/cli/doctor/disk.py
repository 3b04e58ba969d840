"""Disks, folders and loggers: where a run writes, and what lies there already."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.memory import estimate_of
from mentor_pl.cli.doctor.report import Finding, ok, problem, size, warning
from mentor_pl.cli.run_folder import age
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.checkpoints import RunCheckpoints, newest, read


def examine(configuration: Configuration) -> list[Finding]:
    """Room for checkpoints, folders that can be written, the Hub's cache, loggers, and runs that lie here."""
    run = run_folder(configuration)
    folders = {Path(one.save_dir): type(one).__name__ for one in configuration.trainer.loggers if one.save_dir}
    folders[run] = "the run"
    for callback in configuration.trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, ModelCheckpoint) and callback.dirpath:
            folders[Path(callback.dirpath)] = "checkpoints"
    findings = [finding for folder, what in folders.items() if (finding := cannot_write(folder, what))]
    if not findings:
        findings += _room(configuration, list(folders)[-1])
    return [
        *findings,
        *_loggers(configuration),
        *_hub(configuration),
        *resume_lines(runs_folder(configuration), configuration.data.steps),
    ]


def run_folder(configuration: Configuration) -> Path:
    """Where the run's files go: the first logger's folder, or the Trainer's."""
    trainer = configuration.trainer
    for logger in trainer.loggers:
        folder = logger.log_dir if isinstance(logger, CSVLogger) else logger.save_dir
        if folder:
            return Path(folder)
    return Path(trainer.default_root_dir)


def runs_folder(configuration: Configuration) -> Path:
    """Where earlier runs under the same name lie, a new one among them."""
    logger = next(iter(configuration.trainer.loggers), None)
    return Path(logger.root_dir) if isinstance(logger, CSVLogger) else run_folder(configuration)


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    folder = folder.absolute()
    return next(one for one in (folder, *folder.parents) if one.exists())


def cannot_write(folder: Path, what: str) -> Finding | None:
    """A problem where the folder of `what` cannot be made, or nothing can be written there."""
    parent = existing(folder)
    try:
        with tempfile.TemporaryFile(dir=parent) as file:
            file.write(b"\0" * 2**12)
    except OSError as error:
        return problem(
            f"{folder}, the folder of {what}, cannot be written ({error.strerror}: {parent})",
            "name another, or make it writable",
        )
    return None


def _room(configuration: Configuration, folder: Path) -> list[Finding]:
    free = shutil.disk_usage(existing(folder)).free
    callbacks: list[Callback] = configuration.trainer.callbacks  # type: ignore[attr-defined]
    kept = sum(_kept(callback) for callback in callbacks)
    if not kept:
        return [
            warning(
                f"{folder}: no checkpoint is kept, and {size(free)} are free",
                "drop trainer.enable_checkpointing: false, or add callbacks.RunCheckpoints",
            )
        ]
    estimate = estimate_of(configuration)
    if estimate is None:
        return [
            ok(f"{folder} can be written; {size(free)} are free; a checkpoint's size is not known without the models")
        ]
    weights = 4 * estimate.policy.trained_parameters
    each = weights + (estimate.states(1) or 2 * weights)
    need = (kept + 1) * each + 4 * estimate.policy.parameters  # and the exported policy
    text = (
        f"{folder}: {kept} checkpoints of {size(each)}, another while it is written, and the policy take {size(need)}; "
        f"{size(free)} are free"
    )
    return [
        ok(text)
        if need <= free
        else problem(text, "make room, or name another folder: save_dir of the logger, or dirpath of ModelCheckpoint")
    ]


def _kept(callback: Callback) -> int:
    """Checkpoints that a callback keeps; another is written before the oldest goes."""
    if isinstance(callback, RunCheckpoints):
        return callback.keep
    return max(1, callback.save_top_k) + bool(callback.save_last) if isinstance(callback, ModelCheckpoint) else 0


def _loggers(configuration: Configuration) -> list[Finding]:
    loggers = configuration.trainer.loggers
    if not loggers:
        return [
            warning(
                "no logger: nothing of the run is kept but its checkpoints", "set trainer.logger, such as CSVLogger"
            )
        ]
    findings = []
    for logger in loggers:
        name = type(logger).__name__
        if (
            isinstance(logger, WandbLogger)
            and not logger._offline
            and os.environ.get("WANDB_MODE") not in ("offline", "disabled")
        ):
            findings.append(
                ok(f"{name}, online: this machine must have seen `wandb login`, and reach the net during the run")
            )
        else:
            findings.append(ok(f"{name} writes to {logger.save_dir}"))
    return findings


def _hub(configuration: Configuration) -> list[Finding]:
    """Models that must come from the Hub: whether their weights are in its cache, and room for them."""
    findings = []
    for source in (configuration.policy, configuration.expert):
        if source is None or source.is_local:
            continue
        names = ("model.safetensors", "model.safetensors.index.json")
        if any(isinstance(try_to_load_from_cache(source.path, name), str) for name in names):
            findings.append(ok(f"{source.role} {source.path} is in the Hub's cache, {constants.HF_HUB_CACHE}"))
            continue
        free = size(shutil.disk_usage(existing(Path(constants.HF_HUB_CACHE))).free)
        where = (
            f"{source.role} {source.path} is not in the Hub's cache, {constants.HF_HUB_CACHE}, where {free} are free"
        )
        if constants.HF_HUB_OFFLINE:
            findings.append(
                problem(
                    f"{where}, and HF_HUB_OFFLINE is set",
                    f"hf download {source.path}, where there is a net, or give a folder",
                )
            )
        else:
            findings.append(warning(f"{where}: the run will fetch it", f"hf download {source.path}"))
    return findings


def resume_lines(runs: Path, steps: int) -> list[Finding]:
    """What `--resume auto` would do: `runs` holds the folders of runs, or is one; `steps` is data.steps."""
    folders = sorted({path.parent.parent for path in runs.glob("**/checkpoints/*.ckpt")}, key=age, reverse=True)
    if not folders:
        return [ok(f"no run with a checkpoint lies in {runs}: --resume auto begins one")]
    damaged: list[Finding] = []
    path = newest(folders[0] / "checkpoints", lambda line: damaged.append(warning(line, "see how the disk fares")))
    if path is None:
        return [*damaged, problem(f"{folders[0]} has no checkpoint that is whole", "begin anew without --resume")]
    try:
        saved = read(path)
    except UsageError as error:
        return [*damaged, warning(str(error), "give another by --resume PATH")]
    left = f"{steps - saved.step} of {steps} steps are left" if saved.step < steps else f"all {steps} steps are done"
    return [*damaged, ok(f"--resume auto goes on in {folders[0]}, after step {saved.step}; {left}")]
