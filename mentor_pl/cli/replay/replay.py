"""`mentor replay`: what a recorded step did to the weights, bit for bit, or what another method would have done."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import yaml

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.cli.lightning import MentorCLI, trainer_errors
from mentor_pl.cli.quiet import hushed, quiet
from mentor_pl.cli.recorded_run import made
from mentor_pl.cli.replay.plan import ReplayPlan, plan_replay
from mentor_pl.cli.replay.recorded_data import RecordedData
from mentor_pl.cli.replay.watch import ReplayWatch
from mentor_pl.runtime.errors import RunError, UsageError
from mentor_pl.runtime.printable import printable
from mentor_pl.training.frozen_models import Frozen, check_expert, load_frozen_models
from mentor_pl.training.module import MentorModule

_SHOWN = ("train/loss", "train/grad_norm", "train/entropy", "train/logprob_gap/max")


def replay(run: Path, step: int, algorithm: Path | None = None) -> None:
    """Run the update of a recorded step again, from the last checkpoint before it and the records since.

    On the run's machine and configuration the weights come out bit for bit; what they are compared with is said: the
    run's checkpoint behind the step, and the fingerprint in the next record. With --algorithm, the run's method and
    another are compared on the step's rollouts, at the weights that sampled them: losses, norms of the gradients, and
    their cosine, before the update is made as it was.

    Args:
        run: the run's folder, such as runs/quickstart/version_0, with records of callbacks.RolloutRecord.
        step: the step, as in metrics.csv.
        algorithm: a configuration with model.algorithm, such as configs/algorithms/grpo.yaml, to compare with.

    Raises:
        UsageError: for a step without a record, or with no checkpoint before it and no records since, for a record that
            lacks something, and for an algorithm that cannot be made or asks a model that the run has not.
        RunError: where the weights come out other than they did, or the step is not reached.
    """
    plan = plan_replay(run, step)
    other = read_algorithm(algorithm) if algorithm is not None else None
    watch = ReplayWatch(run, step, plan.after, other)
    with tempfile.TemporaryDirectory() as folder, quiet(), _only_warnings(), trainer_errors():
        _ReplayCLI(run, watch, _arguments(plan, Path(folder)))
    if watch.speaks:
        if not watch.metrics:
            raise RunError(f"the replay ended before step {step}: the run's settings are not those that made the step")
        _tell(plan, watch)


@contextmanager
def _only_warnings() -> Iterator[None]:
    """Leave unsaid how the run's settings are changed for the replay, and what the Trainer says of itself."""
    with warnings.catch_warnings(), hushed("lightning.pytorch", "lightning.fabric"):
        warnings.filterwarnings("ignore", message="(?s).*callbacks used to create the checkpoint")
        yield


def read_algorithm(file: Path) -> Algorithm:
    """The method that a configuration names as `model.algorithm`, with the terms of `model.terms`.

    Raises:
        UsageError: for a file that names none, or one that cannot be made.
    """
    try:
        model = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("model", {})
        named = {"algorithm": model["algorithm"], "terms": model.get("terms")}
    except (OSError, ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UsageError(
            f"--algorithm {file} names no model.algorithm ({reason}): give a file such as configs/algorithms/grpo.yaml"
        ) from None
    one = made({"algorithm": Algorithm, "terms": list[Term] | None}, named, f"--algorithm {file}")
    found: Algorithm = one.algorithm
    found.added = tuple(one.terms or ())
    return found


class _ReplayCLI(MentorCLI):
    """`mentor fit` over recorded rollouts, with one callback: the watch."""

    def __init__(self, run: Path, watch: ReplayWatch, args: list[str]) -> None:
        self.watch = watch
        other = watch.other

        class Module(MentorModule):
            """The run's, with what another method needs."""

            def configure_model(self) -> None:
                super().configure_model()
                if other is not None:
                    self._add_models(other)

            def _add_models(self, other: Algorithm) -> None:
                check_expert(other, self.expert_source)
                half = str(self.trainer.precision).startswith("bf16")
                place = torch.bfloat16 if half else torch.float32, self.trainer.strategy.root_device
                more = load_frozen_models(other, self.expert_source, self.reference_source, *place)
                ours = self._frozen
                mine = more if ours.expert is None else ours
                reference = more.reference if ours.reference is None else ours.reference
                self._frozen = Frozen(mine.expert, reference, mine.placed)

        super().__init__(Module, type("RecordedRun", (RecordedData,), {"run": run}), args)

    def make(self) -> None:
        super().make()
        self.trainer.callbacks.append(self.watch)  # type: ignore[attr-defined]


def _arguments(plan: ReplayPlan, folder: Path) -> list[str]:
    """Of `mentor fit`: the run's settings, from the checkpoint, and nothing that writes."""
    settings = dict(plan.before.settings)
    trainer = dict(settings.get("trainer") or {})
    trainer |= {"logger": False, "callbacks": None, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer |= {"default_root_dir": str(folder), "profiler": None, "max_time": None}
    settings |= {"trainer": trainer, "resume": None, "resume_changes": [], "ckpt_path": None}
    if plan.before.checkpoint is not None:
        settings["ckpt_path"] = str(plan.before.checkpoint)
        settings["resume_changes"] = [
            name for name in ("trainer", "data", "model", "seed_everything") if name in settings
        ]
    file = folder / "replay.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return ["fit", "--config", str(file)]


def _tell(plan: ReplayPlan, watch: ReplayWatch) -> None:
    """Print what the replay came to.

    Raises:
        RunError: where the weights are others.
    """
    records = watch.step - plan.before.done
    print(f"step {watch.step}, from {plan.before.words} and {records} record{'s' if records > 1 else ''}")
    names = [*_SHOWN, *(name for name in watch.metrics if name.startswith("train/") and name not in _SHOWN)]
    if watch.sides:
        _tell_sides(watch)
    else:
        for name in names:
            if name in watch.metrics:
                print(f"  {name:<28} {watch.metrics[name]:.6g}")
    if watch.strayed is not None:
        raise RunError(
            f"the weights of step {watch.strayed} are not those that sampled its rollouts: the replay has other code, "
            "settings or arithmetic than the run had"
        )
    for words, same in watch.verdicts.items():
        if not same:
            raise RunError(
                f"the weights after step {watch.step} are not {words}: the replay has other code, settings or "
                "arithmetic than the run had"
            )
        print(f"the weights are {words}, bit for bit")
    for line in watch.passed_over.files.values():
        print(printable(f"passed over: {line}"))
    if not watch.verdicts:
        print(f"no checkpoint of step {watch.step} and no record of step {watch.step + 1} is there to compare with")


def _tell_sides(watch: ReplayWatch) -> None:
    """Losses and gradients of both methods, at the weights that sampled."""
    ours, theirs = watch.sides
    names = list(dict.fromkeys([*ours.metrics, *theirs.metrics]))
    print(f"  {'at the weights that sampled':<28} {'the run':>12} {type(watch.other).__name__:>12}")
    for name in names:
        cells = [f"{side.metrics[name]:.6g}" if name in side.metrics else "–" for side in (ours, theirs)]
        print(f"  {name:<28} {cells[0]:>12} {cells[1]:>12}")
    each, whole = watch.cosines
    print(f"  cosine of the gradients {_in_words(whole)}; by mini-batch {', '.join(map(_in_words, each))}")


def _in_words(cosine: float) -> str:
    return "none" if math.isnan(cosine) else f"{cosine:.4f}"
