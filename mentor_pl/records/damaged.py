"""Files of a run that are not what their names say: what reads several passes over one, and names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mentor_pl.runtime.errors import UsageError

T = TypeVar("T")


class DamagedFile(UsageError):
    """A file of a run that cannot be read as what it should be.

    Args:
        path: the file.
        words: what it is not, why, and the remedy; they stand behind its path.
    """

    def __init__(self, path: Path, words: str) -> None:
        super().__init__(f"{path} {words}")
        self.path = path


class PassOver:
    """Reads files of a run, passes over those that are damaged, and keeps what is to be said of them.

    Attributes:
        files: those passed over -> why and what to do, in a line each.
    """

    def __init__(self) -> None:
        self.files: dict[Path, str] = {}

    def __call__(self, read: Callable[[], T], without: T) -> T:
        """What `read` gives, or `without` where the file is damaged."""
        try:
            return read()
        except DamagedFile as problem:
            self.files[problem.path] = str(problem)
            return without
