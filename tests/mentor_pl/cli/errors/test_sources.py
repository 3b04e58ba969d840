"""What was given and where: files and options in their order, lines, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mentor_pl.cli.errors.sources import at, gives, read_sources
from mentor_pl.runtime.errors import UsageError

FILE = """\
model:
  gate:
    class_path: a.Gate
    init_args: {p: 0.5}
trainer:
  callbacks+:
  - {class_path: a.Note}
  - class_path: a.Note
    init_args:
      text: x
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "a.yaml").write_text(FILE)
    return str(tmp_path / "a.yaml")


def test_files_and_options_are_read_in_their_order_and_options_as_the_settings_they_stand_for(file: str) -> None:
    arguments = ["--model.lr=1e-3", "--config", file, "again", "--trainer.callbacks+", "a.Note", "--model.steps", "[1]"]
    option, whole, appended, last = read_sources(arguments)
    assert (option.name, option.settings) == ("--model.lr", {"model": {"lr": "1e-3"}})
    assert (whole.name, whole.settings["model"]["gate"]["init_args"]) == (file, {"p": 0.5})
    assert (appended.name, appended.settings) == ("--trainer.callbacks", {"trainer": {"callbacks": "a.Note"}})
    assert last.settings == {"model": {"steps": [1]}}
    assert [source.name for source in read_sources(["--model.steps", "--config", file])] == [file]


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("model",), 1),
        (("model", "gate", "init_args", "p"), 4),
        (("trainer", "callbacks"), 6),
        (("trainer", "callbacks", 0), 7),
        (("trainer", "callbacks", 1, "init_args", "text"), 10),
        (("model", "gate", "q"), 2),  # what is not there lies in what is
    ],
    ids=str,
)
def test_a_place_is_the_line_of_the_innermost_key_that_the_file_has(file: str, keys, line: int) -> None:
    (source,) = read_sources(["--config", file])
    assert source.place(keys) == f"{file}:{line}"


def test_a_value_lies_under_its_keys_and_an_option_may_leave_init_args_out() -> None:
    settings = {"gate": {"p": [1, {"q": 2}]}}
    assert at(settings, ("gate", "init_args", "p", 1, "q")) == 2
    (option,) = read_sources(["--gate.p=3"])
    assert gives(option, ("gate", "init_args", "p"))
    for keys in (("gate", "q"), ("gate", "p", 2), ("gate", "p", 0, "q")):
        with pytest.raises(KeyError):
            at(settings, keys)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: {c: 1, c: 2}\n", r"a\.yaml:2: 'c' is given twice, first in line 2"),
        ("a: [1\n", r"a\.yaml:2: malformed YAML"),
        ("3\n", r"a\.yaml: holds only 3, but a configuration is settings"),
        ("", r"a\.yaml: is empty"),
        ("a: \xff\n", r"a\.yaml: cannot be read"),
    ],
    ids=["twice", "malformed", "a number", "empty", "no UTF-8"],
)
def test_a_file_that_could_not_work_in_any_case_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=reason):
        read_sources(["--config", str(tmp_path / "a.yaml")])


ENDLESS = {
    "model: &m {gate: *m}\n": "an anchor (&) lies within itself",
    "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n"
    + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcde", "bcdef", strict=True)
    ): "aliases (*)",
    "model: " + "[" * 5000 + "]" * 5000 + "\n": "nested too deep",
}


@pytest.mark.parametrize("text", ENDLESS, ids=["recursive", "a million values", "deep"])
def test_what_has_no_end_is_refused_in_files_and_options(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    for arguments in (["--config", str(tmp_path / "a.yaml")], [f"--model={text}"]):
        with pytest.raises(UsageError) as refusal:
            read_sources(arguments)
        assert ENDLESS[text] in str(refusal.value)
