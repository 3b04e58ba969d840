"""`mentor data inspect` shows what `mentor fit` with the same settings trains on."""

import json
import re
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from mentor_pl.cli.main import main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def inspect(llama_folder, write_jsonl, capsys):
    """(rows, options) -> exit status, standard output, standard error, path of the problems."""

    def command(rows, *options):
        path = write_jsonl(rows)
        status = main(["data", "inspect", *options, "--model.policy", str(llama_folder), "--data.train", str(path)])
        told = capsys.readouterr()
        return status, told.out, told.err, path

    return command


ROWS = [
    {"problem": "find x", "answer": "7", "level": 1},
    {"problem": "find the sum", "answer": "3", "level": 2, "demonstrations": ["we check it", "we try"]},
    "{",
    {"problem": "find the value of x", "answer": "5", "level": 2},
    {"problem": "we try the walk to the left", "answer": "5", "level": 2},
]
OPTIONS = ["--data.system_prompt", "null", "--data.select.on_bad_row", "skip", "--data.select.levels", "[2]"]
OPTIONS += ["--data.max_prompt_tokens", "6"]


def test_the_prompt_its_ids_and_everything_left_out_are_shown(inspect, llama_folder):
    status, out, _, path = inspect(ROWS, *OPTIONS)
    assert status == 0
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == f"{path}: 2 of 5 rows are trained on"
    assert "1 left out, their level is not one of 2" in lines
    assert "1 left out, they cannot be used" in lines
    assert "1 left out, their prompts exceed max_prompt_tokens = 6" in lines
    assert "1 with demonstrations of an expert, 2 in all" in lines
    assert any(line.startswith(f"{path}:3: not JSON") for line in lines)
    assert "2: 2" in lines  # levels
    assert "min 4   5% 4   25% 4   50% 4   75% 6   95% 6   max 6" in lines
    ids = AutoTokenizer.from_pretrained(llama_folder)("find the sum")["input_ids"]
    assert "<s> find the sum" in lines
    assert " ".join(map(str, ids)) in lines
    assert "reference answer   3" in lines
    assert "response prefix    nothing" in lines
    assert "expert trace       'we check it', 11 characters" in lines


def test_the_histogram_counts_every_prompt_once(inspect):
    rows = [{"problem": " ".join(["walk"] * n), "answer": "1"} for n in range(1, 16)]
    _, out, _, _ = inspect(rows, "--data.system_prompt", "null")
    bins = [line.split() for line in out.splitlines() if line.count("–") == 1]
    # 15 lengths, 2 to 16, in bins of 2
    assert [(int(low), int(high), int(count)) for low, _, high, count, *_ in bins] == [
        *((low, low + 1, 2) for low in range(2, 16, 2)),
        (16, 17, 1),
    ]


def test_another_row_is_shown_by_its_number_and_a_response_that_the_template_opened(inspect):
    options = [*OPTIONS, "--row", "3", "--data.template", "{problem} <think>"]
    _, out, _, _ = inspect(ROWS, *options, "--data.max_prompt_tokens", "7")
    assert "<s> find the value of x <think>" in out
    assert "response prefix    '<think>'" in out


@pytest.mark.parametrize(("row", "what"), [("0", "row 0 was left out"), ("9", "row 9 is not among the 5 rows")])
def test_a_row_that_is_not_there_is_one_line_with_the_nearest(inspect, row, what):
    status, _, err, _ = inspect(ROWS, *OPTIONS, "--row", row)
    assert status == 2
    nearest = {"0": 1, "9": 3}[row]
    assert err.splitlines()[-1] == f"mentor: error: --row: {what}; the nearest one that is kept is {nearest}"


def test_json_has_the_same_and_every_row(inspect, tmp_path):
    file = tmp_path / "new/report.json"
    _, _, _, path = inspect(ROWS, *OPTIONS, "--json", str(file))
    report = json.loads(file.read_text())
    assert (report["read"], report["kept"], report["demonstrations"], report["levels"]) == (5, 2, 2, {"2": 2})
    assert report["left_out"] == {"level": 1, "bad row": 1, "too long": 1}
    assert [row["place"] for row in report["listed"]["bad row"]] == [f"{path}:3"]
    assert report["prompt"]["text"] == "<s> find the sum"
    assert report["prompt"]["demonstrations"] == ["we check it", "we try"]


def test_it_takes_the_configurations_of_fit(inspect, tmp_path):
    later = tmp_path / "later.yaml"
    later.write_text("data: {template: '{problem} :', select: {levels: [1]}}\ntrainer: {max_epochs: 1}\n")
    files = ["--config", str(ROOT / "configs/quickstart.yaml"), "--config", str(later)]
    status, out, _, _ = inspect(ROWS[:2], *files, "--model.expert", "null")
    assert status == 0
    assert "1 of 2 rows are trained on" in out
    assert "<s> find x :" in out


def test_a_bad_row_is_one_line_with_its_place(inspect):
    status, _, err, path = inspect([*ROWS[:2], {"problem": "x"}])
    assert status == 2
    assert err.splitlines()[-1].startswith(f"mentor: error: {path}:3: field 'answer' is missing: name the right one")


BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/data.md").read_text(encoding="utf-8"), re.DOTALL)
EXAMPLES = [block for block in BLOCKS if "select:" in block]  # those that choose rows


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_data_page_work_on_rows_of_their_kind(example, inspect, tmp_path):
    chat = [{"role": "user", "content": "find x"}]
    rows = [{"problem": "find x", "answer": "7", "prompt": chat, "reward_model": {"ground_truth": "7"}}] * 2
    (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
    status, out, _, _ = inspect(rows, "--config", str(tmp_path / "example.yaml"), "--data.system_prompt", "null")
    assert status == 0
    assert "1 of 2 rows are trained on" in out
    assert "<s> find x" in out


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "required, but not set: model.policy (a text), data.train (a text). Set in a --config file or with "
             "--model.policy=..."),
        (["--model.expert=e", "--data.train=t"], "required, but not set: model.policy (a text). Set in a --config "
                                                 "file or with --model.policy=..."),
        (["--model.policy=p", "--data.train=t", "--data.select.levls=3"], "--data.select.levls: no such setting; did "
                                                                          "you mean 'levels'? Accepted: "),
    ],
    ids=["nothing", "no policy", "a misspelt setting of a group's group"],
)  # fmt: skip
def test_what_is_missing_or_misspelt_is_named_as_it_is_given(options, line, capsys):
    assert main(["data", "inspect", *options]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"mentor: error: {line}")


def test_a_report_that_cannot_be_written_is_one_line(inspect, tmp_path):
    status, _, err, _ = inspect(ROWS, *OPTIONS, "--json", str(tmp_path))
    assert status == 2
    assert err.splitlines()[-1].startswith(f"mentor: error: --json {tmp_path}: cannot be written")


def test_what_a_terminal_would_obey_is_escaped(inspect):
    rows = [{"problem": "find \x1b[2Jx", "answer": "7\x07"}, {"problem": "", "answer": "\x1b[31m"}]
    status, out, _, _ = inspect(rows, *OPTIONS[:4])
    assert status == 0
    assert not {"\x1b", "\x07"} & set(out)
    assert r"7\x07" in out
