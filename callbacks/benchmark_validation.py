"""Measures the policy on benchmarks: every n steps of training, and with a table under `mentor validate`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from rich import get_console
from rich.progress import MofNCompleteColumn, Progress

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.sampler import Sampler, decoding
from mentor_pl.evaluation.benchmark import Benchmark, with_shared_rewards
from mentor_pl.evaluation.evaluate import Evaluation, evaluate, open_samples
from mentor_pl.evaluation.metrics import REASONING_WORDS, WordOccurrence
from mentor_pl.evaluation.samples_file import read_samples
from mentor_pl.evaluation.table import Kept, save_summary, summarise, to_markdown
from mentor_pl.models.fingerprint import fingerprint
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.folders import check_folder
from mentor_pl.runtime.logging import log_once
from mentor_pl.runtime.progress import progress_bar
from mentor_pl.runtime.ranges import check, check_seed
from mentor_pl.runtime.signals import Stopped
from mentor_pl.training.module import MentorModule
from mentor_pl.types import Prompt, Rollouts

_LINE_SECONDS = 10.0  # between two lines of a benchmark in a log
COLUMNS = ["step", "problem", "answer", "response", "correct"]


class BenchmarkValidation(Callback):
    """Logs `val/<benchmark>/avg@n`, `pass@k`, `greedy`, `length`, `truncated`, `words/<word>` and the reward's parts.

    While training, also `entropy`, and a few samples as a table where a WandbLogger is attached. Under
    `mentor validate` and `mentor test` the data are the benchmarks. Finished problems are kept in
    `<out>/<model>-<its weights>/<benchmark>/`: the same command continues a run that was killed, `mentor grade` grades
    them again, and `results.json` and `results.md` hold the table that is printed, with confidence intervals over
    problems.

    Args:
        benchmarks: class_paths (the paper's nine are in `mentor_pl.evaluation.paper_benchmarks`), or settings of one's
            own.
        every_n_steps: batches of rollouts between two measurements; the last step is measured too.
        at_start: measure before the first step as well.
        sampler: decoder; by default `Coin` with 512 rows, which without a gate is plain continuous batching.
        seed: of the sampling noise; the same at every measurement, so that policies are compared on the same noise.
        folder: where benchmarks without a path lie, as `<name>.jsonl`; by default they come from the Hub.
        out: folder for the samples and results of `mentor validate`.
        words: whose share of responses is measured; by default the paper's reasoning words.
        table_rows: samples of each benchmark that a WandbLogger is given.

    Raises:
        UsageError: for an interval below 1 or two benchmarks of one name; in `setup`, before weights are loaded, for
            problems that cannot be read or do not fit the model.
    """

    def __init__(
        self,
        benchmarks: list[Benchmark],
        every_n_steps: int = 20,
        at_start: bool = True,
        sampler: Sampler | None = None,
        seed: int = 0,
        folder: str | None = None,
        out: str = "runs/benchmarks",
        words: list[str] | None = None,
        table_rows: int = 4,
    ) -> None:
        check("BenchmarkValidation every_n_steps", every_n_steps, at_least=1, because="it counts steps of rollouts")
        check("BenchmarkValidation table_rows", table_rows, at_least=0, otherwise="0 for no table")
        check_seed("BenchmarkValidation seed", seed)
        if not benchmarks:
            raise UsageError("BenchmarkValidation has no benchmarks: give one or more")
        names = [benchmark.name for benchmark in benchmarks]
        if len(set(names)) < len(names):
            raise UsageError(f"BenchmarkValidation has benchmarks {names}, but their names must differ: rename one")
        self.benchmarks = with_shared_rewards(benchmarks)
        self.every_n_steps, self.at_start = every_n_steps, at_start
        self.sampler: Sampler = sampler if sampler is not None else Coin(rows=512)
        self.seed, self.folder, self.out, self.table_rows = seed, folder, Path(out), table_rows
        self.words = WordOccurrence(words if words is not None else REASONING_WORDS).words
        self._prompts: dict[str, list[Prompt]] = {}
        self._pending = False  # whether a signal came before the step's measurement
        # under validate: what has been measured, where its samples are, and what is good to know of them
        self._kept: list[tuple[Benchmark, Evaluation]] = []
        self._folder = self.out
        self._notes: dict[str, str] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._check_others(trainer)
        if stage != TrainerFn.FITTING:
            check_folder("BenchmarkValidation out", self.out)
        else:
            for benchmark in self.benchmarks:
                for line in benchmark.unlike_training(trainer.datamodule):  # type: ignore[attr-defined]
                    rank_zero_info(line)
        module = cast(MentorModule, pl_module)
        with progress_bar("benchmarks", shown=trainer.is_global_zero) as progress:
            for done, benchmark in enumerate(self.benchmarks, start=1):
                benchmark.ids_without()
                prompts = benchmark.load(module.tokenizer, module.vocabulary.window, self.folder)
                self._prompts[benchmark.name] = prompts
                progress(done, len(self.benchmarks))

    def _check_others(self, trainer: Trainer) -> None:
        others = [one for one in trainer.callbacks if isinstance(one, BenchmarkValidation) and one is not self]  # type: ignore[attr-defined]
        ours = {benchmark.name for benchmark in self.benchmarks}
        for name in [benchmark.name for other in others for benchmark in other.benchmarks if benchmark.name in ours]:
            raise UsageError(
                f"two callbacks BenchmarkValidation measure a benchmark named '{name}', and their metrics would be "
                "one: rename it in one of them, or leave it out"
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = cast(MentorModule, pl_module).steps_done
        if self._pending or (self.at_start and step == 0):
            log_once(trainer, self._measure(trainer, pl_module, step), step)
            self._pending = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Rollouts, batch_idx: int
    ) -> None:
        done = batch.step + 1
        if done % self.every_n_steps == 0 or trainer.is_last_batch:
            try:
                measured = self._measure(trainer, pl_module, step=done)
            except Stopped:  # this batch is complete all the same, once the other callbacks have seen it
                self._pending = True
                return
            log_once(trainer, measured, step=done)
            pl_module.log_dict(measured, logger=False, batch_size=1)  # for ModelCheckpoint(monitor=…)
            for name, value in measured.items():
                if "/avg@" in name:
                    pl_module.log(name.removeprefix("val/"), value, prog_bar=True, logger=False, batch_size=1)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Measure the benchmark that the batch is, from samples on disk as far as they are there."""
        if not isinstance(batch, Benchmark) or batch not in self.benchmarks:
            return
        if not self._kept:
            self._open(trainer, cast(MentorModule, pl_module))
        evaluation = self._evaluate(trainer, pl_module, batch, self._folder / batch.name)
        self._kept.append((batch, evaluation))
        batch.grader.end()  # its processes start again when they are needed

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.on_validation_batch_start(trainer, pl_module, batch, batch_idx)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for benchmark, evaluation in self._kept:
            pl_module.log_dict(_named(benchmark, evaluation))
        if self._kept and trainer.is_global_zero:
            self._report()
        self._kept = []

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_validation_epoch_end(trainer, pl_module)

    def _measure(self, trainer: Trainer, pl_module: LightningModule, step: int) -> dict[str, float]:
        """Metrics of all benchmarks, while training."""
        cast(MentorModule, pl_module).sampling_begins()
        results: dict[str, float] = {}
        for benchmark in self.benchmarks:
            evaluation = self._evaluate(trainer, pl_module, benchmark)
            results |= _named(benchmark, evaluation)
            self._log_samples(trainer, benchmark, evaluation, step)
        return results

    def _log_samples(self, trainer: Trainer, benchmark: Benchmark, evaluation: Evaluation, step: int) -> None:
        """The first sample of the first problems, to W&B."""
        some = evaluation.answered[: self.table_rows]
        firsts = [(answered, answered.responses[0]) for answered in some]
        rows = [[step, answered.problem, answered.answer, first.text, first.correct] for answered, first in firsts]
        for logger in trainer.loggers if trainer.is_global_zero and rows else ():
            if isinstance(logger, WandbLogger):
                logger.log_table(f"val/{benchmark.name}/samples", COLUMNS, rows, step=step)

    def _open(self, trainer: Trainer, module: MentorModule) -> None:
        """Make the folder of the policy's samples; those of other settings are refused before any is decoded."""
        with decoding(module.policy):
            weights = fingerprint(module.policy)
        name = Path(module.policy_source.folder).resolve().name
        self._folder = self.out / f"{name}-{weights[:8]}"
        settings = {"weights": weights, "precision": str(trainer.precision)}
        self._notes = {"policy": module.policy_source.path, "checkpoint": str(trainer.ckpt_path or "")}
        for benchmark in self.benchmarks:
            place = self._folder / benchmark.name
            open_samples(place, module.models, benchmark, seed=self.seed, settings=settings, notes=self._notes)

    def _report(self) -> None:
        """Print and save the table."""
        kept = []
        for benchmark, _ in self._kept:
            answered = read_samples(self._folder / benchmark.name)
            asked = [answered[prompt.index] for prompt in self._prompts[benchmark.name]]
            kept.append(Kept(benchmark.name, asked, benchmark.ks, benchmark.ids_without()))
        summary = self._notes | {"seed": self.seed} | summarise(kept, self.words)
        save_summary(summary, self._folder)
        text = f"\n{to_markdown(summary)}\nsamples and results: {self._folder}"
        # by the console of the Trainer's bar, which would else break lines at the terminal's width
        get_console().print(text, soft_wrap=True, markup=False, highlight=False, emoji=False)

    def _evaluate(
        self, trainer: Trainer, pl_module: LightningModule, benchmark: Benchmark, keep: Path | None = None
    ) -> Evaluation:
        with trainer.precision_plugin.forward_context(), _progress(trainer, benchmark.name) as progress:
            return evaluate(
                cast(MentorModule, pl_module).models,
                benchmark,
                self._prompts[benchmark.name],
                self.sampler,
                seed=self.seed,
                words=self.words,
                keep=keep,
                progress=progress,
            )

    @property
    def state_key(self) -> str:
        """Of these benchmarks: a run may have several callbacks that measure others."""
        return self._generate_state_key(benchmarks=[benchmark.name for benchmark in self.benchmarks])

    def state_dict(self) -> dict[str, Any]:
        return {"pending": self._pending}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._pending = bool(state_dict["pending"])

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for benchmark in self.benchmarks:
            benchmark.grader.end()


def _named(benchmark: Benchmark, evaluation: Evaluation) -> dict[str, float]:
    return {f"val/{benchmark.name}/{name}": value for name, value in evaluation.metrics.items()}


@contextmanager
def _progress(trainer: Trainer, name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for the problems of a benchmark: a row of the Trainer's rich bar where there is one, else its own; off a
    terminal, lines."""
    bar = trainer.progress_bar_callback
    if bar is None or not trainer.is_global_zero:
        yield lambda done, total: None
        return
    if not sys.stdout.isatty():
        yield _lines(name)
        return
    own = None
    if not isinstance(bar, RichProgressBar) or bar.progress is None:
        own = Progress(*Progress.get_default_columns(), MofNCompleteColumn(), transient=True)
    progress: Any = own or bar.progress  # type: ignore[attr-defined]
    refresh = own.refresh if own else bar.refresh  # type: ignore[attr-defined]  # Lightning's moves when told to alone
    tasks: list[Any] = []

    def show(done: int, total: int) -> None:
        if not tasks:
            tasks.append(progress.add_task(f"val {name}", total=total))
        progress.update(tasks[0], completed=done)
        refresh()

    with own or nullcontext():
        yield show
        for task in tasks:
            progress.remove_task(task)
        refresh()


def _lines(name: str) -> Callable[[int, int], None]:
    """What stands for the bar in a log: a line every few seconds."""
    told = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _LINE_SECONDS:
            told = time.monotonic()
            rank_zero_info(f"benchmark {name}: {done} of {total} problems")

    return show
