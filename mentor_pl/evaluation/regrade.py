"""Kept samples graded again, without decoding: after a change of the reward, or by another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mentor_pl.evaluation.answering import right_and_parts
from mentor_pl.evaluation.class_spec import built_in, spec_of
from mentor_pl.evaluation.samples_file import (
    HEADER,
    Answered,
    GradedResponse,
    read_header,
    read_samples,
    samples_files,
    write_header,
    write_samples,
)
from mentor_pl.evaluation.table import Kept, Summary, save_summary, summarise
from mentor_pl.rewards.base import Grades, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.progress import progress_bar
from mentor_pl.types import Response


def regrade(samples: str | Path, reward: Reward | None = None) -> tuple[Summary, int]:
    """Grade the samples that `mentor validate` kept, in place, and write the table anew.

    Args:
        samples: the folder of a model (all its benchmarks) or of one benchmark.
        reward: grader of all; by default each benchmark's own, with the arguments that its samples were graded with,
            where it is one of this package that runs no code.

    Returns:
        the summary, and how many responses changed between right and wrong.

    Raises:
        UsageError: for a folder without samples, or whose header names no such reward.
    """
    folder = Path(samples).expanduser()
    folders = [folder] if (folder / HEADER).is_file() else sorted(file.parent for file in folder.glob(f"*/{HEADER}"))
    if not folders:
        raise UsageError(f"{folder}: no samples here: give a folder that `mentor validate` wrote, in runs/benchmarks")
    headers = {one: _whole_header(one) for one in folders}
    rewards = {
        one: reward or built_in(header["settings"].get("reward"), str(one / HEADER)) for one, header in headers.items()
    }
    kept, changes = [], 0
    for one, header in headers.items():
        changes += _regrade(one, header, rewards[one])
        answered = list(read_samples(one).values())
        if answered:
            kept.append(Kept(one.name, answered, header["pass_at"], frozenset(header["without"])))
    if not kept:
        raise UsageError(f"{folder}: its samples files are empty: run `mentor validate` first")
    first = headers[folders[0]]
    notes = {name: first.get(name, "") for name in ("policy", "checkpoint")} | {"seed": first["settings"].get("seed")}
    summary = notes | summarise(kept)
    save_summary(summary, folder)
    return summary, changes


def _whole_header(folder: Path) -> dict[str, Any]:
    header = read_header(folder)
    passes, without = header.get("pass_at"), header.get("without")
    whole = isinstance(passes, list) and all(type(k) is int and k > 0 for k in passes)
    if not whole or not isinstance(without, list) or not all(isinstance(name, str) for name in without):
        raise UsageError(
            f"{folder / HEADER}: has no lists `pass_at` and `without`: give a folder that `mentor validate` wrote"
        )
    if not isinstance(header["settings"].get("correct"), str):
        raise UsageError(
            f"{folder / HEADER}: its settings have no `correct`: give a folder that `mentor validate` wrote"
        )
    return header


def _regrade(folder: Path, header: Mapping[str, Any], reward: Reward) -> int:
    """Grade the samples of one benchmark; how many responses changed between right and wrong."""
    settings, before = {**header["settings"], "reward": spec_of(reward)}, read_samples(folder)
    correct = str(settings["correct"])
    after: list[Answered] = []
    try:
        pending = []
        for one in before.values():
            prompt, responses = one.to_prompt(), [Response(r.text, truncated=r.truncated) for r in _all_of(one)]
            pending.append((one, prompt, [reward.submit(prompt, response) for response in responses]))
        with progress_bar(folder.name) as progress:
            for one, prompt, futures in pending:
                after.append(_graded_anew(one, correct, reward.gather([prompt] * len(futures), futures)))
                progress(len(after), len(pending))
    finally:
        reward.close()
    files = samples_files(folder)
    write_samples(folder / "samples.0.jsonl", after)  # the first to be read, so a kill here loses and mixes nothing
    for file in files:
        if file.name != "samples.0.jsonl":
            file.unlink()
    write_header(folder, {**header, "settings": settings})
    return sum(
        was.correct != now.correct
        for old, new in zip(before.values(), after, strict=True)
        for was, now in zip(_all_of(old), _all_of(new), strict=True)
    )


def _all_of(answered: Answered) -> list[GradedResponse]:
    return [*answered.responses, *([answered.greedy] if answered.greedy is not None else [])]


def _graded_anew(answered: Answered, correct: str, grades: Grades) -> Answered:
    right, parts = right_and_parts(answered.benchmark, correct, grades)
    responses = [replace(response, parts=parts[i], correct=right[i]) for i, response in enumerate(_all_of(answered))]
    n = len(answered.responses)
    return replace(answered, responses=tuple(responses[:n]), greedy=responses[n] if responses[n:] else None)
