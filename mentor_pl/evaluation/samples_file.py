"""Finished problems of a benchmark on disk: they survive a kill, and can be graded again without decoding.

    folder/header.json       what the samples depend on: a run with other settings is refused
    folder/samples.0.jsonl   one line per problem, a file per rank; a line that a kill tore is dropped

All ranks read all files before any of them writes, so a run may go on with another number of ranks.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.whole_files import whole_file
from mentor_pl.types import Prompt

HEADER = "header.json"


@dataclass(frozen=True)
class GradedResponse:
    """One response and what became of it."""

    text: str
    length: int  # tokens, the stop token included
    truncated: bool
    correct: bool
    parts: Mapping[str, float]  # of the reward


@dataclass(frozen=True)
class Answered:
    """One problem with its responses: a line of a samples file.

    Attributes:
        benchmark: its name.
        index: the problem's place in its data set.
        id: the problem's name in its data set; the place where it has none.
        prompt: the text that the model saw.
        problem: the problem as worded in the prompt.
        answer: the reference.
        response_prefix: as of `Prompt`.
        metadata: as of `Prompt`.
        responses: in the order of their noise.
        greedy: the response at temperature 0, where the protocol has one.
    """

    benchmark: str
    index: int
    id: str
    prompt: str
    problem: str
    answer: str
    response_prefix: str
    metadata: Mapping[str, Any]
    responses: tuple[GradedResponse, ...]
    greedy: GradedResponse | None = None

    def to_prompt(self) -> Prompt:
        """What a reward needs to grade the responses again."""
        return Prompt(self.index, self.problem, self.answer, (), self.response_prefix, self.metadata)


def read_samples(folder: Path) -> dict[int, Answered]:
    """The finished problems in `folder` by their place in the data set, from every rank's file.

    Raises:
        UsageError: for a line that is no finished problem, unless it is the last of its file and without its end.
    """
    found: dict[int, Answered] = {}
    for answered in finished(folder):
        found.setdefault(answered.index, answered)
    return dict(sorted(found.items()))


def finished(folder: Path) -> Iterator[Answered]:
    """The same one at a time, as they lie there; a problem that was answered twice comes twice."""
    for file in samples_files(folder):
        yield from _read(file)


def samples_files(folder: Path) -> list[Path]:
    """Every rank's file in `folder`."""
    return sorted(folder.glob("samples.*.jsonl"))


def _read(file: Path) -> Iterator[Answered]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return  # torn by a kill
            try:
                row = json.loads(line)
                responses = tuple(_checked(GradedResponse(**response)) for response in row.pop("responses"))
                greedy = row.pop("greedy")
                last = _checked(GradedResponse(**greedy)) if greedy else None
                yield _checked(Answered(**row, responses=responses, greedy=last))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
                raise UsageError(
                    f"{file}:{number}: no line of a samples file ({' '.join(str(problem).split())[:80]}): delete the "
                    "line, and its problem is decoded again"
                ) from problem


_Row = TypeVar("_Row", "GradedResponse", "Answered")
_KINDS = {"str": str, "int": int, "bool": bool, "Mapping[str, float]": dict, "Mapping[str, Any]": dict}


def _checked(row: _Row) -> _Row:
    """The row, whose texts are texts and whose numbers are numbers."""
    for one in fields(row):
        kind, value = _KINDS.get(str(one.type), object), getattr(row, one.name)
        if not isinstance(value, kind):
            raise TypeError(f"{one.name} is {value!r:.40}")
    return row


def to_line(answered: Answered) -> str:
    """The line of a problem, its end included."""
    return json.dumps(asdict(answered), ensure_ascii=False, default=str) + "\n"


def _encoded(text: str) -> bytes:
    """UTF-8, half characters (which data sets and models do write) included."""
    return text.encode("utf-8", "surrogatepass")


def replace_file(file: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one, whole. A link is replaced and not followed."""
    with whole_file(file) as new:
        new.write(_encoded(text))


def write_samples(file: Path, rows: Iterable[Answered]) -> None:
    """Replace a samples file."""
    replace_file(file, "".join(map(to_line, rows)))


def read_header(folder: Path) -> dict[str, Any]:
    """What `write_header` wrote.

    Raises:
        UsageError: where there is none, or it cannot be read.
    """
    file = folder / HEADER
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise UsageError(f"{file}: cannot be read ({problem}): give a folder that `mentor validate` wrote") from problem
    if not isinstance(header, dict) or not isinstance(header.get("settings"), dict):
        raise UsageError(f"{file}: has no `settings`: give a folder that `mentor validate` wrote")
    return header


def write_header(folder: Path, header: Mapping[str, Any]) -> None:
    """Write what the samples depend on (`settings`), and what is good to know.

    Raises:
        UsageError: for a folder that cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / HEADER, json.dumps(header, indent=2, ensure_ascii=False) + "\n")
    except OSError as problem:
        raise UsageError(f"{folder}: samples cannot be kept here ({problem}): name another folder") from problem


def check_settings(
    folder: Path,
    settings: Mapping[str, Any],
    unknown: Container[str] = (),
    remedy: str = "delete the folder, or keep the new samples in another one",
) -> None:
    """Compare with the header in `folder`, if there is one.

    Args:
        unknown: names of settings that are not compared.
        remedy: what to do where one differs.

    Raises:
        UsageError: for the first setting that differs.
    """
    if not (folder / HEADER).exists():
        return
    theirs, ours = _flat(read_header(folder)["settings"]), _flat(json.loads(json.dumps(settings)))
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in unknown and theirs.get(name) != ours.get(name):
            raise UsageError(
                f"{folder}: its samples were made with {name} = {theirs.get(name)!r}, not {ours.get(name)!r}: {remedy}"
            )


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    if not isinstance(settings, dict):
        return {prefix: settings}
    pairs = [_flat(value, f"{prefix}.{name}" if prefix else name) for name, value in settings.items()]
    return {name: value for pair in pairs for name, value in pair.items()}


class SamplesWriter:
    """Appends finished problems to this rank's file, each on the disk's side as soon as it is written.

    Args:
        folder: of the benchmark.
        rank: this process's place among all.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"samples.{rank}.jsonl"
        self._file = path.open("ab")
        whole = path.read_bytes().rfind(b"\n") + 1
        self._file.truncate(whole)  # what follows a torn line must not be glued to it

    def write(self, answered: Answered) -> None:
        """Add a problem."""
        self._file.write(_encoded(to_line(answered)))
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()
