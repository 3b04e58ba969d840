"""Gives the boards of loggers some rollouts of every n-th step, with their tokens coloured by guidance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_info

from mentor_pl.records.samples.cell import cell
from mentor_pl.records.samples.picture import picture
from mentor_pl.records.samples.sample import Sample, samples_of
from mentor_pl.runtime.failing_loggers import attempt
from mentor_pl.runtime.ranges import check
from mentor_pl.training.module import MentorModule
from mentor_pl.types import Rollouts

NAME: Final = "train/samples"
COLUMNS: Final = ["step", "prompt", "response", "kind", "reward", "guided", "length"]


class SampleTable(Callback):
    """Every n steps logs `train/samples`: rollouts of the first process, of each kind the first of each prompt first.

    W&B is given a table with step, prompt, response, kind, reward, guided share and length; TensorBoard, which shows
    no HTML, the same as a picture. Guided tokens are coloured and underlined, those that replaced a draft darker, with
    the draft struck out in front.

    Args:
        every_n_steps: batches of rollouts between two tables.
        rows: rollouts of a table.

    Raises:
        UsageError: for numbers that count nothing.
    """

    def __init__(self, every_n_steps: int = 20, rows: int = 8) -> None:
        check("SampleTable every_n_steps", every_n_steps, at_least=1, because="it counts steps of rollouts")
        check("SampleTable rows", rows, at_least=1, at_most=100, because="it counts rollouts, and each is looked at")
        self.every_n_steps, self.rows = every_n_steps, rows

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not any(isinstance(logger, WandbLogger | TensorBoardLogger) for logger in trainer.loggers):
            rank_zero_info(
                "SampleTable has nobody to give its samples to: add a WandbLogger or a TensorBoardLogger to "
                "trainer.logger"
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Rollouts, batch_idx: int
    ) -> None:
        step = batch.step + 1
        boards = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger | TensorBoardLogger)]
        if step % self.every_n_steps or not trainer.is_global_zero or not boards:
            return
        tokenizer = cast(MentorModule, pl_module).tokenizer
        samples = samples_of(batch, self.rows, lambda ids: str(tokenizer.decode(ids, skip_special_tokens=False)))
        for board in boards:
            attempt(board, NAME, lambda board=board: _show(board, samples, step))  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        """Nothing; but two of these would log under one name, and callbacks that keep one state are refused."""
        return {}


def _show(board: Logger, samples: Sequence[Sample], step: int) -> None:
    if isinstance(board, WandbLogger):
        import wandb

        rows = [
            [
                step,
                one.prompt,
                # as it is: W&B would put a style sheet from the net into it
                wandb.Html(cell(one), inject=False, data_is_not_path=True),
                one.kind,
                one.reward,
                one.guided,
                len(one.tokens),
            ]
            for one in samples
        ]
        board.log_table(NAME, COLUMNS, rows, step=step)
    elif isinstance(board, TensorBoardLogger):
        image = picture(samples, f"step {step}")
        board.experiment.add_image(NAME, image, step, dataformats="HWC")
