"""Whether a folder can be written to, and whose it is, asked before a run's work goes into it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mentor_pl.runtime.errors import UsageError

_claimed: dict[tuple[int, int], int] = {}  # open folders, by device and inode; with the process they are free again


def claim(folder: Path) -> None:
    """Make a folder, and have it for this process alone, until `release` or its end.

    A file system that knows no locks of folders, such as NFS, lets everyone in.

    Raises:
        UsageError: where another process has it, or nobody could make it.
        OSError: where there is no room for it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileNotFoundError, PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UsageError(f"the folder {folder} cannot be made ({error.strerror}): name another one") from error
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    identity = (os.fstat(descriptor).st_dev, os.fstat(descriptor).st_ino)
    if identity in _claimed:
        os.close(descriptor)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"another run is writing to {folder}: let it end, or give this one a folder of its own, by "
            "--trainer.logger.init_args.version NAME, or without a logger by --trainer.default_root_dir FOLDER"
        ) from None
    except OSError:
        os.close(descriptor)
        return
    _claimed[identity] = descriptor


def release() -> None:
    """Let others have what this process has claimed."""
    while _claimed:
        os.close(_claimed.popitem()[1])


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
