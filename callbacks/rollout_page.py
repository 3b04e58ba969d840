"""Writes the page of a run's rollouts when training ends, and hands it to loggers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_warn
from rich import get_console

from callbacks.rollout_record import RolloutRecord
from mentor_pl.records.page.build import write_page
from mentor_pl.records.reading import place_of, steps_of
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.failing_loggers import attempt
from mentor_pl.runtime.printable import printable
from mentor_pl.runtime.ranges import check
from mentor_pl.runtime.signals import Stopped
from mentor_pl.training.checkpoints import run_folder
from mentor_pl.training.module import MentorModule

NAME: Final = "view"
ROLLOUTS: Final = 1000  # of a step at most, as of `mentor view`
QUICK: Final = 20_000_000  # bytes of records that a page is made of while somebody waits for the run to stop


class RolloutPage(Callback):
    """Writes `view.html` into the run's folder, as `mentor view` does, and logs it: to W&B as an artifact, to
    TensorBoard, which takes no files, as a text that says where it is.

    A run that a signal has stopped has it too where its records are small; of others `mentor view` makes it. Where the
    page cannot be written, that is said and the run ends as it would.

    Args:
        megabytes: that the page may take.

    Raises:
        UsageError: for a page too small for a step; at the start of training, where nothing records rollouts.
    """

    def __init__(self, megabytes: float = 20) -> None:
        check(
            "RolloutPage megabytes",
            megabytes,
            at_least=0.5,
            at_most=500,
            because="browsers hold no more, and less holds no step",
        )
        self.megabytes = megabytes

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not any(isinstance(one, RolloutRecord) for one in trainer.callbacks):  # type: ignore[attr-defined]
            raise UsageError("RolloutPage shows what RolloutRecord wrote: add callbacks.RolloutRecord, or drop it")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._make(trainer, cast(MentorModule, pl_module).steps_done)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, Stopped):
            folder = run_folder(trainer)
            if sum(place_of(folder, step).stat().st_size for step in steps_of(folder)) <= QUICK:
                self._make(trainer, cast(MentorModule, pl_module).steps_done)

    def _make(self, trainer: Trainer, step: int) -> None:
        folder = run_folder(trainer)
        if not trainer.is_global_zero or not steps_of(folder):  # a short run may have no step that is recorded
            return
        page = folder / "view.html"
        try:
            (shown,) = write_page([folder], page, (), ROLLOUTS, int(self.megabytes * 1_000_000))
        except (UsageError, OSError) as error:
            rank_zero_warn(f"RolloutPage: {error}; the run is not touched by it")
            return
        missing = shown.left_out()
        said = f"{'page':<14} {page}" + (f" (left out: {missing})" if missing else "")
        get_console().print(printable(said), highlight=False, markup=False, soft_wrap=True)
        for logger in trainer.loggers:
            attempt(logger, NAME, lambda logger=logger: _hand(logger, page, step))  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        """Nothing; but two of these would write one file, and callbacks that keep one state are refused."""
        return {}


def _hand(logger: Logger, page: Path, step: int) -> None:
    if isinstance(logger, WandbLogger):
        import wandb

        run = logger.experiment
        artifact = wandb.Artifact(f"{NAME}-{run.id}", type="page", metadata={"step": step})
        artifact.add_file(str(page), name=page.name)
        run.log_artifact(artifact)
    elif isinstance(logger, TensorBoardLogger):
        where = printable(str(page.absolute())).replace("`", "'")
        logger.experiment.add_text(NAME, f"TensorBoard takes no files: the page of these rollouts is `{where}`", step)
        logger.experiment.flush()
