"""What a benchmark is: held-out problems, how they are asked, sampled and graded.

Those of the paper are in `paper_benchmarks.py`; one of your own is settings in YAML, or a subclass in a file of yours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any, ClassVar

from lightning.pytorch.utilities import rank_zero_info
from transformers import PreTrainedTokenizerBase

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.problems.prompts import check_template, render
from mentor_pl.problems.sources import SourceRow, read_rows
from mentor_pl.rewards.base import Reward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.runtime.collectives import world_size
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Prompt


@dataclass(frozen=True)
class Hub:
    """Where a data set lies on the Hugging Face Hub."""

    name: str
    split: str
    subset: str | None = None


def _quoted(text: str | None) -> str:
    """A setting of any length, as its beginning."""
    return "null" if text is None else repr(shorten(text, 60, placeholder=" …"))


@dataclass(frozen=True)
class Benchmark:
    """One set of problems with its protocol.

    Attributes:
        name: in metric names, `val/<name>/…`.
        path: file, folder or Hub name of the problems; by default `<name>.jsonl` in the folder of all benchmarks.
        reward: grader; a response is right where the part `correct` is 1. By default a `default_reward` of its own.
        samples: responses per problem, n; avg@n is reported.
        sampling: temperature, filters, maximum length of the samples.
        greedy: also report the accuracy of the greedy response.
        system_prompt: put before every problem; none by default.
        max_prompt_tokens: problems with longer prompts are left out; by default none is.
        limit: only the first so many problems; all by default.
        correct: the reward's part that says whether a response is right.
        pass_at: the k of each pass@k; by default n alone.
        rows: problems there must be where `limit` is not set; any number by default.
        without: file of problem ids, one a line; the table also has a row without these problems.
        template: as `data.template`: a plain text in place of the policy's chat template.
        grader: the reward, or its default; whoever has it grade closes it.
        default_reward: makes the default; `PaperReward`, for mathematics.

    Raises:
        UsageError: for counts out of range, a name that cannot be a folder's, or a template without a problem.
    """

    name: str
    path: str | None = None
    reward: Reward | None = None
    samples: int = 8
    sampling: SamplingParams = field(default_factory=SamplingParams)
    greedy: bool = False
    system_prompt: str | None = None
    max_prompt_tokens: int | None = None
    limit: int | None = None
    correct: str = "outcome"
    pass_at: list[int] | None = None
    rows: int | None = None
    without: str | None = None
    template: str | None = None
    grader: Reward = field(init=False, repr=False, compare=False)

    default_reward: ClassVar[type[Reward] | partial[Any]] = PaperReward
    hub: ClassVar[Hub | None] = None
    licence: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.+ -]*", self.name):
            raise UsageError(
                f"benchmark name is {self.name!r}, but a folder and metrics are named for it: give letters and digits"
            )
        check_template(self.template)
        object.__setattr__(self, "grader", self.reward if self.reward is not None else self.default_reward())
        self.grader.check_range()
        check(f"benchmark {self.name}: samples", self.samples, at_least=1)
        for name in ("limit", "rows", "max_prompt_tokens"):
            check(f"benchmark {self.name}: {name}", getattr(self, name), at_least=1, otherwise="or null for all")
        if not self.ks:
            raise UsageError(f"benchmark {self.name}: pass_at is []: give numbers, or null for pass@{self.samples}")
        for k in self.ks:
            there = f"there are {self.samples} samples"
            check(f"benchmark {self.name}: a pass_at", k, at_least=1, at_most=self.samples, because=there)

    @property
    def ks(self) -> list[int]:
        """The k of each pass@k."""
        return sorted(set(self.pass_at)) if self.pass_at is not None else [self.samples]

    def unlike_training(self, data: object) -> Iterator[str]:
        """A line for each setting of prompts that is another than training's, where its data module `data` has it."""
        for setting in ("system_prompt", "template"):
            own = getattr(self, setting)
            trained = getattr(data, setting, own)
            if trained != own:
                yield (
                    f"benchmark {self.name}: {setting} is {_quoted(own)}, in training {_quoted(trained)}: give the "
                    "benchmark the same one to measure what is trained"
                )

    def question(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """A row of the data set as the columns `problem` and `answer`, with what else graders use.

        None leaves a flawed row out. A subclass reads its own data set's columns here.
        """
        return dict(row)

    def read(self, folder: str | None = None) -> list[dict[str, Any]]:
        """The problems as the prompts word them, each with its place in the data set as `index` and its name as `id`.

        Args:
            folder: where benchmarks without a path of their own lie.

        Raises:
            UsageError: for a source or row that cannot be read, and for another number of problems than `rows`.
        """
        found = []
        for index, row in enumerate(self._rows(folder)):
            question = self._question(row)
            if question is not None:
                found.append(question | {"id": str(question.get("id", index)), "index": index})
        if self.limit is None and self.rows not in (None, len(found)):
            raise UsageError(
                f"benchmark {self.name}: {self.source(folder)} has {len(found)} problems, but the set has {self.rows}: "
                f"give the whole set, or set `limit`, or `rows` to {len(found)} if it is meant"
            )
        return found[: self.limit]

    def source(self, folder: str | None = None) -> str:
        """Where the problems come from: the path, the folder of all benchmarks, or the Hub.

        Raises:
            UsageError: where none of the three is known.
        """
        if self.path is not None:
            return self.path
        if folder is not None:
            return str(Path(folder) / f"{self.name}.jsonl")
        if self.hub is not None:
            return self.hub.name
        raise UsageError(f"benchmark {self.name}: no path: give the file of its problems, or the `folder` of all")

    def _rows(self, folder: str | None) -> list[SourceRow]:
        source = self.source(folder)
        if self.hub is not None and source == self.hub.name:
            return list(read_rows(source, split=self.hub.split, subset=self.hub.subset))
        if self.path is None and self.hub is not None and not Path(source).exists():
            raise UsageError(
                f"{source}: no such file or folder for benchmark {self.name}: put it there, name it as `path`, or set "
                f"`folder: null` to read {self.hub.name} from the Hub"
            )
        return list(read_rows(source, split="test"))

    def _question(self, row: SourceRow) -> dict[str, Any] | None:
        try:
            question = self.question(row.values)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as problem:
            what = f"no column {problem}" if isinstance(problem, KeyError) else str(problem)
            raise UsageError(f"{row.place}: no problem of {self.name}: {what}") from problem
        if question is None:
            return None
        for column in ("problem", "answer"):
            if not isinstance(question.get(column), str) or not question[column].strip():
                raise UsageError(f"{row.place}: '{column}' is {question.get(column)!r}, but must be a text")
        return question

    def load(self, tokenizer: PreTrainedTokenizerBase, window: int, folder: str | None = None) -> list[Prompt]:
        """The problems as the model sees them.

        Args:
            tokenizer: the policy's.
            window: tokens, prompt and response together, that the model attends to.
            folder: where benchmarks without a path of their own lie.

        Raises:
            UsageError: as of `read`; for prompts that leave no room for a response, and for fewer problems than
                processes.
        """
        prompts = [self._prompt(tokenizer, question) for question in self.read(folder)]
        longest = self.max_prompt_tokens or window
        kept = [prompt for prompt in prompts if len(prompt.token_ids) <= longest]
        if len(kept) < len(prompts):
            rank_zero_info(
                f"benchmark {self.name}: {len(prompts) - len(kept)} of {len(prompts)} problems left out, their prompts "
                f"exceed {longest} tokens"
            )
        if not kept:
            shortest = min(len(prompt.token_ids) for prompt in prompts)
            raise UsageError(
                f"benchmark {self.name}: all {len(prompts)} prompts exceed {longest} tokens, the shortest {shortest}: "
                "raise max_prompt_tokens, or take a model with a longer window"
            )
        if len(kept) < world_size():
            raise UsageError(f"benchmark {self.name}: {len(kept)} problems for {world_size()} processes: use fewer")
        needed = max(len(prompt.token_ids) for prompt in kept) + self.sampling.max_new_tokens
        if needed > window:
            raise UsageError(
                f"benchmark {self.name}: the longest prompt and sampling.max_new_tokens = "
                f"{self.sampling.max_new_tokens} make {needed} tokens, but the model attends to {window} at most: "
                "lower max_new_tokens"
            )
        return kept

    def _prompt(self, tokenizer: PreTrainedTokenizerBase, question: Mapping[str, Any]) -> Prompt:
        ids, response_prefix = render(tokenizer, question["problem"], self.system_prompt, self.template)
        if not ids:
            raise UsageError(
                f"benchmark {self.name}: problem {question['id']} has no tokens under this tokenizer: take the "
                "tokenizer that the policy was trained with"
            )
        metadata = {name: value for name, value in question.items() if name not in ("problem", "answer", "index")}
        return Prompt(question["index"], question["problem"], question["answer"], tuple(ids), response_prefix, metadata)

    def ids_without(self) -> frozenset[str]:
        """The ids in the file `without`.

        Raises:
            UsageError: where the file cannot be read.
        """
        if self.without is None:
            return frozenset()
        try:
            return frozenset(Path(self.without).expanduser().read_text(encoding="utf-8").split())
        except (OSError, UnicodeDecodeError) as problem:
            raise UsageError(f"benchmark {self.name}: without {self.without}: cannot be read: {problem}") from problem


def with_shared_rewards(benchmarks: Sequence[Benchmark]) -> list[Benchmark]:
    """The benchmarks, with one grader for all those that have the same default: one pool of workers for mathematics."""
    made: dict[type[Reward] | partial[Any], Reward] = {}
    return [
        one if one.reward is not None else replace(one, reward=made.setdefault(one.default_reward, one.grader))
        for one in benchmarks
    ]
