import resource

import pytest

from mentor_pl.runtime.whole_files import unfinished_of, whole_file


def write(path, data):
    with whole_file(path) as file:
        file.write(data)


def test_a_file_has_its_name_once_all_is_written_and_its_folder_is_made(tmp_path):
    path = tmp_path / "new/file"
    with whole_file(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert [one.name for one in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_fails_meanwhile_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path, error):
    path = tmp_path / "file"
    write(path, b"old")
    with pytest.raises(error), whole_file(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_so_does_a_full_disk(tmp_path):
    path = tmp_path / "file"
    write(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(path, b"longer")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_has_left_is_written_over_and_links_are_replaced(tmp_path):
    path, theirs = tmp_path / "file", tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    unfinished_of(path).symlink_to(theirs)
    path.symlink_to(theirs)
    write(path, b"ours")
    assert theirs.read_bytes() == b"theirs"
    assert path.read_bytes() == b"ours"
    assert not path.is_symlink()
