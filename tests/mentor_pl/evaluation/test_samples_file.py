"""Finished problems on disk: read back as written, whatever a kill left."""

import json
from dataclasses import replace

import pytest

from mentor_pl.evaluation.samples_file import (
    Answered,
    GradedResponse,
    SamplesWriter,
    check_settings,
    read_header,
    read_samples,
    write_header,
    write_samples,
)
from mentor_pl.runtime.errors import UsageError

ONE = Answered(
    benchmark="toy",
    index=0,
    id="toy/0",
    prompt="<|user|>How?\u2028\n",
    problem="How?",
    answer="½",
    response_prefix="<think>",
    metadata={"choices": ["x", "\ud800"], "tolerance": 0.1},
    responses=(
        GradedResponse("so\nit is", 3, False, True, {"format": 1.0}),
        GradedResponse("\x00 \ud835", 8, True, False, {}),
    ),
    greedy=GradedResponse("", 1, False, False, {"format": 0.0}),
)
TWO = replace(ONE, index=7, greedy=None)


def write(folder, rank, *answered):
    writer = SamplesWriter(folder, rank)
    for one in answered:
        writer.write(one)
    writer.close()


def test_what_is_written_is_read_back_odd_characters_and_all(tmp_path):
    write(tmp_path / "new/folder", 0, ONE, TWO)
    assert read_samples(tmp_path / "new/folder") == {0: ONE, 7: TWO}


def test_files_of_all_ranks_are_read_in_order_of_the_problems_and_each_problem_once(tmp_path):
    write(tmp_path, 0, TWO)
    write(tmp_path, 1, ONE, replace(TWO, answer="another"))
    assert list(read_samples(tmp_path).items()) == [(0, ONE), (7, TWO)]


def test_a_problem_is_on_disk_as_soon_as_it_is_written(tmp_path):
    writer = SamplesWriter(tmp_path, 0)
    writer.write(ONE)
    assert read_samples(tmp_path) == {0: ONE}
    writer.close()


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_torn_last_line_is_dropped_and_the_next_run_writes_on_a_line_of_its_own(kept, tmp_path):
    write(tmp_path, 0, ONE, TWO)
    file = tmp_path / "samples.0.jsonl"
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second[:kept])
    assert read_samples(tmp_path) == {0: ONE}
    write(tmp_path, 0, TWO)
    assert file.read_bytes() == first + second


def test_a_file_that_is_torn_in_its_first_line_starts_anew(tmp_path):
    (tmp_path / "samples.0.jsonl").write_bytes(b'{"bench')
    write(tmp_path, 0, ONE)
    assert read_samples(tmp_path) == {0: ONE}


@pytest.mark.parametrize("line", ["{", "[1]", "{}", '{"responses": [{"text": 1}], "greedy": null}', "7"])
def test_a_whole_line_that_is_no_problem_is_a_usage_error_with_its_number(line, tmp_path):
    write(tmp_path, 0, ONE)
    with (tmp_path / "samples.0.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UsageError, match=r"samples\.0\.jsonl:2: no line of a samples file"):
        read_samples(tmp_path)


def test_replacing_a_file_leaves_nothing_else_behind(tmp_path):
    write(tmp_path, 0, ONE)
    write_samples(tmp_path / "samples.0.jsonl", [TWO])
    assert read_samples(tmp_path) == {7: TWO}
    assert [file.name for file in tmp_path.iterdir()] == ["samples.0.jsonl"]


def test_settings_are_compared_one_by_one_and_notes_are_not(tmp_path):
    settings = {"seed": 1, "sampling": {"temperature": 0.6, "top_p": 1.0}}
    check_settings(tmp_path, settings)  # nothing there yet
    write_header(tmp_path, {"settings": settings, "policy": "here"})
    assert read_header(tmp_path)["policy"] == "here"
    check_settings(tmp_path, {"sampling": {"top_p": 1, "temperature": 0.6}, "seed": 1})
    with pytest.raises(UsageError, match=r"made with sampling\.temperature = 0\.6, not 0\.7: delete the folder"):
        check_settings(tmp_path, {"seed": 1, "sampling": {"temperature": 0.7, "top_p": 1.0}})
    with pytest.raises(UsageError, match="made with seed = 1, not None"):
        check_settings(tmp_path, {"sampling": settings["sampling"]})


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_header_that_is_none_is_a_usage_error(text, tmp_path):
    (tmp_path / "header.json").write_text(text)
    with pytest.raises(UsageError, match=r"header\.json"):
        check_settings(tmp_path, {})


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"samples cannot be kept here .*: name another folder"):
        write_header(tmp_path / "file/words", {"settings": {}})


@pytest.mark.parametrize("text", ["[" * 100_000, '{"settings": ' + "9" * 5000 + "}"], ids=["deep", "long"])
def test_a_header_that_python_cannot_read_is_a_usage_error(text, tmp_path):
    (tmp_path / "header.json").write_text(text)
    with pytest.raises(UsageError, match=r"header\.json: cannot be read"):
        read_header(tmp_path)


@pytest.mark.parametrize("changes", [{"text": 5}, {"length": "1"}, {"truncated": None}, {"parts": []}], ids=str)
def test_a_row_whose_values_are_of_other_kinds_is_a_usage_error(changes, tmp_path):
    write(tmp_path, 0, ONE)
    (file,) = tmp_path.glob("samples.*")
    row = json.loads(file.read_text(encoding="utf-8", errors="surrogatepass"))
    row["responses"][0] |= changes
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=f"no line of a samples file .{next(iter(changes))} is"):
        read_samples(tmp_path)


def test_a_link_where_a_file_is_drafted_is_replaced_and_not_followed(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.write_text("kept")
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / ".header.json.part").symlink_to(theirs)
    write_header(folder, {"settings": {}})
    assert theirs.read_text() == "kept"
    assert read_header(folder) == {"settings": {}}
