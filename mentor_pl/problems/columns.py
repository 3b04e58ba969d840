"""What a row means: which column, or value within one, is the problem, the answer, the level, the expert's
demonstrations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeGuard

from mentor_pl.problems.sources import SourceRow

_ABSENT = object()


@dataclass(frozen=True)
class Columns:
    """Where a row holds what. A dot leads into nested values: `reward_model.ground_truth`.

    A value may also be a chat, a list of `{role: …, content: …}`: a problem is its last user message, a demonstration
    its last assistant message.

    Attributes:
        problem: the problem's text.
        answer: the reference answer: a text, a number, or a list of one of these.
        level: difficulty, a number or a text with one (`Level 5`); may be absent.
        demonstrations: an expert's response, or a list of several; may be absent.
        metadata: other columns to keep for rewards and callbacks; all by default, which large columns make costly.
    """

    problem: str = "problem"
    answer: str = "answer"
    level: str = "level"
    demonstrations: str = "demonstrations"
    metadata: Sequence[str] | None = None


@dataclass(frozen=True)
class Problem:
    """One problem of a source.

    Attributes:
        index: the row's number among all rows of the source, from 0.
        place: where it was read, for messages.
        problem: its text.
        answer: the reference.
        level: difficulty; None where unknown.
        demonstrations: responses of an expert.
        metadata: other columns.
    """

    index: int
    place: str
    problem: str
    answer: str
    level: int | None = None
    demonstrations: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Unusable(Exception):
    """What keeps a row from being a problem."""


def problem_of(row: SourceRow, index: int, columns: Columns) -> Problem:
    """The problem that a row holds.

    Raises:
        Unusable: with the field that is missing or wrong.
    """
    values = row.values
    used = (columns.problem, columns.answer, columns.demonstrations)
    kept = [name for name in values if name not in used] if columns.metadata is None else columns.metadata
    return Problem(
        index,
        row.place,
        _required_text(values, "problem", columns.problem, _text_of_value),
        _required_text(values, "answer", columns.answer, _answer),
        _level(_nested_value(values, columns.level)),
        _demonstrations(_nested_value(values, columns.demonstrations), columns.demonstrations),
        {name: values[name] for name in kept if name in values},
    )


def _nested_value(values: Mapping[str, Any], name: str) -> Any:
    """The value of a column, or under a dotted path; `_ABSENT` where there is none."""
    if name in values:
        return values[name]
    value: Any = values
    for key in name.split("."):
        value = value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    return value


def demonstrations_of(row: SourceRow, columns: Columns) -> tuple[str, tuple[str, ...]]:
    """Problem and demonstrations of a row that needs no answer.

    Raises:
        Unusable: without problem or demonstrations, with the field.
    """
    demonstrations = _demonstrations(_nested_value(row.values, columns.demonstrations), columns.demonstrations)
    if not demonstrations:
        raise Unusable(
            f"field '{columns.demonstrations}' holds no response: name the right one as the column of demonstrations"
        )
    return _required_text(row.values, "problem", columns.problem, _text_of_value), demonstrations


def is_unanswered(row: SourceRow, columns: Columns) -> bool:
    """Whether the answer's column is absent, null or blank."""
    return _absent(_nested_value(row.values, columns.answer))


def _absent(value: Any) -> bool:
    return value is _ABSENT or value is None or (isinstance(value, str) and not value.strip())


def _required_text(values: Mapping[str, Any], what: str, name: str, read: Callable[[Any], str | None]) -> str:
    value = _nested_value(values, name)
    if value is _ABSENT:
        there = ", ".join(map(str, values))[:120]
        raise Unusable(f"field '{name}' is missing: name the right one in select.columns.{what}; there is {there}")
    text = read(value)
    if text is None:
        raise Unusable(f"field '{name}' is {value!r:.60}, but every row needs {_NEEDED[what]}")
    return text


_NEEDED = {"problem": "a text there, or a chat with a user's message", "answer": "a text or a number there"}


def _text_of_value(value: Any, role: str = "user") -> str | None:
    """A text that is not blank, or the last message of a role in a chat."""
    if _is_chat(value):
        value = next((message.get("content") for message in reversed(value) if message["role"] == role), None)
    return value if isinstance(value, str) and value.strip() else None


def _is_chat(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(m, dict) and "role" in m for m in value)


def _answer(value: Any) -> str | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and value.strip() else None


def _level(value: Any) -> int | None:
    number = re.search(r"\d+", str(value)) if isinstance(value, str | int | float) else None
    return int(number[0]) if number else None


def _demonstrations(value: Any, name: str) -> tuple[str, ...]:
    if _absent(value):
        return ()
    several = value if isinstance(value, list) and not _is_chat(value) else [value]
    texts = [_text_of_value(one, "assistant") for one in several if not _absent(one)]
    if None in texts:
        raise Unusable(
            f"field '{name}' is {value!r:.60}, but demonstrations are texts or chats with an assistant's message"
        )
    return tuple(text for text in texts if text is not None)
