"""A folder that cannot be made is refused before anything is done for it."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.folders import check_folder, claim, release


@pytest.mark.parametrize("name", ["there", "there/new/deeper", "new"])
def test_what_is_there_or_can_be_made_passes_and_nothing_is_made(name, tmp_path):
    (tmp_path / "there").mkdir()
    check_folder("out", tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_a_remote_place_and_none_pass():
    check_folder("out", "s3://bucket/runs")
    check_folder("out", None)


@pytest.mark.parametrize("name", ["file", "file/below", "link", "link/below", "loop/below"])
def test_a_file_or_a_broken_link_in_its_place_is_named(name, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match=rf"^out is '.*{name}', but .*{name.split('/')[0]} is no folder: name another"):
        check_folder("out", tmp_path / name)


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match="may not be written to: name another folder"):
        check_folder("out", tmp_path / "new")


def test_a_folder_is_for_one_process_and_one_process_may_ask_again(tmp_path):
    claim(tmp_path / "run")
    claim(tmp_path / "run")
    (tmp_path / "other").mkdir()
    theirs = os.open(tmp_path / "other", os.O_RDONLY)  # another opening stands for another process
    fcntl.flock(theirs, fcntl.LOCK_EX)
    with pytest.raises(UsageError, match="another run is writing to"):
        claim(tmp_path / "other")
    os.close(theirs)
    claim(tmp_path / "other")
    release()
    for name in ("run", "other"):
        fcntl.flock(os.open(tmp_path / name, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_looks_as_if_it_could_be_made_and_cannot_is_named(tmp_path, monkeypatch):
    def as_of_proc(path, *arguments, **options):  # which says that it may be written to
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(Path, "mkdir", as_of_proc)
    with pytest.raises(UsageError, match=r"run cannot be made \(No such file or directory\): name another one$"):
        claim(tmp_path / "run")


def test_a_folder_that_there_is_no_room_for_is_no_mistake(tmp_path, monkeypatch):
    def full(path, *arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OSError, match="No space left"):
        claim(tmp_path / "run")
