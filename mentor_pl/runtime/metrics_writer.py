"""The file behind a CSVLogger: a row for each step; a new header replaces the file, a run that goes on adds to it.

Lightning's own writer deletes the file of a run that goes on, and empties it before it writes a new header.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from mentor_pl.runtime.whole_files import whole_file


class MetricsWriter:
    """What `CSVLogger.experiment` is: rows of metrics with their step.

    Args:
        folder: of the run.
        last_step: rows behind it are dropped, since their steps will be done again; none drops all rows.
        name: of the file.
    """

    def __init__(self, folder: Path, last_step: int | None, name: str = "metrics.csv") -> None:
        self.path = folder / name
        self.last_step, self.begun = last_step, False
        self.waiting: list[dict[str, Any]] = []
        self.columns: list[str] = []
        self.row: dict[str, Any] = {}  # the last one of the file
        self.place = 0  # where it begins, in bytes

    def _begin(self) -> None:
        """Take over the file that is there; not before there is something to write."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_file():
            rows = [] if self.last_step is None else [row for row in self._read() if _step(row) <= self.last_step]
            self.columns = sorted({name for row in rows for name, value in row.items() if value != ""})
            self._replace(rows, self.columns)
        self.begun = True

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        plain = {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
        plain["step"] = step if step is not None else len(self.waiting)
        if self.waiting and self.waiting[-1]["step"] == plain["step"]:
            self.waiting[-1] |= plain
        else:
            self.waiting.append(plain)

    def log_hparams(self, params: dict[str, Any]) -> None:
        text = yaml.safe_dump({name: str(value) for name, value in params.items()})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        (self.path.parent / "hparams.yaml").write_text(text, encoding="utf-8")

    def save(self) -> None:
        """Add what waits to the file.

        Raises:
            OSError: where that fails; the file is then as it was, and what waits is tried again the next time.
        """
        if not self.waiting:
            return
        if not self.begun:
            self._begin()
        again = bool(self.row) and _step(self.row) == _step(self.waiting[0])  # a step may be told of in parts
        rows = [self.row | self.waiting[0], *self.waiting[1:]] if again else self.waiting
        columns = sorted({*self.columns, *(name for row in rows for name, value in row.items() if value != "")})
        if columns == self.columns:
            self._append(rows, again)
        else:
            before = self._read() if self.columns else []
            self._replace([*(before[:-1] if again else before), *rows], columns)
            self.columns = columns
        self.waiting = []

    def _append(self, rows: list[dict[str, Any]], again: bool) -> None:
        """Write rows at the end, or `again` from the last one on; a full disk leaves the file as it was."""
        lines = [_line(row, self.columns) for row in rows]
        data = b"".join(lines)
        with self.path.open("r+b", buffering=0) as file:  # one that was deleted is not begun anew
            size = file.seek(0, os.SEEK_END)
            place = file.seek(self.place if again else size)
            before = file.read()
            try:
                done = 0
                while done < len(data):
                    done += os.pwrite(file.fileno(), data[done:], place + done)
            except OSError:
                os.pwrite(file.fileno(), before, place)
                os.truncate(file.fileno(), size)
                raise
        self.row, self.place = rows[-1], place + sum(map(len, lines[:-1]))

    def _read(self) -> list[dict[str, str]]:
        """The rows of the file, without one that a kill has cut."""
        with self.path.open(newline="", encoding="utf-8") as file:
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        return [row for row in csv.DictReader(whole.splitlines()) if None not in row.values() and None not in row]

    def _replace(self, rows: list[dict[str, Any]], columns: list[str]) -> None:
        lines = [_line(dict(zip(columns, columns, strict=True)), columns), *(_line(row, columns) for row in rows)]
        with whole_file(self.path) as file:
            file.write(b"".join(lines))
        if rows:
            self.row, self.place = rows[-1], sum(map(len, lines[:-1]))


def keep_rows(logger: CSVLogger, last_step: int | None, name: str = "metrics.csv") -> None:
    """Have a logger write through a `MetricsWriter`; before the Trainer has asked for its experiment."""
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        logger._experiment = MetricsWriter(Path(logger.log_dir), last_step, name)  # type: ignore[assignment]


def _line(row: dict[str, Any], columns: list[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.DictWriter(text, columns, restval="", extrasaction="ignore").writerow(row)
    return text.getvalue().encode()


def _step(row: dict[str, Any]) -> float:
    try:
        return float(row["step"])
    except (KeyError, ValueError):
        return float("inf")
