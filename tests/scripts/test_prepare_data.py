"""The script's files hold every problem once, on its side, and its reports every row left out."""

import json

import pytest
from prepare_data import main

TEXT = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


@pytest.fixture
def prepare(tmp_path, capsys):
    """(arguments) -> exit status, standard output, standard error, rows by file, report."""

    def command(*arguments):
        out = tmp_path / "out"
        status = main([*map(str, arguments), "--out", str(out)])
        told = capsys.readouterr()
        files = {path.name: [json.loads(line) for line in path.open()] for path in out.glob("*.jsonl")}
        report = json.loads((out / "report.json").read_text()) if status == 0 else {}
        return status, told.out, told.err, files, report

    return command


def row(problem, answer="7", **others):
    return {"problem": problem, "answer": answer, **others}


def test_rows_have_problem_answer_source_level_demonstrations_and_nothing_else(prepare, write_jsonl):
    path = write_jsonl(
        [row("a", 7, level="Level 3", demonstrations="t", source="MATH", subject="x"), row("b", subject="y"), row("A.")]
    )
    _, out, _, files, report = prepare(path, "--keep", "subject")
    assert files == {
        "train.jsonl": [
            {"problem": "a", "answer": "7", "source": "MATH", "level": 3, "demonstrations": ["t"], "subject": "x"},
            {"problem": "b", "answer": "7", "source": str(path), "subject": "y"},
        ]
    }
    assert report["read"] == 3
    assert report["left_out"] == {"duplicate": 1}
    assert "1 left out, they repeat an earlier one" in out
    assert "train.jsonl: 2 problems (level 3: 1, 1 with 1 demonstrations)" in out


def test_the_held_out_file_has_the_other_side(prepare, write_jsonl):
    rows = [row(f"problem {i}") for i in range(100)]
    _, _, _, files, report = prepare(write_jsonl(rows), "--held_out", "0.2")
    parts = [[r["problem"] for r in files[name]] for name in ("train.jsonl", "heldout.jsonl")]
    assert sorted(parts[0] + parts[1]) == sorted(r["problem"] for r in rows)
    assert report["written"] == {"train.jsonl": len(parts[0]), "heldout.jsonl": len(parts[1])}
    _, _, _, again, _ = prepare(write_jsonl(rows[:50]), "--held_out", "0.2")
    assert {r["problem"] for r in again["heldout.jsonl"]} == set(parts[1]) & {r["problem"] for r in rows[:50]}


def test_overlap_is_reported_with_both_rows_and_why(prepare, write_jsonl, tmp_path):
    bench = write_jsonl([{"problem": "find x"}, {"problem": TEXT}, {"problem": "other"}], "bench.jsonl")
    path = write_jsonl([row("a"), row("Find $x$."), row(f"{TEXT} fifteen"), row("Other")])
    _, out, _, files, report = prepare(path, "--exclude", bench)
    assert [r["problem"] for r in files["train.jsonl"]] == ["a"]
    assert [(o["row"], o["benchmark"], o["same"], o["shared"]) for o in report["overlap"]] == [
        (f"{path}:2", f"{bench}:1", True, 1.0),
        (f"{path}:3", f"{bench}:2", False, 1.0),
        (f"{path}:4", f"{bench}:3", True, 1.0),
    ]
    assert report["overlap"][0]["text"] == "find x"
    (line,) = [line for line in out.splitlines() if line.endswith(str(bench))]
    assert line.split()[:3] == ["3", "2", "1"]  # problems, same text, near
    text = (tmp_path / "out/report.txt").read_text()
    assert text.startswith("4 rows of")
    assert f"{path}:3 and {bench}:2: 100% of 13-grams shared\n    here   {TEXT} fifteen\n    there  {TEXT}\n" in text


def test_demonstrations_from_elsewhere_are_joined_by_the_problems_text(prepare, write_jsonl):
    path = write_jsonl([row("Find $x$."), row("b")], "problems.jsonl")
    demonstrations = write_jsonl(
        [{"problem": "find x", "trace": "one"}, {"problem": "find x", "trace": "two"}, {"problem": "c", "trace": "no"}],
        "demonstrations.jsonl",
    )
    _, _, _, files, report = prepare(path, "--demonstration_sources", demonstrations, "--demonstrations", "trace")
    assert [r.get("demonstrations") for r in files["train.jsonl"]] == [["one", "two"], None]
    assert report["with_demonstrations"] == 1


def test_demonstrations_that_belong_to_none_of_the_problems_are_refused(prepare, write_jsonl):
    path = write_jsonl([row("a")])
    demonstrations = write_jsonl([{"problem": "b", "trace": "one"}], "demonstrations.jsonl")
    status, _, err, _, _ = prepare(path, "--demonstration_sources", demonstrations, "--demonstrations", "trace")
    assert status == 2
    assert f"{demonstrations}: none of their 1 problems is among the 1 that are kept" in err


def test_bad_rows_stop_in_one_line_or_are_skipped_and_all_listed(prepare, write_jsonl, tmp_path):
    path = write_jsonl([row("a"), *["{"] * 5])
    status, _, err, _, _ = prepare(path)
    assert status == 2
    assert err.startswith(f"prepare_data: error: {path}:2: not JSON")
    assert len(err.splitlines()) == 1
    _, _, _, _, report = prepare(path, "--on_bad_row", "skip")
    assert [bad["place"] for bad in report["listed"]["bad row"]] == [f"{path}:{i}" for i in range(2, 7)]
    assert all(f"{path}:{i}: not JSON" in (tmp_path / "out/report.txt").read_text() for i in range(2, 7))


def test_prompts_are_measured_with_a_models_tokenizer(prepare, write_jsonl, llama_folder):
    path = write_jsonl([row("find x"), row("find the value of x")])  # with BOS 3 and 6 tokens
    measure = ["--model", llama_folder, "--system_prompt", "", "--max_prompt_tokens"]
    _, _, _, files, report = prepare(path, *measure, 5)
    assert [r["problem"] for r in files["train.jsonl"]] == ["find x"]
    assert report["left_out"] == {"too long": 1}
    assert "--max_prompt_tokens 2" in prepare(path, *measure, 2)[2]


def test_sources_are_never_overwritten(prepare, write_jsonl, tmp_path):
    (tmp_path / "out").mkdir()
    path = write_jsonl([row("a")], "out/train.jsonl")
    status, _, err, files, _ = prepare(path)
    assert status == 2
    assert "a source lies there" in err
    assert files["train.jsonl"] == [row("a")]


def test_what_it_writes_is_trained_on_without_further_settings(prepare, write_jsonl, llama_folder, tmp_path):
    from transformers import AutoTokenizer

    from mentor_pl.problems.prompts import load_prompts

    path = write_jsonl([{"q": "find x", "a": {"b": 7}, "t": ["we try"]}])
    prepare(path, "--problem", "q", "--answer", "a.b", "--demonstrations", "t")
    loaded = load_prompts(tmp_path / "out/train.jsonl", AutoTokenizer.from_pretrained(llama_folder), None, 9)
    assert [(p.problem, p.answer, p.demonstrations) for p in loaded.prompts] == [("find x", "7", ("we try",))]


def test_a_folder_that_cannot_be_written_is_one_line(prepare, write_jsonl, tmp_path):
    (tmp_path / "out").write_text("")
    status, _, err, _, _ = prepare(write_jsonl([row("a")]))
    assert status == 2
    (line,) = err.splitlines()
    assert line.startswith(f"prepare_data: error: --out {tmp_path / 'out'}: cannot be written")
