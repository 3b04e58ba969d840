"""Measures the policy on benchmarks every n steps of training, and once under `mentor validate` and `mentor test`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from rich.progress import Progress

from mentor_pl.benchmarks import Benchmark, evaluate
from mentor_pl.decoding.base import Sampler
from mentor_pl.decoding.coin import Coin
from mentor_pl.errors import UsageError
from mentor_pl.log_once import log_once
from mentor_pl.rollout import Learner
from mentor_pl.types import Rollouts


class BenchmarkValidation(Callback):
    """Logs `val/<benchmark>/avg@n`, `pass@n`, `greedy`, `length`, `truncated`, `entropy` and the reward's parts.

    Args:
        benchmarks: problems, protocol and reward of each.
        every_n_steps: batches of rollouts between two measurements; the last step is measured too.
        at_start: measure before the first step as well.
        sampler: decoder; by default `Coin` with 512 rows, which without a gate is plain continuous batching.
        seed: of the sampling noise; the same at every measurement, so that policies are compared on the same noise.

    Raises:
        UsageError: for an interval below 1 or two benchmarks of one name.
    """

    def __init__(
        self,
        benchmarks: list[Benchmark],
        every_n_steps: int = 20,
        at_start: bool = True,
        sampler: Sampler | None = None,
        seed: int = 0,
    ) -> None:
        if every_n_steps < 1:
            raise UsageError(f"BenchmarkValidation every_n_steps is {every_n_steps}: give at least 1")
        names = [benchmark.name for benchmark in benchmarks]
        if len(set(names)) < len(names):
            raise UsageError(f"BenchmarkValidation has benchmarks {names}, but their names must differ: rename one")
        self.benchmarks, self.every_n_steps, self.at_start = benchmarks, every_n_steps, at_start
        self.sampler: Sampler = sampler if sampler is not None else Coin(rows=512)
        self.seed = seed

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.at_start and trainer.global_step == 0:
            log_once(trainer, self._measure(trainer, pl_module), step=0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Rollouts, batch_idx: int
    ) -> None:
        done = batch.step + 1
        if done % self.every_n_steps == 0 or trainer.is_last_batch:
            measured = self._measure(trainer, pl_module)
            log_once(trainer, measured, step=done)
            pl_module.log_dict(measured, logger=False, batch_size=1)  # for ModelCheckpoint(monitor=…)
            for name, value in measured.items():
                if "/avg@" in name:
                    pl_module.log(name.removeprefix("val/"), value, prog_bar=True, logger=False, batch_size=1)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log_dict(self._measure(trainer, pl_module))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log_dict(self._measure(trainer, pl_module))

    def _measure(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        models, results = cast(Learner, pl_module).models, dict[str, float]()
        for benchmark in self.benchmarks:
            with trainer.precision_plugin.forward_context(), _progress(trainer, benchmark.name) as progress:
                measured = evaluate(models, benchmark, self.sampler, seed=self.seed, progress=progress)
            results |= {f"val/{benchmark.name}/{name}": value for name, value in measured.items()}
        return results

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for benchmark in self.benchmarks:
            close = getattr(benchmark.reward, "close", None)
            if close is not None:
                close()


@contextmanager
def _progress(trainer: Trainer, name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for the problems of a benchmark: a line of the Trainer's rich bar where there is one, else its own."""
    bar = trainer.progress_bar_callback
    if bar is None or not trainer.is_global_zero:
        yield lambda done, total: None
        return
    own = None if isinstance(bar, RichProgressBar) and bar.progress is not None else Progress(transient=True)
    progress: Any = own or bar.progress  # type: ignore[attr-defined]
    tasks: list[Any] = []

    def show(done: int, total: int) -> None:
        if not tasks:
            tasks.append(progress.add_task(f"val {name}", total=total))
        progress.update(tasks[0], completed=done)

    with own or nullcontext():
        yield show
        for task in tasks:
            progress.remove_task(task)
