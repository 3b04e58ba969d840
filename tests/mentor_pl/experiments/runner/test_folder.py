import json
from dataclasses import replace

import pytest
from experiment_results import small_design

from mentor_pl.experiments.runner import folder as folder_file
from mentor_pl.experiments.runner.folder import (
    State,
    fix,
    fixed,
    folder_of,
    last_line,
    read_state,
    versions,
    write_state,
)
from mentor_pl.runtime.errors import UsageError


def test_the_design_is_written_once_and_a_later_one_is_compared_with_it(tmp_path):
    out, design = tmp_path / "out", small_design(tmp_path)
    first = fix(out, design)
    assert first.sha256 == design.sha256
    assert first.changes == ()
    kept = (out / "design.json").read_bytes()
    more = small_design(tmp_path, seeds=(1, 2, 3, 4), steps=5)
    assert fix(out, more).sha256 == design.sha256
    assert fix(out, more).changes == ("seeds.3 was absent and is 4", "steps was 4 and is 5")
    assert (out / "design.json").read_bytes() == kept


def test_the_commit_is_kept_from_before_the_first_run(tmp_path, monkeypatch):
    design = small_design(tmp_path)
    monkeypatch.setattr(folder_file, "commit", lambda: "abc")
    assert fix(tmp_path / "out", design).commit == "abc"
    monkeypatch.setattr(folder_file, "commit", lambda: "def")
    assert fix(tmp_path / "out", design).commit == "abc"
    assert fix(tmp_path / "out", small_design(tmp_path, steps=5)).commit == "abc"


def test_a_changed_configuration_is_a_changed_design(tmp_path):
    out, design = tmp_path / "out", small_design(tmp_path)
    fix(out, design)
    (tmp_path / "base.yaml").write_text("data: {train: other.jsonl}\n")
    again = replace(design)  # which reads the configurations again
    (change,) = fixed(out, again).changes
    assert change.endswith('base.yaml.data.train was "base.jsonl" and is "other.jsonl"')


def test_an_edited_hash_is_told(tmp_path):
    out, design = tmp_path / "out", small_design(tmp_path)
    fix(out, design)
    kept = json.loads((out / "design.json").read_text())
    (out / "design.json").write_text(json.dumps(kept | {"sha256": "0"}))
    assert fixed(out, design).changes == ("its hash alone: design.json was edited",)


@pytest.mark.parametrize("content", [None, "{", "{}", "[]"])
def test_a_report_without_a_design_that_can_be_read_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "design.json").write_text(content)
    with pytest.raises(UsageError, match=r"design\.json (cannot be read|is damaged)"):
        fixed(tmp_path, small_design(tmp_path))


def test_a_state_is_kept_and_that_of_another_run_is_none_of_the_cells(tmp_path):
    cell, other, *_ = small_design(tmp_path).cells()
    assert read_state(tmp_path, cell).status == "waiting"
    state = State("finished", cell.identity, 3.5, "", versions(), 2.5, ("abc", "def with changes"))
    write_state(tmp_path, cell, state)
    assert read_state(tmp_path, cell) == state
    assert read_state(tmp_path, other).status == "waiting"
    changed = small_design(tmp_path, steps=5).cells()[0]
    assert read_state(tmp_path, changed).status == "other"
    assert "remove the folder" in read_state(tmp_path, changed).reason


@pytest.mark.parametrize("content", ["{", "[]", '{"status": "finished"}'])
def test_a_damaged_state_is_refused_in_one_line(content, tmp_path):
    cell = small_design(tmp_path).cells()[0]
    folder_of(tmp_path, cell).mkdir(parents=True)
    (folder_of(tmp_path, cell) / "cell.json").write_text(content)
    with pytest.raises(UsageError, match=r"cell\.json is damaged .*remove its folder"):
        read_state(tmp_path, cell)


def test_the_last_line_of_a_log_is_one_that_a_terminal_may_get(tmp_path):
    log = tmp_path / "log.txt"
    assert last_line(log) == "it said nothing"
    log.write_bytes(b"first\nerror: \x1b[31mred\xff\n\n  \n")
    assert last_line(log) == "error: \\x1b[31mred�"
