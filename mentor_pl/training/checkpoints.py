"""Which checkpoints a run keeps, where they lie, and what one says of itself."""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from mentor_pl.runtime.checkpoint_files import damage, reason, refuse_damaged, remove_unfinished
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.parallel import IN_BACKGROUND, FSDP2Strategy
from mentor_pl.runtime.ranges import check
from mentor_pl.runtime.sharded_files import is_sharded, meta
from mentor_pl.runtime.signals import Stopped

_NAME = re.compile(r"step=(\d+)\.ckpt")


class RunCheckpoints(Checkpoint):
    """Keeps the last checkpoints of a run, from which it goes on bit for bit: `checkpoints/step=<step>.ckpt`.

    Each is whole or not there at all, and the older ones go only once a new one is in place. The last step is kept too.
    Where each rank writes its files, they are written while the run goes on, and are in place by the next checkpoint.

    Args:
        every_n_steps: batches of rollouts between two checkpoints.
        keep: how many are kept.

    Raises:
        UsageError: for numbers below 1; at the start, for a new run in a folder that has the checkpoints of another.
        StorageError: where one could not be written.
    """

    def __init__(self, every_n_steps: int = 20, keep: int = 2) -> None:
        check("RunCheckpoints every_n_steps", every_n_steps, at_least=1)
        check("RunCheckpoints keep", keep, at_least=1, because="a run goes on from what is kept")
        self.every_n_steps, self.keep = every_n_steps, keep
        self.saved = -1

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        folder, start = folder_of(trainer), Path(trainer.ckpt_path) if trainer.ckpt_path else None
        remove_unfinished(folder)
        if start is None or start.resolve().parent != folder.resolve():
            refuse_checkpoints(folder)
            return
        known = numbered(folder)
        for path in known[: known.index(start)] if start in known else ():
            path.rename(path.with_name(f"{path.name}.damaged"))  # else `start` would not have been taken

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = _steps_done(pl_module)
        if step % self.every_n_steps == 0:
            self._save(trainer, step)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        step = _steps_done(pl_module)
        if step not in (0, self.saved):
            self._save(trainer, step)
        _end_saving(trainer)
        self._remove_older(trainer)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.saved = int(state_dict["saved"])

    def state_dict(self) -> dict[str, Any]:
        return {"saved": self.saved}

    def _save(self, trainer: L.Trainer, step: int) -> None:
        self.saved = step
        behind = IN_BACKGROUND if isinstance(trainer.strategy, FSDP2Strategy) else None
        trainer.save_checkpoint(_place(trainer, step), weights_only=False, storage_options=behind)
        self._remove_older(trainer)

    def _remove_older(self, trainer: L.Trainer) -> None:
        if trainer.is_global_zero:
            for path in numbered(folder_of(trainer))[self.keep :]:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _steps_done(module: L.LightningModule) -> int:
    return int(cast(Any, module).steps_done)


def folder_of(trainer: L.Trainer) -> Path:
    """Where a run's checkpoints lie: `checkpoints/` in its folder, as Lightning has it."""
    return run_folder(trainer) / "checkpoints"


def run_folder(trainer: L.Trainer) -> Path:
    """Where a run lies: by its first logger. `Trainer.log_dir` is for some loggers one folder of all runs."""
    if not trainer.loggers:
        return Path(trainer.default_root_dir)
    logger = trainer.loggers[0]
    version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
    return Path(logger.save_dir or trainer.default_root_dir) / str(logger.name) / version


def refuse_checkpoints(folder: Path) -> None:
    """See that a new run's folder has no checkpoints.

    Raises:
        UsageError: where it has.
    """
    for path in sorted(folder.glob("*.ckpt")):
        raise UsageError(
            f"{folder} has checkpoints of another run, such as {path.name}: go on with it by --resume auto, or give "
            "this run a folder of its own, by --trainer.logger.init_args.version NAME, or without a logger by "
            "--trainer.default_root_dir FOLDER"
        )


def _place(trainer: L.Trainer, step: int) -> Path:
    """Where the checkpoint of a run that has done `step` batches goes; call on every rank."""
    folder: Path = trainer.strategy.broadcast(folder_of(trainer))
    return folder / f"step={step}.ckpt"


def _end_saving(trainer: L.Trainer) -> None:
    """Wait until what is saved in background is in place; call on every rank."""
    if isinstance(trainer.strategy, FSDP2Strategy):
        trainer.strategy.end_saving()


def save_and_leave(trainer: L.Trainer, step: int, stopped: Stopped) -> NoReturn:
    """Save what is complete and pass the signal on; call on every rank.

    Raises:
        Stopped: always, with the step and the checkpoint.
    """
    _end_saving(trainer)
    path = _place(trainer, step) if step else None
    if path is not None and not trainer.strategy.broadcast(path.exists()):
        trainer.save_checkpoint(path, weights_only=False)
    raise Stopped(stopped.signum, step, path) from None


def numbered(folder: Path) -> list[Path]:
    """The checkpoints that `RunCheckpoints` has written to a folder, the newest first."""
    found = [(int(match[1]), path) for path in folder.glob("step=*.ckpt") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def newest(folder: Path, say: Callable[[str], None]) -> Path | None:
    """The newest checkpoint of a folder that is not damaged; none where there is none.

    Args:
        folder: of checkpoints.
        say: is told of those that are damaged.
    """
    ours = numbered(folder)
    others = sorted(set(folder.glob("*.ckpt")) - set(ours), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in [*ours, *others]:
        found = damage(path)
        if found is None:
            return path
        say(f"checkpoint {path} is damaged ({found}): it is left out, and the one before it is taken")
    return None


@dataclass(frozen=True)
class Saved:
    """What a checkpoint says of itself.

    Attributes:
        step: rollout batches the policy has learned from.
        ranks: processes that trained.
        settings: the configuration of the run, by section; empty for a run from Python.
        versions: class and version of its loggers, in their order; empty likewise.
    """

    step: int
    ranks: int
    settings: dict[str, Any]
    versions: list[tuple[str, int | str]]


def read(path: Path) -> Saved:
    """What a checkpoint says of itself; its tensors are not read.

    Raises:
        UsageError: for one that is damaged or is none of a run of this project.
    """
    try:
        contents = _contents(path)
        own = contents["mentor"]
        return Saved(
            int(own["step"]), int(own["ranks"]), contents.get("settings") or {}, contents.get("versions") or []
        )
    except (KeyError, TypeError, RuntimeError, pickle.UnpicklingError) as error:
        raise UsageError(f"{path} is no checkpoint of `mentor fit` ({reason(error)}): give one of a run") from error


def _contents(path: Path) -> dict[str, Any]:
    refuse_damaged(path)
    if is_sharded(path):
        return meta(path)
    contents: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    return contents


def best_of(path: Path) -> Path:
    """The best checkpoint by what a run's `ModelCheckpoint` monitors, as the run's checkpoint `path` knows it.

    Raises:
        UsageError: where none monitors anything, or the file is gone.
    """
    states = _contents(path).get("callbacks", {})
    found = [state.get("best_model_path") for name, state in states.items() if name.startswith("ModelCheckpoint")]
    for best in filter(None, found):
        here = [one for one in (Path(best), path.with_name(Path(best).name)) if one.exists()]  # the run may have moved
        if not here:
            raise UsageError(f"the best checkpoint of the run, {best}, is gone: give the path of another")
        refuse_damaged(here[0])
        return here[0]
    raise UsageError(
        f"{path} knows no best checkpoint: no ModelCheckpoint of its run monitors a metric; give a path, or last"
    )
