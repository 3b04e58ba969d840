"""Writes the rollouts of every n-th step to the run's folder, token by token, one Parquet file per step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pyarrow as pa
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from mentor_pl.decoding.sampler import decoding
from mentor_pl.models.fingerprint import fingerprint
from mentor_pl.records.rows import Pieces, Teller, rows_of
from mentor_pl.records.writing import drop_behind, in_order, write_step
from mentor_pl.runtime.collectives import objects_on_first
from mentor_pl.runtime.failing_writes import FailingWrites
from mentor_pl.runtime.ranges import check
from mentor_pl.training.checkpoints import run_folder
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.module import MentorModule
from mentor_pl.types import Rollouts


class RolloutRecord(Callback):
    """Writes `rollouts/step=<step>.parquet` into the run's folder: what docs/records.md says of every token.

    A file is written whole or not at all. Where one cannot be written, that is said once and the run goes on without.

    Args:
        every_n_steps: batches of rollouts between two records.
        alternatives: how many of the likeliest tokens of π_θ, π* and π_mix are kept of each guided token; 0 for none.
        limit: rollouts of a step that are kept at most on each process, in whole groups, but one group at least; null
            keeps all, which `mentor replay` needs.

    Raises:
        UsageError: for numbers that count nothing.
    """

    def __init__(self, every_n_steps: int = 1, alternatives: int = 5, limit: int | None = None) -> None:
        check("RolloutRecord every_n_steps", every_n_steps, at_least=1, because="it counts steps of rollouts")
        check("RolloutRecord alternatives", alternatives, at_least=0, at_most=1000, otherwise="0 for none")
        check("RolloutRecord limit", limit, at_least=1, because="it counts rollouts", otherwise="or null for all")
        self.every_n_steps, self.alternatives, self.limit = every_n_steps, alternatives, limit
        self._teller: Teller | None = None
        self._weights = ""  # of the step's rollouts
        self._writes = FailingWrites("RolloutRecord", "steps without a record are lost to it")

    def _due(self, step: int) -> bool:
        """Whether the rollouts behind `step` batches are recorded."""
        return (step + 1) % self.every_n_steps == 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module, data = cast(MentorModule, pl_module), cast(RolloutDataModule, trainer.datamodule)  # type: ignore[attr-defined]
        data.alternatives = lambda step: self.alternatives if self._due(step) else 0

        def decode(ids: list[int]) -> str:
            return str(module.tokenizer.decode(ids, skip_special_tokens=False))

        prompts = data.problems.prompts if data.problems is not None else []
        self._teller = Teller(
            prompts={prompt.index: prompt for prompt in prompts},
            decode=decode,
            pieces=Pieces(decode),
            seed=data.seed,
            rank=trainer.global_rank,
            ranks=trainer.world_size,
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Records of steps that are to be done again are not kept beside those of the run as it will be."""
        if trainer.is_global_zero:
            with self._writes:
                drop_behind(run_folder(trainer), cast(MentorModule, pl_module).steps_done)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._due(batch.step):
            policy = cast(MentorModule, pl_module).policy
            with decoding(policy):
                self._weights = fingerprint(policy)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Rollouts, batch_idx: int
    ) -> None:
        if not self._due(batch.step):
            return
        assert self._teller is not None
        advantages: Tensor = cast(Mapping[str, Tensor], outputs)["advantages"]
        rows = rows_of(batch, advantages, self._weights, self._teller, self.limit)
        tables: list[pa.Table] = objects_on_first(rows)
        if trainer.is_global_zero:
            with self._writes:
                write_step(run_folder(trainer), batch.step + 1, in_order(tables))

    def state_dict(self) -> dict[str, Any]:
        """Nothing; but two of these would write the same files, and callbacks that keep one state are refused."""
        return {}
