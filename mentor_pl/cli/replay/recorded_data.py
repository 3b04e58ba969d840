"""A run's recorded rollouts in place of new ones."""

from __future__ import annotations

from pathlib import Path

from mentor_pl.records.reading import read_step
from mentor_pl.records.rollouts import rollouts_of
from mentor_pl.runtime.collectives import rank, world_size
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.loader import RolloutLoader
from mentor_pl.types import Rollouts


class RecordedData(RolloutDataModule):
    """Hands out the recorded rollouts of a run, step by step; takes the settings of `RolloutDataModule`.

    A subclass says whose, since the command line makes the data module from settings alone.

    Attributes:
        run: the run's folder.
    """

    run: Path

    def setup(self, stage: str) -> None:
        """No problems are read."""

    def train_dataloader(self) -> RolloutLoader:
        return RolloutLoader(self._produce, self.steps)

    def _produce(self, step: int) -> Rollouts:
        table = read_step(self.run, step + 1)
        ranks = table["ranks"][0].as_py() if len(table) else 0
        if ranks != world_size():
            raise UsageError(
                f"step {step + 1} of {self.run} was made by {ranks} processes, and this replay has {world_size()}: "
                f"start {ranks}, as the run's configuration does"
            )
        return rollouts_of(table, rank())
