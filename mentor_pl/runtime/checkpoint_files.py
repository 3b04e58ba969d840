"""Checkpoints on disk: whole or not at all, and known to be undamaged when they are read.

A file is written beside its place, flushed to the disk, and renamed; the SHA-256 of what torch wrote is the comment of
the zip archive that it is. A folder, with files of each rank, is filled beside its place, sealed with the SHA-256 of
its files, and renamed (`sharded_files`). What is cut short leaves the checkpoint that was there as it was.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch.distributed.checkpoint.api import CheckpointException

from mentor_pl.runtime.errors import StorageError, UsageError
from mentor_pl.runtime.sharded_files import is_sharded, sharded_damage, whole_state
from mentor_pl.runtime.whole_files import UNFINISHED, unfinished_of

_END, _END_SIZE = b"PK\x05\x06", 22  # of a zip archive, without its comment, whose length are the last two bytes
_MARK = b"sha256:"
_BLOCK = 2**22
_undamaged: set[tuple[str, int, int]] = set()  # what this process has found so, by path, size and time


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's way to write and read checkpoints, with what this module says. Code in a checkpoint never runs.

    Paths with a scheme, such as s3://, are left to Lightning, without a checksum.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
        else:
            write(checkpoint, Path(path))

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:  # Lightning's function for the CPU is none that torch takes for tensors of other classes
        if "://" in str(path):
            try:
                return super().load_checkpoint(path, map_location, weights_only=True)
            except Exception as error:  # of a library for each scheme, of a network, of torch
                raise UsageError(f"checkpoint {path} cannot be read ({reason(error)}): give another") from error
        refuse_damaged(Path(path))
        if is_sharded(Path(path)):
            return whole_state(Path(path))
        loaded: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return loaded


def write(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint whole, or not at all.

    Raises:
        StorageError: where the disk is full or the folder cannot be written to; what was at `path` is as it was.
    """
    unfinished = unfinished_of(path)
    with storage_errors(path):
        make_room(unfinished)
        try:
            _write(checkpoint, unfinished)
            place(unfinished, path)
        except BaseException:
            _remove(unfinished)
            raise


def _write(checkpoint: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        hashed = _Hashed(file)
        torch.save(checkpoint, hashed)  # type: ignore[arg-type]  # it writes, and does no more
        comment = _MARK + hashed.sha.hexdigest().encode()
        file.seek(-2, os.SEEK_END)
        file.write(struct.pack("<H", len(comment)) + comment)
        file.flush()
        os.fsync(file.fileno())


def make_room(unfinished: Path) -> None:
    """See that there is a folder to write to, and nothing there of an earlier attempt."""
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    _remove(unfinished)


def place(unfinished: Path, path: Path) -> None:
    """Put what is written whole at `path`, in place of what is there."""
    if path.is_dir():  # a rename replaces files alone
        _remove(path)
    unfinished.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the name, too, is then on the disk
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """What a disk refuses, in one line."""
    try:
        yield
    except (OSError, RuntimeError, CheckpointException) as error:  # torch's own for writes that fail
        raise StorageError(
            f"checkpoint {path} could not be written ({error}); those before it are as they were: make room or mend "
            "the folder, then go on with --resume auto"
        ) from error


def remove_unfinished(folder: Path) -> None:
    """Remove what a kill has left behind in a folder of checkpoints."""
    for left in folder.glob(f".*{UNFINISHED}"):
        _remove(left)


def reason(error: Exception) -> str:
    """Why a checkpoint is none, in one sentence; torch advises at length to trust it."""
    if isinstance(error, pickle.UnpicklingError):
        return "it holds more than tensors and plain values, and code in a checkpoint is not run"
    return (str(error).strip().splitlines() or [""])[0].rstrip(".") or type(error).__name__


@contextmanager
def misfits() -> Iterator[None]:
    """What torch says of a checkpoint that is of another model or optimizer, in one line."""
    try:
        yield
    except (RuntimeError, AssertionError, KeyError, CheckpointException) as error:  # by how ranks load it
        cause = next(iter(error.failures.values()))[0] if isinstance(error, CheckpointException) else error
        said = [line.strip() for line in str(cause).splitlines() if line.strip() and "Error(s) in loading" not in line]
        raise UsageError(
            f"the checkpoint does not fit the configuration ({said[0][:200] if said else type(cause).__name__}): "
            "model.policy and the class of model.optimizer are those of its run; else begin from its exported policy"
        ) from error


def refuse_damaged(path: Path) -> None:
    """Refuse a checkpoint that is damaged.

    Raises:
        UsageError: then; and where there is none.
    """
    if not path.exists():
        raise UsageError(f"there is no checkpoint '{path}': give a file, or a folder of one file per rank")
    if found := damage(path):
        raise UsageError(f"checkpoint {path} is damaged ({found}): give another, such as the one before it")


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, file or folder; none where it is as it was written."""
    if path.is_dir():
        return sharded_damage(path)
    status = path.stat()
    known = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    if known in _undamaged:
        return None
    with path.open("rb") as file:
        found = _file_damage(file, status.st_size)
    if found is None:
        _undamaged.add(known)
    return found


def _file_damage(file: BinaryIO, size: int) -> str | None:
    file.seek(max(0, size - 2**16 - _END_SIZE))
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + _END_SIZE:
        return f"its end is missing, {size} bytes are there"
    comment = tail[end + _END_SIZE :]
    if struct.unpack("<H", tail[end + _END_SIZE - 2 : end + _END_SIZE])[0] != len(comment):
        return "its end is cut"
    if not comment:  # not written here; each entry has a CRC of its own
        file.seek(0)
        entry = zipfile.ZipFile(file).testzip()
        return None if entry is None else f"the CRC of {entry} is wrong"
    file.seek(0)
    sha, left = hashlib.sha256(), size - len(comment) - 2
    while left:
        block = file.read(min(left, _BLOCK))
        sha.update(block)
        left -= len(block)
    sha.update(b"\0\0")  # the comment's length, as it was when torch had written
    return None if comment == _MARK + sha.hexdigest().encode() else "its checksum is wrong"


class _Hashed:
    """A file that knows the SHA-256 of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sha = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
