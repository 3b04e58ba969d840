"""Rows are read from every kind of source, each with its place, and what cannot be read is one line that says where."""

import json

import datasets
import pytest

from mentor_pl.problems import sources
from mentor_pl.problems.sources import BadRow, read_rows, source_of
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.hub import hub_problem

GOOD = {"problem": "find x", "answer": "7"}
ROWS = [{"problem": f"find {i}", "answer": str(i)} for i in range(3)]


def values(*args, **options):
    return [dict(row.values) for row in read_rows(*args, **options)]


def error_of(*args, **options):
    with pytest.raises(UsageError) as caught:
        list(read_rows(*args, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parquet(path, rows=ROWS):
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows).to_parquet(path)
    return path


@pytest.fixture(autouse=True)
def _quiet():
    datasets.disable_progress_bars()


def test_json_lines_keep_their_order_and_lines_count_blank_ones(write_jsonl):
    path = write_jsonl([GOOD, "", "   ", {**GOOD, "level": 3}])
    rows = list(read_rows(path))
    assert [row.values for row in rows] == [GOOD, {**GOOD, "level": 3}]
    assert [row.place for row in rows] == [f"{path}:1", f"{path}:4"]


def test_a_json_file_holds_a_list_or_lines(tmp_path):
    path = tmp_path / "some.json"
    path.write_text("\n " + json.dumps(ROWS, indent=1))
    assert [row.place for row in read_rows(path)] == [f"{path} row {i}" for i in range(3)]
    assert values(path) == ROWS
    path.write_text("\n".join(map(json.dumps, ROWS)))
    assert values(path) == ROWS


def test_parquet_is_read_with_nested_values(tmp_path):
    nested = [{"prompt": [{"role": "user", "content": "x"}], "reward_model": {"ground_truth": "7"}}]
    path = parquet(tmp_path / "some.parquet", nested * 2)
    assert values(path) == nested * 2
    assert [row.place for row in read_rows(path)] == [f"{path} row 0", f"{path} row 1"]


def test_a_folder_is_its_files_in_the_order_of_their_names(tmp_path):
    parquet(tmp_path / "b/two.parquet", ROWS[1:])
    (tmp_path / "a.jsonl").write_text(json.dumps(ROWS[0]))
    (tmp_path / "config.json").write_text("{}")
    parquet(tmp_path / ".cache/download/two.parquet")
    (tmp_path / "._a.jsonl").write_text("{")
    assert values(tmp_path) == ROWS


def test_of_a_folder_whose_files_are_all_named_for_a_part_the_split_is_read(tmp_path):
    parquet(tmp_path / "data/train-00000-of-00002.parquet", ROWS[:1])
    parquet(tmp_path / "data/train-00001-of-00002.parquet", ROWS[1:2])
    parquet(tmp_path / "data/test-00000-of-00001.parquet", ROWS[2:])
    assert values(tmp_path) == ROWS[:2]
    assert values(tmp_path, split="test") == ROWS[2:]
    assert "no file is named for the split 'dev': give one of test, train" in error_of(tmp_path, split="dev")


def test_a_folder_of_benchmarks_is_read_whole_though_one_is_named_test(write_jsonl, tmp_path):
    write_jsonl(ROWS[:1], "gsm8k_test.jsonl")
    write_jsonl(ROWS[1:], "math500.jsonl")
    assert values(tmp_path, split="train") == ROWS


def test_a_subset_of_a_folder_is_a_folder_in_it(tmp_path):
    parquet(tmp_path / "hard/a.parquet", ROWS[:1])
    parquet(tmp_path / "easy/a.parquet", ROWS[1:])
    assert values(tmp_path, subset="easy") == ROWS[1:]
    assert "no such folder" in error_of(tmp_path, subset="middle")
    assert "a file has none" in error_of(tmp_path / "hard/a.parquet", subset="easy")


def test_a_folder_that_datasets_saved_is_read_with_and_without_splits(tmp_path):
    one = datasets.Dataset.from_list(ROWS)
    one.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=one.select([0]), test=one.select([1, 2])).save_to_disk(tmp_path / "two")
    assert values(tmp_path / "one") == ROWS
    rows = list(read_rows(tmp_path / "two", split="test"))
    assert [row.values for row in rows] == ROWS[1:]
    assert rows[1].place == f"{tmp_path / 'two'}[test] row 1"
    assert "no split 'dev': give one of train, test" in error_of(tmp_path / "two", split="dev")


def test_a_name_of_the_hub_is_loaded_by_datasets_with_subset_and_split(monkeypatch):
    asked = []

    def load(name, subset, *, split):
        asked.append((name, subset, split))
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(sources, "hub_problem", lambda name, kind: "")
    monkeypatch.setattr(datasets, "load_dataset", load)
    rows = list(read_rows("openai/gsm8k", split="test", subset="main"))
    assert asked == [("openai/gsm8k", "main", "test")]
    assert [row.values for row in rows] == ROWS
    assert rows[2].place == "openai/gsm8k[test] row 2"


def test_without_the_hub_a_name_is_one_line_and_nothing_is_retried(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    message = error_of("nobody/no-such-problems")
    assert message.startswith("nobody/no-such-problems: no such file or folder here")
    assert "hf download nobody/no-such-problems --repo-type dataset" in message


def test_where_the_hub_does_not_answer_datasets_is_told_so_after_one_request(monkeypatch):
    class Unreachable:
        asked = 0

        def repo_info(self, name, repo_type, timeout):
            Unreachable.asked += 1
            raise ConnectionError("Name or service not known")

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi", Unreachable)
    hub_problem.cache_clear()
    for _ in range(2):
        assert "cannot be read" in error_of("nobody/no-such-problems")
    assert Unreachable.asked == 1
    hub_problem.cache_clear()


@pytest.mark.parametrize("name", ["problems.csv", "problems.jsonl.gz", "problems.txt", "problems"])
def test_a_file_of_another_kind_is_refused_by_its_kind_with_the_remedy(name, tmp_path):
    """Also where its rows happen to look like JSON, and where bad rows are skipped."""
    file = tmp_path / name
    file.write_text(json.dumps(ROWS[0]))
    assert error_of(file, on_bad=[].append).endswith(": write one JSON object per line to a .jsonl file")


@pytest.mark.parametrize("name", ["data/x.jsonl", "./a/b", "/no/such/file", "a/b/c", "problems", "here/missing"])
def test_what_looks_like_a_path_is_never_sought_on_the_hub(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(datasets, "load_dataset", None)
    assert error_of(name).startswith(f"{name}: no such file or folder here ({tmp_path})")


@pytest.mark.parametrize("lines", [[], ["", "  "]], ids=["no bytes", "blank lines"])
def test_an_empty_file_is_named(lines, write_jsonl):
    path = write_jsonl(lines)
    assert f"{path}: no rows" in error_of(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"problem": "a", "answer": }', "not JSON (Expecting value at column 28)"),
        ('{"problem": "a"', "not JSON"),
        ("[1, 2]", "a list, but every line is an object"),
        ('"text"', "a str"),
        ("[" * 100_000, "cannot be read (maximum recursion depth"),
        ('{"problem": "a", "answer": ' + "9" * 5000 + "}", "cannot be read (Exceeds the limit"),
        ('{"problem": "a", "more": ["\\uD83D"]}', "half a character (a lone surrogate"),
    ],
    ids=lambda case: case[:40],
)
def test_a_malformed_line_is_named_or_skipped_and_listed(line, reason, write_jsonl):
    path = write_jsonl([GOOD, "", line, GOOD])
    assert error_of(path).startswith(f"{path}:3: {reason}")
    bad: list[BadRow] = []
    assert values(path, on_bad=bad.append) == [GOOD, GOOD]
    assert [(one.place, one.reason.startswith(reason)) for one in bad] == [(f"{path}:3", True)]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85"], ids=["U+2028", "U+2029", "U+0085"])
def test_line_marks_of_unicode_inside_a_string_end_no_row(mark, write_jsonl):
    # JSON allows them in strings as they are, and `json.dumps(…, ensure_ascii=False)` writes them so
    row = {"problem": f"find x{mark}and y", "answer": "7"}
    assert values(write_jsonl([row, GOOD])) == [row, GOOD]


def test_windows_line_ends_and_byte_order_mark_are_no_part_of_a_row(tmp_path):
    path = tmp_path / "windows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(row).encode() for row in ROWS))
    assert values(path) == ROWS


def test_bytes_that_are_not_utf_8_are_named_with_their_line(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(b'{"problem": "a", "answer": "7"}\n{"problem": "caf\xe9", "answer": "7"}\n')
    assert error_of(path).startswith(f"{path}:2: not UTF-8 at byte 16 of the line")


def test_parquet_that_is_none_is_named(tmp_path):
    path = tmp_path / "some.parquet"
    path.write_text("problem,answer\n")
    assert error_of(path).startswith(f"{path}: not a readable Parquet file")


def test_the_source_of_a_place_is_its_file(write_jsonl):
    assert [source_of(p) for p in ("a/b.jsonl:12", "b.parquet row 3", "o/n[test] row 0")] == [
        "a/b.jsonl",
        "b.parquet",
        "o/n[test]",
    ]


def test_an_empty_name_is_no_folder(tmp_path, monkeypatch, write_jsonl):
    write_jsonl([GOOD])
    monkeypatch.chdir(tmp_path)
    assert "an empty text" in error_of("")


@pytest.mark.parametrize("text", ["[" * 100_000, "[" + "9" * 5000 + "]"], ids=["deep", "long"])
def test_a_list_that_python_cannot_read_is_one_line(text, tmp_path):
    file = tmp_path / "rows.json"
    file.write_text(text, encoding="utf-8")
    assert error_of(file).startswith(f"{file}: cannot be read: ")


def test_a_task_makes_its_rows_always_the_same_and_others_for_benchmarks(reasoning_gym):
    source = "reasoning_gym:simple_sums?size=3"
    rows = list(read_rows(source))
    assert rows == list(read_rows(source))
    assert [row.place for row in rows] == [f"reasoning_gym:simple_sums row {index}" for index in range(3)]
    first = dict(rows[0].values)
    origin = {"task": {"name": "simple_sums", "seed": 0, "size": 3, "options": {}}, "index": 0}
    assert first.pop("reasoning_gym") == origin
    assert first["problem"].endswith("= ? (0)")
    assert first.keys() == {"problem", "answer"}
    assert not {row.values["problem"] for row in rows} & {
        row.values["problem"] for row in read_rows(source, split="test")
    }
    with pytest.raises(UsageError, match="subset is 'a', but a task has none"):
        list(read_rows(source, subset="a"))


def test_where_a_task_makes_no_problem_the_row_is_bad_and_without_an_answer_any_is_taken(reasoning_gym):
    bad = []
    rows = list(read_rows("reasoning_gym:gaps?size=3", on_bad=bad.append))
    assert [row.values["answer"] for row in rows] == ["(any that the task's scorer takes)"] * 2
    assert [(one.place, one.reason) for one in bad] == [
        ("reasoning_gym:gaps row 1", "the task makes no problem here (ValueError: no expression found)")
    ]
