"""`mentor fork`: from a replaced token, k rollouts behind the policy's draft and k behind the expert's token.

Both go on by the policy alone, so what tells them apart is that one token. Each continuation has noise of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from mentor_pl.cli.quiet import quiet
from mentor_pl.cli.recorded_run import Before, check_run, data_of, models_of, weights_before
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.sampler import Sampler, decoding
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.intervals import difference, wilson
from mentor_pl.experiments.tokens.continuations import successes
from mentor_pl.models.loading import Models
from mentor_pl.records.forks import Fork, append_fork
from mentor_pl.records.reading import read_step
from mentor_pl.records.rows import clean
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.printable import printable
from mentor_pl.runtime.progress import progress_bar
from mentor_pl.runtime.ranges import MAX_GROUP, check, check_seed
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.types import Prompt, Row

_BEFORE = 60  # characters of the response that are shown


def fork(
    run: Path,
    step: int,
    rollout: int,
    token: int,
    k: int = 16,
    sampler: Sampler | None = None,
    seed: int = 0,
) -> None:
    """Measure what one intervention of the expert was worth: k responses behind each of the two tokens.

    They begin as the rollout does, with the policy's draft or the expert's token at the place, and go on by the policy
    alone, with the last weights of before the step that the run still has. A success is a reward whose part `outcome`
    is 1. Intervals are at 95 %: Wilson's, and Newcombe's of the difference. What was found goes behind the lines of
    forks.jsonl in the run's folder, too, and `mentor view` shows it at the token.

    Args:
        run: the run's folder, such as runs/quickstart/version_0, with records of callbacks.RolloutRecord.
        step: the step, as in metrics.csv.
        rollout: its place in the step's record, from 0.
        token: place of a replaced token in the response, from 0.
        k: responses of each.
        sampler: decoder; by default `Coin` with 512 rows.
        seed: of the noise.

    Raises:
        UsageError: for a step, rollout or token that is not there or was not replaced, for a problem that the data no
            longer have, for a run whose models or weights cannot be read, and for one whose folder takes no line more.
    """
    check_run(run)
    check("k", k, at_least=1, at_most=MAX_GROUP, because="it counts responses")
    check_seed("seed", seed)
    row = find(run, step, rollout, token)
    before = weights_before(run, step)
    half = torch.cuda.is_available()
    with quiet():
        data, models = data_of(before), models_of(before)
        with decoding(models.policy), torch.autocast(models.device.type, torch.bfloat16, enabled=half):
            counts = measure(data, models, row, token, k, sampler or Coin(rows=512), seed)
    draft = clean(str(models.tokenizer.decode([row["drafts"][token]], skip_special_tokens=False)))
    found = _found(row, rollout, token, before, draft, counts, k, seed)
    said = str(models.tokenizer.decode(row["ids"][:token], skip_special_tokens=False))
    _tell(found, printable(said[-_BEFORE:]))
    append_fork(run, found)


def find(run: Path, step: int, rollout: int, token: int) -> dict[str, Any]:
    """The row of a replaced token.

    Raises:
        UsageError: where the rollout or the token is not there, or was not replaced.
    """
    table = read_step(run, step)
    if not 0 <= rollout < len(table):
        raise UsageError(f"rollout {rollout} of step {step}: the record has rollouts 0 to {len(table) - 1}")
    row: dict[str, Any] = table.slice(rollout, 1).to_pylist()[0]
    places = [place for place, replaced in enumerate(row["replaced"]) if replaced]
    if token not in places:
        there = f"replaced are {_some(places)}" if places else _with_replaced(table)
        raise UsageError(f"token {token} of rollout {rollout} of step {step} was not replaced; {there}")
    return row


def _with_replaced(table: pa.Table) -> str:
    """Of a rollout without replaced tokens: those of its step that have some."""
    rows = [place for place, flags in enumerate(table["replaced"].to_pylist()) if any(flags)]
    if not rows:
        return "the step has no token that was: take one of a method that guides"
    return f"none of its tokens was: take a rollout of {_some(rows)}"


def _some(places: list[int]) -> str:
    return ", ".join(map(str, places[:12])) + (", …" if len(places) > 12 else "")


def measure(
    data: RolloutDataModule, models: Models, row: dict[str, Any], token: int, k: int, sampler: Sampler, seed: int
) -> tuple[int, int]:
    """How many of k responses succeed, behind the policy's draft and behind the expert's token; call inside
    `decoding(models.policy)`.

    Args:
        data: problems, reward, how rollouts are sampled.
        models: policy and vocabulary.
        row: of the record.
        token: place of the replaced token.
        k: responses of each.
        sampler: decoder.
        seed: of the noise.
    """
    prompt, limit = _problem(data, models, row), data.sampling.max_new_tokens
    rows = []
    for number, last in enumerate((row["drafts"][token], row["ids"][token])):
        given = (*row["ids"][:token], last)
        ended = last in models.vocabulary.stop_ids or len(given) >= limit
        rows.append(Row(prompt, tuple(row["prompt_ids"]), number, given=given, complete=ended))
    problems = Benchmark("fork", reward=data.reward, sampling=data.sampling)
    try:
        with progress_bar("responses") as progress:
            draft, expert = successes(models, problems, rows, k, sampler, seed, progress)
    finally:
        data.reward.close()
    return draft, expert


def _problem(data: RolloutDataModule, models: Models, row: dict[str, Any]) -> Prompt:
    """The problem that the rollout answers, as graders know it."""
    for prompt in data.load(models.tokenizer).prompts:
        if prompt.index == row["problem"] and clean(prompt.problem) == row["problem_text"]:
            return prompt
    raise UsageError(
        f"{data.train} no longer has problem {row['problem']} as the rollout's prompt words it: put the run's data back"
    )


def _found(
    row: dict[str, Any],
    rollout: int,
    token: int,
    before: Before,
    piece: str,
    counts: tuple[int, int],
    k: int,
    seed: int,
) -> Fork:
    """What was found, as a run keeps it; `piece` is the text of the policy's draft."""
    draft, expert = counts
    (draft_low, draft_high), (expert_low, expert_high) = wilson(draft, k), wilson(expert, k)
    worth, low, high = difference(expert, k, draft, k)
    return Fork(
        **{name: row[name] for name in ("step", "rank", "group", "number", "problem")},
        rollout=rollout,
        token=token,
        sampled_by=row["weights"],
        draft_id=row["drafts"][token],
        expert_id=row["ids"][token],
        draft_piece=piece,
        expert_piece=row["pieces"][token],
        weights=before.words,
        learned=before.done,
        k=k,
        seed=seed,
        draft_succeeded=draft,
        draft_low=draft_low,
        draft_high=draft_high,
        expert_succeeded=expert,
        expert_low=expert_low,
        expert_high=expert_high,
        difference=worth,
        difference_low=low,
        difference_high=high,
    )


def _tell(found: Fork, said: str) -> None:
    """Print what was found; `said` is the end of the response before the token."""
    behind = found.step - 1 - found.learned
    exact = "those that sampled it" if not behind else f"{behind} step{'s' if behind > 1 else ''} before those that did"
    print(f"problem {found.problem}, step {found.step}, token {found.token}, behind: …{said}")
    print(f"weights of {found.weights}, {exact}; {found.k} responses of each, by the policy alone")
    for name, piece, count, low, high in (
        ("policy's draft", found.draft_piece, found.draft_succeeded, found.draft_low, found.draft_high),
        ("expert's token", found.expert_piece, found.expert_succeeded, found.expert_low, found.expert_high),
    ):
        rate = f"{count / found.k:.2f} [{low:.2f}, {high:.2f}]"
        print(f"  {name}  {printable(piece)!r:<16} {count:>4} of {found.k} succeed  {rate}")
    print(f"  difference {found.difference:+.2f} [{found.difference_low:+.2f}, {found.difference_high:+.2f}]")
