import errno
import os
import pickle

import pytest
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch.distributed.checkpoint.api import CheckpointException

from mentor_pl.runtime import checkpoint_files
from mentor_pl.runtime.checkpoint_files import (
    SafeCheckpointIO,
    damage,
    misfits,
    refuse_damaged,
    remove_unfinished,
    write,
)
from mentor_pl.runtime.errors import StorageError, UsageError
from mentor_pl.runtime.whole_files import unfinished_of

CHECKPOINT = {"state_dict": {"w": torch.arange(3000.0)}, "step": 3}


@pytest.fixture
def path(tmp_path):
    write(CHECKPOINT, tmp_path / "folder" / "step=3.ckpt")
    return tmp_path / "folder" / "step=3.ckpt"


def test_what_is_written_is_read_and_any_torch_reads_it(path):
    for loaded in (SafeCheckpointIO().load_checkpoint(path), torch.load(path, weights_only=True)):
        assert torch.equal(loaded["state_dict"]["w"], CHECKPOINT["state_dict"]["w"])
        assert loaded["step"] == 3
    assert os.listdir(path.parent) == [path.name]


class Packed(torch.Tensor):
    """A tensor whose numbers lie in another, as 8-bit optimizers have them."""

    @staticmethod
    def __new__(cls, codes):
        return torch.Tensor._make_wrapper_subclass(cls, codes.shape, dtype=torch.float32, device=codes.device)

    def __init__(self, codes):
        self.codes = codes

    def __tensor_flatten__(self):
        return ["codes"], None

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return func(args[0].codes) if func is torch.ops.aten.detach.default else NotImplemented


def test_moments_that_are_tensors_of_another_class_are_read_where_torch_was_told_of_it(tmp_path):
    write({"moments": Packed(torch.arange(5, dtype=torch.uint8))}, tmp_path / "packed.ckpt")
    with torch.serialization.safe_globals([Packed]):
        loaded = SafeCheckpointIO().load_checkpoint(tmp_path / "packed.ckpt")["moments"]
    assert type(loaded) is Packed and loaded.codes.tolist() == [0, 1, 2, 3, 4]


def test_every_byte_counts(path):
    """One byte flipped at 200 places, those of headers, padding, tensors and the checksum itself among them."""
    whole = path.read_bytes()
    assert damage(path) is None
    for place in {*range(0, len(whole), len(whole) // 100), *range(len(whole) - 100, len(whole))}:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert damage(path) is not None, place
    path.write_bytes(whole)
    assert damage(path) is None


@pytest.mark.parametrize("left", [0, 1, 1000, -1, -71, -93])
def test_one_that_is_cut_is_damaged(path, left):
    path.write_bytes(path.read_bytes()[:left])
    assert damage(path) is not None
    with pytest.raises(UsageError, match=r"step=3.ckpt is damaged \(its end is (missing|cut).*one before it"):
        SafeCheckpointIO().load_checkpoint(path)


def test_a_checkpoint_of_another_program_is_known_by_the_archives_own_sums(tmp_path):
    path = tmp_path / "theirs.ckpt"
    torch.save(CHECKPOINT, path)
    assert damage(path) is None
    whole = bytearray(path.read_bytes())
    place = whole.index(CHECKPOINT["state_dict"]["w"].numpy().tobytes()) + 400
    whole[place] ^= 1
    path.write_bytes(whole)
    assert "CRC" in damage(path)


def test_code_in_a_checkpoint_does_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "hostile.ckpt"
    torch.save({"state_dict": Hostile()}, path)
    with pytest.raises(pickle.UnpicklingError):
        SafeCheckpointIO().load_checkpoint(path, weights_only=False)
    assert not (tmp_path / "ran").exists()


def test_one_by_url_that_holds_code_or_cannot_be_read_is_one_line(monkeypatch):
    for error, words in (
        (pickle.UnpicklingError("weights_only"), "code in a checkpoint is not run"),
        (OSError("refused"), "refused"),
    ):

        def load(*_, error=error, **__):
            raise error

        monkeypatch.setattr(TorchCheckpointIO, "load_checkpoint", load)
        with pytest.raises(UsageError, match=rf"^checkpoint http://a/b\.ckpt cannot be read .*{words}.*: give "):
            SafeCheckpointIO().load_checkpoint("http://a/b.ckpt")


@pytest.mark.parametrize("step", ["writing", "flushing", "placing"])
def test_a_write_that_fails_leaves_the_checkpoint_that_was_there(path, monkeypatch, step):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = {"writing": (torch, "save"), "flushing": (os, "fsync"), "placing": (checkpoint_files, "place")}[step]
    monkeypatch.setattr(*target, full)
    with pytest.raises(StorageError, match=r"could not be written \(.*No space left.*--resume auto"):
        write({"state_dict": {}}, path)
    monkeypatch.undo()
    assert os.listdir(path.parent) == [path.name]
    assert torch.load(path, weights_only=True)["step"] == 3


def test_the_file_is_on_the_disk_before_it_has_its_name(path, monkeypatch):
    order = []
    sync, place = os.fsync, checkpoint_files.place
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("fsync"), sync(descriptor)))
    monkeypatch.setattr(checkpoint_files, "place", lambda *paths: (order.append("place"), place(*paths)))
    write(CHECKPOINT, path)
    assert order == ["fsync", "place", "fsync"]


def test_what_a_kill_leaves_is_removed_and_nothing_else(path):
    unfinished_of(path).write_bytes(b"half")
    unfinished_of(path.with_name("step=6.ckpt")).mkdir()
    remove_unfinished(path.parent)
    assert os.listdir(path.parent) == [path.name]


def test_a_missing_checkpoint_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="there is no checkpoint"):
        refuse_damaged(tmp_path / "none.ckpt")


def test_what_ranks_miss_in_a_checkpoint_is_one_line():
    missing = RuntimeError("Missing key in checkpoint state_dict: optimizer_0.param_groups.0.momentum.")
    line = r"does not fit the configuration \(Missing key in checkpoint.*momentum"
    with pytest.raises(UsageError, match=line), misfits():
        raise CheckpointException("load", {0: (missing, None), 1: (missing, None)})
