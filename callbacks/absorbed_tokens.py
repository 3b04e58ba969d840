"""Scores replaced tokens of earlier steps again: what did the policy take over from the expert, what did it drop?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from mentor_pl.decoding.sampler import decoding
from mentor_pl.experiments.figures.absorbed import draw_absorbed
from mentor_pl.experiments.figures.drawing import save_figures
from mentor_pl.records.absorbed import SCHEMA, Replaced, read_absorbed, scored_rows, write_absorbed
from mentor_pl.records.damaged import DamagedFile
from mentor_pl.records.rows import clean
from mentor_pl.runtime.collectives import all_objects, rank
from mentor_pl.runtime.failing_writes import FailingWrites
from mentor_pl.runtime.logging import log_once
from mentor_pl.runtime.ranges import check
from mentor_pl.training.checkpoints import run_folder
from mentor_pl.training.module import MentorModule
from mentor_pl.training.scoring import given_likelihoods
from mentor_pl.types import Prompt, Rollouts, Row


class AbsorbedTokens(Callback):
    """Every n steps logs `absorbed/expert` and `absorbed/draft`, mean log π now less log π then of the expert's token
    and of the draft that fell, over a sample of the replaced tokens of all steps so far; `absorbed/taken_over`, the
    share of tokens whose expert's token is now likelier than the draft, beside `absorbed/taken_over_then`; and
    `absorbed/dropped`, the share whose expert's token is less likely than it was.

    Every token's values go into `absorbed.parquet` in the run's folder, and at the end the figure `absorbed.png`,
    `absorbed.svg`. "Then" is with the weights that sampled, so the first update counts.

    Args:
        every_n_steps: batches of rollouts between two times that tokens are scored again.
        tokens: replaced tokens that are kept of such a step, on each process.
        keep: tokens that are kept in all, on each process; the oldest go.

    Raises:
        UsageError: for numbers that count nothing.
    """

    def __init__(self, every_n_steps: int = 5, tokens: int = 16, keep: int = 256) -> None:
        check("AbsorbedTokens every_n_steps", every_n_steps, at_least=1, because="it counts steps of rollouts")
        check("AbsorbedTokens tokens", tokens, at_least=1, because="it counts tokens")
        check("AbsorbedTokens keep", keep, at_least=tokens, because="the tokens of a step are to be kept")
        self.every_n_steps, self.tokens, self.keep = every_n_steps, tokens, keep
        self._kept: list[Replaced] = []
        self._writes = FailingWrites("AbsorbedTokens", "what is not written is lost")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What steps have told that are to be done again goes."""
        if trainer.is_global_zero:
            self._write(run_folder(trainer), cast(MentorModule, pl_module).steps_done, None)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Rollouts, batch_idx: int
    ) -> None:
        """Keep some of the step's replaced tokens, as the weights that sampled score them."""
        if (batch.step + 1) % self.every_n_steps:
            return
        module = cast(MentorModule, pl_module)
        chosen = choose(batch, self.tokens, module)
        expert, draft = _scores(trainer, module, chosen)
        now = [
            replace(one, expert_then=then, draft_then=fallen)
            for one, then, fallen in zip(chosen, expert, draft, strict=True)
        ]
        self._kept = [*self._kept, *now][-self.keep :]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Rollouts, batch_idx: int
    ) -> None:
        step = batch.step + 1
        if step % self.every_n_steps:
            return
        rows = scored_rows(self._kept, *_scores(trainer, cast(MentorModule, pl_module), self._kept), step)
        whole = pa.concat_tables(all_objects(rows))
        if len(whole):
            log_once(trainer, {f"absorbed/{name}": value for name, value in summary(whole).items()}, step)
        if trainer.is_global_zero and len(whole):
            self._write(run_folder(trainer), step - 1, whole)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        folder = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        with self._writes:
            if len(rows := _read(folder)):
                save_figures({"absorbed": draw_absorbed(rows)}, folder)

    def _write(self, folder: Path, step: int, new: pa.Table | None) -> None:
        """Put new rows behind those of up to `step`."""
        with self._writes:
            before = _read(folder)
            kept = before.filter(pc.less_equal(before["scored_at"], step))
            if new is not None or len(kept) < len(before):
                write_absorbed(folder, kept if new is None else pa.concat_tables([kept, new]))

    def state_dict(self) -> dict[str, Any]:
        """The kept tokens of every process; called on all of them."""
        return {"kept": all_objects([asdict(one) for one in self._kept])}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        kept = state_dict["kept"]
        self._kept = [Replaced.of(one) for one in kept[rank()]] if rank() < len(kept) else []


def _read(folder: Path) -> pa.Table:
    """The rows of a run; a file that is damaged is put aside, since a run does not end for it."""
    try:
        return read_absorbed(folder)
    except DamagedFile as problem:
        aside = problem.path.replace(problem.path.with_suffix(".damaged"))
        rank_zero_warn(f"AbsorbedTokens: {problem}. It is {aside.name} now, and the run begins another")
        return SCHEMA.empty_table()


def choose(rollouts: Rollouts, count: int, module: MentorModule) -> list[Replaced]:
    """Some of the replaced tokens of a process's rollouts, in order; which ones the step decides alone.

    Args:
        rollouts: of this process.
        count: tokens at most.
        module: with the tokenizer.
    """
    places = rollouts.replaced.nonzero().cpu()  # [·, 2]
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(rollouts.step))[:count]
    found = []
    for row, position in places[order.sort().values].tolist():
        expert, draft = int(rollouts.response_ids[row, position]), int(cast(Any, rollouts.drafts)[row, position])
        prompt = rollouts.prompt_ids[row, : int(rollouts.prompt_lengths[row])].tolist()
        pieces = [clean(str(module.tokenizer.decode([one], skip_special_tokens=False))) for one in (expert, draft)]
        found.append(
            Replaced(
                step=rollouts.step + 1,
                rank=rank(),
                group=int(rollouts.group[row]),
                number=int(cast(Any, rollouts.numbers)[row]),
                problem=int(cast(Any, rollouts.problems)[row]),
                position=position,
                expert_id=expert,
                draft_id=draft,
                expert_piece=pieces[0],
                draft_piece=pieces[1],
                context=(*prompt, *rollouts.response_ids[row, :position].tolist()),
                temperature=rollouts.temperature,
            )
        )
    return found


def _scores(trainer: Trainer, module: MentorModule, tokens: Sequence[Replaced]) -> tuple[list[float], list[float]]:
    """log π of the expert's token and of the draft with the weights as they are; call on every rank."""
    nothing = Prompt(0, "", "", ())
    rows = [
        Row(nothing, one.context, number, given=(token,), complete=True)
        for number in (0, 1)
        for one in tokens
        for token in ((one.expert_id, one.draft_id)[number],)
    ]
    with decoding(module.policy), trainer.precision_plugin.forward_context():
        temperature = tokens[0].temperature if tokens else 1.0
        values = given_likelihoods(module.models, module.micro_batch_tokens, temperature, rows).tolist()
    return values[: len(tokens)], values[len(tokens) :]


def summary(rows: pa.Table) -> dict[str, float]:
    """What is logged of tokens that were scored again."""
    names = ("expert_then", "expert_now", "draft_then", "draft_now")
    expert_then, expert, draft_then, draft = (rows[name].to_numpy() for name in names)
    return {
        "expert": float(np.mean(expert - expert_then)),
        "draft": float(np.mean(draft - draft_then)),
        "taken_over": float(np.mean(expert > draft)),
        "taken_over_then": float(np.mean(expert_then > draft_then)),
        "dropped": float(np.mean(expert < expert_then)),
    }
