"""Whether a folder can be written to, asked before a run's work goes into it."""

from __future__ import annotations

import os
from pathlib import Path

from mentor_pl.runtime.errors import UsageError


def check_folder(key: str, folder: str | Path | None) -> None:
    """Refuse a folder that cannot be made or written to. Makes nothing; None and remote places pass.

    Args:
        key: the setting that names it.
        folder: what it names.

    Raises:
        UsageError: where a file or a broken link is in its place, or in that of a folder above, or it is read-only.
    """
    if folder is None or "://" in str(folder):
        return
    path = Path(folder).absolute()
    nearest = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return
    fault = "may not be written to" if nearest.is_dir() else "is no folder"
    raise UsageError(f"{key} is '{folder}', but {nearest} {fault}: name another folder")
