"""Where a run goes on: `--resume auto`, `--resume PATH` in its own folder, `--ckpt_path PATH` in a new one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_info

from mentor_pl.cli.run_folder import go_on_in, run_folders
from mentor_pl.runtime.checkpoint_files import refuse_damaged
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.sharded_files import is_sharded
from mentor_pl.training.checkpoints import best_of, newest, numbered, read

_CHECKPOINTS = "checkpoints"


def resume(config: Namespace) -> Path | None:
    """The checkpoint that `--resume` asks for, its folder put into the settings; none where a run begins.

    Raises:
        UsageError: for a path without a checkpoint, and for a run of which every checkpoint is damaged.
    """
    if config.ckpt_path:
        raise UsageError(
            f"--resume {config.resume} and --ckpt_path {config.ckpt_path} are both given: --resume goes on in the "
            "run's folder, --ckpt_path begins a new run from a checkpoint; give one"
        )
    if config.resume != "auto":
        path = _path(Path(config.resume))
        folder = path.parent.parent
    else:
        folders = run_folders(config.trainer)
        known = [folder for folder in folders if any((folder / _CHECKPOINTS).glob("*.ckpt"))]
        if not known:
            begun = [folder for folder in folders if (folder / "config.yaml").exists() and config.trainer.logger]
            if begun:
                rank_zero_info(f"resume: {begun[0]} has no checkpoint yet, so the run starts over in it, at step 0")
                go_on_in(config.trainer, begun[0])
            else:
                rank_zero_info("resume: there is no run to go on with, so one begins")
            return None
        folder = known[0]
        path = _newest(folder)
    go_on_in(config.trainer, folder, read(path).versions)
    return path


def checkpoint(config: Namespace, given: str) -> Path:
    """The checkpoint that `--ckpt_path` means: a path, a run's folder, or `last`, `best` or `hpc`.

    Raises:
        UsageError: where there is none.
    """
    if "://" in given:
        raise UsageError(f"--ckpt_path {given}: a URL is not loaded from: copy the checkpoint here and give its path")
    if given == "hpc":
        root = Path(config.trainer.default_root_dir or ".")
        saved = [(int(n[1]), p) for p in root.glob("hpc_ckpt_*.ckpt") if (n := re.search(r"_(\d+)\.ckpt$", p.name))]
        if not saved:
            raise UsageError(f"--ckpt_path hpc: no hpc_ckpt_*.ckpt in {root.resolve()}: give a path, or last")
        return max(saved)[1]
    if given not in ("last", "best"):
        path = Path(given)
        if path.is_dir() and not is_sharded(path):
            return _newest(path)
        if not path.exists():
            raise UsageError(f"--ckpt_path: no checkpoint '{given}'; give a file or folder, or one of best, last, hpc")
        refuse_damaged(path)
        return path
    for folder in run_folders(config.trainer):
        if any((folder / _CHECKPOINTS).glob("*.ckpt")):
            path = _newest(folder)
            return path if given == "last" else best_of(path)
    raise UsageError(
        f"--ckpt_path {given}: no run with these settings has a checkpoint: give the path of one, or of a run's folder"
    )


def _path(given: Path) -> Path:
    """The checkpoint of a run's folder, or one within; the newest, since a run goes on from there alone."""
    if given.is_dir() and not is_sharded(given):
        return _newest(given)
    if not given.exists():
        raise UsageError(f"--resume: there is no '{given}': give a run's folder, a checkpoint in one, or auto")
    refuse_damaged(given)
    ours = numbered(given.parent)
    if given.parent.name != _CHECKPOINTS:
        raise UsageError(
            f"--resume: {given} lies in no run's folder: begin a new run from it by --ckpt_path, or give the folder of "
            "a run, such as runs/math/version_0"
        )
    if given in ours and ours.index(given) > 0:
        raise UsageError(
            f"--resume: {ours[0]} is newer than {given.name}, and a run has one past: remove the newer ones, or begin "
            f"a new run from this one by --ckpt_path {given}"
        )
    return given


def _newest(folder: Path) -> Path:
    path = newest(folder / _CHECKPOINTS if (folder / _CHECKPOINTS).is_dir() else folder, rank_zero_info)
    if path is None:
        raise UsageError(
            f"{folder} has no checkpoint that is whole: give another run's folder, or begin a new run without it"
        )
    return path


def warn_of_nothing_left(step: int, steps: Any) -> None:
    """Say that a run has done all its steps, where it has."""
    if isinstance(steps, int) and step >= steps:
        rank_zero_info(f"the run has done {step} of {steps} steps, so no more are done: raise data.steps to go on")
