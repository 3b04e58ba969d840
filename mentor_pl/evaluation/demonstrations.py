"""Demonstrations of a model: its responses to the problems of a data set, graded, and put beside the problems' rows.

    out                     each problem's row as its source has it, and its demonstrations in a column more
    .<out's name>.samples   the problems answered so far (`samples_file.py`); hidden, so that where a folder of data is
                            read that `out` lies in, they are not

A demonstration is a whole response as text: what the template has written of it, and what was said, without special
tokens. That text is what is graded. Noise is keyed by (seed, problem, response), and `out` is written once all problems
are answered, in the source's order: in 32-true on one machine a run that was killed and goes on ends with the same
bytes as one that was not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mentor_pl.decoding.sampler import Sampler, decoding
from mentor_pl.evaluation.answering import answer
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.evaluate import block_size, same_problem
from mentor_pl.evaluation.metrics import pass_at_k
from mentor_pl.evaluation.samples_file import HEADER, Answered, SamplesWriter, finished
from mentor_pl.models.loading import Models
from mentor_pl.problems.selection import Selection, rows_of
from mentor_pl.runtime.errors import StorageError, UsageError
from mentor_pl.runtime.whole_files import whole_file
from mentor_pl.types import Prompt


@dataclass(frozen=True)
class Kept:
    """Which responses become demonstrations.

    Attributes:
        column: that holds them.
        at_most: of a problem, the first ones; None for all.
        wrong: whether those that are not right are kept too.
    """

    column: str = "demonstrations"
    at_most: int | None = None
    wrong: bool = False

    def of(self, answered: Answered) -> tuple[str, ...]:
        """The demonstrations among a problem's responses, each text once: whole ones that say something."""
        whole = [one for one in answered.responses if not one.truncated and one.text.strip()]
        texts = (answered.response_prefix + one.text for one in whole if one.correct or self.wrong)
        return tuple(dict.fromkeys(texts))[: self.at_most]


@dataclass
class Written:
    """What is in the file.

    Attributes:
        right: of each problem, which of its responses are right.
        tokens: of all responses.
        truncated, without_verdict: responses.
        demonstrated: problems that have a demonstration.
        demonstrations: of all problems.
    """

    right: list[list[bool]] = field(default_factory=list)
    tokens: int = 0
    truncated: int = 0
    without_verdict: int = 0
    demonstrated: int = 0
    demonstrations: int = 0

    def add(self, answered: Answered, texts: Sequence[str]) -> None:
        """Count a problem with its demonstrations."""
        self.right.append([one.correct for one in answered.responses])
        self.tokens += sum(one.length for one in answered.responses)
        self.truncated += sum(one.truncated for one in answered.responses)
        self.without_verdict += sum("not_graded" in one.parts for one in answered.responses)
        self.demonstrated += bool(texts)
        self.demonstrations += len(texts)

    def pass_at(self, k: int) -> float:
        """The chance that k responses to a problem contain a right one, as a mean over problems."""
        return float(pass_at_k(torch.tensor(self.right), k).mean())


def samples_folder(out: Path) -> Path:
    """Where the answered problems of a file lie."""
    return out.with_name(f".{out.name}.samples")


def check_out(out: Path, source: str) -> None:
    """Refuse a file that no data set is read from, that something else has written, or that the source takes in.

    Raises:
        UsageError: for it.
    """
    if out.suffix != ".jsonl":
        raise UsageError(f"out is '{out}', but its lines are JSON and data are read by their suffix: end it in .jsonl")
    if Path(source).is_dir() and out.absolute().is_relative_to(Path(source).absolute()):
        raise UsageError(
            f"out is '{out}', which lies in data '{source}' and would be read with it: name another folder"
        )
    if out.is_dir() or (out.exists() and not (samples_folder(out) / HEADER).exists()):
        raise UsageError(f"out is '{out}', which is there and was not written by this command: name another file")


def check_column(source: str, select: Selection, prompts: Sequence[Prompt], column: str) -> None:
    """Refuse a column that the rows have already.

    Raises:
        UsageError: for it.
    """
    for _, row in rows_of(source, select, {prompt.index for prompt in prompts}):
        if column in row.values:
            raise UsageError(
                f"column is '{column}', but {row.place} has one of that name, which would be lost: name another, and "
                "in training give it as data.select.columns.demonstrations"
            )


def answer_missing(
    models: Models,
    protocol: Benchmark,
    prompts: Sequence[Prompt],
    sampler: Sampler,
    *,
    seed: int,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, problems: None,
) -> tuple[int, float]:
    """Answer the problems that are not yet in the folder of samples, each kept as soon as it is graded.

    Args:
        models: the model as policy, and its vocabulary.
        protocol: responses per problem, sampling and reward.
        prompts: all problems.
        sampler: decoder.
        seed: of the sampling noise.
        folder: of samples.
        progress: called with the problems done and their number.

    Returns:
        tokens sampled, and seconds.

    Raises:
        UsageError: where a kept problem is no longer the same, and as of `answer`.
        StorageError: where an answer cannot be written.
    """
    asked = {prompt.index: prompt for prompt in prompts}
    kept = {
        same_problem(answered, asked[answered.index], models, folder).index
        for answered in finished(folder)
        if answered.index in asked
    }
    missing = [prompt for prompt in prompts if prompt.index not in kept]
    writer, done, tokens, began = SamplesWriter(folder, 0), len(kept), 0, time.perf_counter()
    progress(done, len(prompts))

    def keep(answered: Answered) -> None:
        nonlocal done
        with _on_disk(folder):
            writer.write(answered)
        done += 1
        progress(done, len(prompts))

    size = block_size(protocol.samples)
    try:
        with decoding(models.policy):
            for start in range(0, len(missing), size):
                block = missing[start : start + size]
                tokens += int(answer(models, protocol, block, sampler, seed, keep, special=False).lengths.sum())
    finally:
        writer.close()
    return tokens, time.perf_counter() - began


def write(out: Path, source: str, select: Selection, prompts: Sequence[Prompt], kept: Kept) -> Written:
    """Write the file of problems with demonstrations from the folder of samples, which has all of them.

    Args:
        out: the file.
        source, select: where the problems' rows are.
        prompts: the problems.
        kept: which responses become demonstrations.

    Raises:
        StorageError: where it cannot be written.
    """
    asked, found, written = {prompt.index for prompt in prompts}, dict[int, tuple[str, ...]](), Written()
    for answered in finished(samples_folder(out)):
        if answered.index in asked and answered.index not in found:
            found[answered.index] = kept.of(answered)
            written.add(answered, found[answered.index])
    with _on_disk(out), whole_file(out) as file:
        for index, row in rows_of(source, select, asked):
            file.write(_line({**row.values, kept.column: found[index]}))
    return written


@contextmanager
def _on_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StorageError(f"{path} cannot be written ({problem}): make room; the same command goes on") from None


def _line(row: dict[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False, default=str) + "\n").encode()
