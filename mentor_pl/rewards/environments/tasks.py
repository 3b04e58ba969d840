"""A task of reasoning-gym by its name: `reasoning_gym:countdown?size=1000&seed=1&max_numbers=4`.

Its problems are made anew wherever they are needed, from name, seed, place and settings alone, so nothing of them but
their text need be kept. The library makes problem i of seed s from s + i, so neighbouring seeds would share nearly all
problems: seed n here is n · `MAX_SIZE` there, and no two seeds share any.

The library is imported only once a task is named. Which task that is, data may say; what is imported, they may not.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from typing import Any

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check

PREFIX = "reasoning_gym:"
MAX_SIZE = 1_000_000
MAX_SEED = 4000  # below 2³² in the library
SIZE = 500  # the library's own
COLUMN = "reasoning_gym"  # of a row, and so of a prompt's metadata: how its problem is made anew
NO_ANSWER = "(any that the task's scorer takes)"


@dataclass(frozen=True)
class Task:
    """One task with its settings.

    Attributes:
        name: as the library lists it.
        seed: its problems differ from those of every other seed.
        size: how many problems there are.
        options: of the task's own configuration.

    Raises:
        UsageError: for a seed or a size out of range.
    """

    name: str
    seed: int = 0
    size: int = SIZE
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, value, most in (("seed", self.seed, MAX_SEED), ("size", self.size, MAX_SIZE)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise UsageError(f"{PREFIX}{self.name} has {key}={value!r}: give a whole number")
            check(f"{PREFIX}{self.name} {key}", value, at_least=int(key == "size"), at_most=most)

    @classmethod
    def named(cls, source: str, split: str) -> Task:
        """The task that a source names. Without a seed it is 0 for the split `train` and 1 for others.

        Raises:
            UsageError: for a setting without a value, or one out of range.
        """
        name, _, query = source.removeprefix(PREFIX).partition("?")
        options: dict[str, Any] = {}
        for pair in query.split("&") if query else ():
            key, _, value = pair.partition("=")
            if not key or not value:
                raise UsageError(f"{source}: '{pair}' is no setting: write {PREFIX}{name}?size=1000&seed=1")
            options[key] = _value(value)
        seed, size = options.pop("seed", int(split != "train")), options.pop("size", SIZE)
        return cls(name, seed, size, options)

    def dataset(self) -> Any:
        """The library's data set: `[i]` makes problem i, `score_answer(answer, entry)` scores.

        Raises:
            UsageError: where the library is not installed, or has no such task or setting.
        """
        known = library().DATASETS
        if self.name not in known:
            near = difflib.get_close_matches(self.name, known, n=4, cutoff=0.4) or sorted(known)[:8]
            raise UsageError(f"{PREFIX}{self.name}: reasoning_gym has no such task: give one such as {', '.join(near)}")
        settings = {one.name for one in fields(known[self.name][1])} - {"seed", "size"}
        for key in self.options:
            if key not in settings:
                raise UsageError(
                    f"{PREFIX}{self.name}: the task has no setting '{key}': its own are {', '.join(sorted(settings))}"
                )
        try:
            return library().create_dataset(
                self.name, seed=self.seed * MAX_SIZE, size=self.size, **_with_tuples(self.options)
            )
        except Exception as problem:  # an assertion of the task's own, mostly
            raise UsageError(f"{PREFIX}{self.name}: its settings do not fit: {said(problem)}") from problem


def origin(task: Task, index: int) -> dict[str, Any]:
    """How a problem is made anew."""
    return {"task": asdict(task), "index": index}


def row_of(task: Task, index: int, question: str, answer: str | None) -> dict[str, Any]:
    """A problem as a row of data: `problem`, `answer`, and its origin."""
    given = answer if answer is not None and answer.strip() else NO_ANSWER
    return {"problem": question, "answer": given, COLUMN: origin(task, index)}


def library() -> Any:
    """The module of the library that lists its tasks and makes them.

    Raises:
        UsageError: where it is not installed, or cannot be imported.
    """
    try:
        import_module("reasoning_gym")  # which enters its tasks into the list
        return import_module("reasoning_gym.factory")
    except ImportError as problem:
        raise UsageError(
            f"reasoning_gym cannot be imported ({said(problem)}): run `pip install mentor-pl[environments]`"
        ) from problem


def said(problem: BaseException) -> str:
    """What an exception says, on one line."""
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:200]


def _value(text: str) -> Any:
    """A number, a list or the like as JSON writes it; otherwise the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _with_tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as tuples, which the library's configurations hold."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
