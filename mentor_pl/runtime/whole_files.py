"""Files that are written whole or not at all, whatever a kill or a full disk does meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".part"  # ends the names of what a kill has left


def unfinished_of(path: Path) -> Path:
    """Where `path` is written before it is put in place."""
    return path.with_name(f".{path.name}{UNFINISHED}")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, beside `path`; it takes that name, in place of what is there, once all is on the disk.

    A link is replaced and not followed.

    Raises:
        OSError: where that fails; what was at `path` is as it was then, and nothing is left beside it.
    """
    unfinished = unfinished_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished.unlink(missing_ok=True)
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
