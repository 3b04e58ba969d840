"""Rows from wherever they lie: JSON lines, JSON, Parquet, a folder of these, a saved `datasets` folder, or the Hub.
Those of a task that generates its problems are made.

Every row knows its place, so that whatever turns out to be wrong with it can be said with file and line.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mentor_pl.rewards.environments.tasks import PREFIX, Task, origin, row_of
from mentor_pl.rewards.pool.pool import Failure, WorkerPool
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.hub import hub_problem

FILES = (".jsonl", ".json", ".parquet")
# What the names of files and folders call the parts of a data set.
PARTS = frozenset({"train", "training", "test", "eval", "evaluation", "validation", "valid", "val", "dev", "heldout"})
_AT_ONCE = 256  # problems that a task is asked for in advance
_MAKING_FAILURES = {Failure.TIMEOUT: "it takes over 60 seconds", Failure.CRASH: "it takes over 2 GiB of memory"}
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class SourceRow:
    """One row of a source.

    Attributes:
        values: column -> value.
        place: `file.jsonl:12` (lines count from 1), `file.parquet row 11` or `owner/name[train] row 11` (rows from 0).
    """

    values: Mapping[str, Any]
    place: str


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used: its place, as of `SourceRow`, and what is wrong with it."""

    place: str
    reason: str


def source_of(place: str) -> str:
    """The file or the part of a data set in which a place lies."""
    return re.sub(r":\d+$| row \d+$", "", place)


def refuse(bad: BadRow) -> None:
    """What is done with a bad row by default: reading ends."""
    raise UsageError(f"{bad.place}: {bad.reason}")


def read_rows(
    source: str | Path, *, split: str = "train", subset: str | None = None, on_bad: Callable[[BadRow], None] = refuse
) -> Iterator[SourceRow]:
    """The rows of a source, one at a time, in its order.

    Args:
        source: a file (JSON lines, a JSON list, Parquet), a folder of such files, a folder written by
            `datasets.save_to_disk`, the name of a data set on the Hub, `owner/name`, or a task of reasoning-gym,
            `reasoning_gym:countdown?size=1000&seed=1`.
        split: part of a Hub data set, of a saved one, or of a folder whose files are all named for their part
            (`train-00000-of-00002.parquet`). Other folders and single files are read whole.
        subset: configuration of a Hub data set, or a folder inside the folder.
        on_bad: takes each row that is not JSON or no object; `bad.append` skips and lists them.

    Raises:
        UsageError: for a source that is not there, cannot be read or has no rows.
    """
    empty = True
    try:
        for row in _rows(source, split, subset, on_bad):
            empty = False
            yield row
    except OSError as problem:
        raise UsageError(f"{source}: cannot be read: {problem}") from problem
    if empty:
        raise UsageError(f"{source}: no rows: give at least one problem with its answer")


def _rows(source: str | Path, split: str, subset: str | None, on_bad: Callable[[BadRow], None]) -> Iterator[SourceRow]:
    if not str(source).strip():  # which as a path would be this folder
        raise UsageError("a source of problems is an empty text: give a file, a folder or a Hub name, owner/name")
    if str(source).startswith(PREFIX):
        return _generated(str(source), split, subset, on_bad)
    path = Path(source).expanduser()
    if path.is_dir():
        return _dataset_folder(path / subset if subset else path, split, on_bad)
    if not path.is_file():
        return _hub(str(source), path, split, subset)
    if subset is not None:
        raise UsageError(f"{path}: subset is '{subset}', but a file has none: leave it out")
    return _file(path, on_bad)


def _file(file: Path, on_bad: Callable[[BadRow], None]) -> Iterator[SourceRow]:
    if file.suffix not in FILES:
        raise UsageError(
            f"{file}: its name ends in '{file.suffix}', but problems are read from {', '.join(FILES)}: write one JSON "
            "object per line to a .jsonl file"
        )
    if file.suffix == ".parquet":
        return _parquet(file)
    if file.suffix == ".json" and _starts_with_bracket(file):
        return _json_list(file, on_bad)
    return _json_lines(file, on_bad)


def _json_lines(file: Path, on_bad: Callable[[BadRow], None]) -> Iterator[SourceRow]:
    with file.open("rb") as lines:  # as bytes, which end lines at \n alone: JSON strings may hold U+2028 as it is
        for number, line in enumerate(lines, start=1):
            place = f"{file}:{number}"
            if not line.strip():
                continue
            try:
                values = json.loads(line.decode("utf-8-sig"))
            except json.JSONDecodeError as problem:
                on_bad(BadRow(place, f"not JSON ({problem.msg} at column {problem.colno}): write one object per line"))
            except UnicodeDecodeError as problem:
                on_bad(BadRow(place, f"not UTF-8 at byte {problem.start} of the line: save the file as UTF-8"))
            except (ValueError, RecursionError) as problem:  # numbers too long, or nested too deep, to be read
                on_bad(BadRow(place, f"cannot be read ({_one_line(problem)}): leave the row out"))
            else:
                yield from _row_of_values(values, place, on_bad, checked=b"\\ud" not in line.lower())


def _json_list(file: Path, on_bad: Callable[[BadRow], None]) -> Iterator[SourceRow]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        items = json.loads(text)
    except json.JSONDecodeError as problem:
        raise UsageError(f"{file}:{problem.lineno}: not JSON ({problem.msg} at column {problem.colno})") from problem
    except UnicodeDecodeError as problem:
        raise UsageError(f"{file}: not UTF-8 at byte {problem.start}: save the file as UTF-8") from problem
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"{file}: cannot be read: {_one_line(problem)}: leave out what it holds there") from problem
    for number, values in enumerate(items):
        yield from _row_of_values(values, f"{file} row {number}", on_bad, checked="\\ud" not in text.lower())


def _starts_with_bracket(file: Path) -> bool:
    with file.open("rb") as text:
        return text.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _row_of_values(values: Any, place: str, on_bad: Callable[[BadRow], None], *, checked: bool) -> Iterator[SourceRow]:
    """A row, if it is an object and, unless that is `checked`, of whole characters: JSON can escape half of one."""
    try:
        whole = checked or bool(json.dumps(values, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        whole = False
    if isinstance(values, dict) and whole:
        yield SourceRow(values, place)
    elif whole:
        on_bad(BadRow(place, f'a {type(values).__name__}, but every line is an object {{"problem": …}}'))
    else:
        on_bad(BadRow(place, "half a character (a lone surrogate, \\ud800 to \\udfff): write it whole or leave it out"))


def _parquet(file: Path) -> Iterator[SourceRow]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=1024):
                for values in batch.to_pylist():
                    yield SourceRow(values, f"{file} row {number}")
                    number += 1
    except ArrowException as problem:
        raise UsageError(f"{file}: not a readable Parquet file: {_one_line(problem)}") from problem


def _dataset_folder(folder: Path, split: str, on_bad: Callable[[BadRow], None]) -> Iterator[SourceRow]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder: leave subset out or name a folder inside {folder.parent}")
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        yield from _saved(folder, split)
        return
    visible = (path for path in folder.rglob("*") if "/." not in f"/{path.relative_to(folder).as_posix()}")
    files = sorted(path for path in visible if path.suffix in (".jsonl", ".parquet"))
    if not files:
        raise UsageError(f"{folder}: neither .jsonl nor .parquet files here, and nothing that datasets saved")
    for file in _files_of_split(folder, files, split):
        yield from _file(file, on_bad)


def _files_of_split(folder: Path, files: list[Path], split: str) -> list[Path]:
    """The files named for the split, where every file is named for a part of the data; else all files."""
    words = [set(re.split(r"[\W_]+", str(file.relative_to(folder)).lower())) for file in files]
    if not all(word & PARTS for word in words):
        return files
    chosen = [file for file, word in zip(files, words, strict=True) if split.lower() in word]
    if not chosen:
        there = ", ".join(sorted(set().union(*words) & PARTS))
        raise UsageError(f"{folder}: no file is named for the split '{split}': give one of {there} as split")
    return chosen


def _saved(folder: Path, split: str) -> Iterator[SourceRow]:
    import datasets

    try:
        data = datasets.load_from_disk(str(folder))
    except Exception as problem:  # of many kinds, for folders cut off or written by other versions
        raise UsageError(f"{folder}: what datasets saved here cannot be read: {_one_line(problem)}") from problem
    place = str(folder)
    if isinstance(data, datasets.DatasetDict):
        if split not in data:
            raise UsageError(f"{folder}: no split '{split}': give one of {', '.join(data)}")
        data, place = data[split], f"{folder}[{split}]"
    for number, values in enumerate(data):
        yield SourceRow(values, f"{place} row {number}")


def _generated(source: str, split: str, subset: str | None, on_bad: Callable[[BadRow], None]) -> Iterator[SourceRow]:
    if subset is not None:
        raise UsageError(f"{source}: subset is '{subset}', but a task has none: leave it out")
    task = Task.named(source, split)
    task.dataset()  # what is wrong with name or settings is said before any process starts
    pool = WorkerPool("mentor_pl.rewards.environments.making:make", timeout=60, memory_mb=2048, warmup=[None])
    try:
        for first in range(0, task.size, _AT_ONCE):
            indices = range(first, min(first + _AT_ONCE, task.size))
            for index, made in zip(indices, pool.map(origin(task, index) for index in indices), strict=True):
                place = f"{PREFIX}{task.name} row {index}"
                if isinstance(made, list):
                    yield SourceRow(row_of(task, index, *made), place)
                else:
                    on_bad(BadRow(place, f"the task makes no problem here ({_MAKING_FAILURES.get(made, made)})"))
    finally:
        pool.close()


def _hub(source: str, path: Path, split: str, subset: str | None) -> Iterator[SourceRow]:
    local = path.suffix in FILES or (path.parent != Path() and path.parent.is_dir())
    if local or not _HUB_NAME.fullmatch(source):
        raise UsageError(
            f"{source}: no such file or folder here ({Path.cwd()}): give JSON lines, Parquet, a folder of these, or "
            "the name of a data set on the Hub, owner/name"
        )
    import datasets

    if hub_problem(source, "dataset").startswith("the Hub does not answer"):
        datasets.config.HF_HUB_OFFLINE = True  # looks into its cache at once and does not retry for long
    if not sys.stderr.isatty():  # a bar in a log file is a thousand lines
        datasets.disable_progress_bars()
    try:
        data = datasets.load_dataset(source, subset, split=split)
    except Exception as problem:  # of many kinds: no connection, no such name, subset or split, gated
        raise UsageError(
            f"{source}: no such file or folder here, and as a data set of the Hub it cannot be read (split '{split}', "
            f"subset {subset!r}): {_one_line(problem)}: check the name and the connection, or run "
            f"`hf download {source} --repo-type dataset --local-dir FOLDER` where there is one and give the folder"
        ) from problem
    for number, values in enumerate(data):
        yield SourceRow(values, f"{source}[{split}] row {number}")


def _one_line(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:300]
