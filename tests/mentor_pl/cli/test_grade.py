"""`mentor grade`, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.cli.main import main

ROWS: list[dict[str, Any]] = [
    {"prediction": r"so \boxed{\frac{2}{4}}", "gold": "0.5", "correct": True, "kind": "response"},
    {"prediction": "The answer is (B).", "gold": "B", "correct": False, "kind": "multiple-choice"},
    {"prediction": "[red]\x1b[m", "gold": 4, "correct": True, "kind": "response"},
    {"prediction": r"\boxed{blue}", "gold": "B", "choices": ["red", "blue"]},
]


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("\n\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def table(text: str) -> list[list[str]]:
    """The cells of every row that a terminal shows."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line.startswith("│")]


def test_counts_agreement_by_kind_and_every_disagreement_are_printed_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.json"
    assert main(["grade", "--pairs", write(tmp_path / "pairs.jsonl", ROWS), "--json", str(out)]) == 0
    rows = table(capsys.readouterr().out)
    assert rows[:4] == [
        ["response", "2", "1", "0", "2", "50.00 %", "0", "1"],
        ["multiple-choice", "1", "1", "0", "1", "0.00 %", "1", "0"],
        ["", "1", "1", "0", "0", "-", "0", "0"],
        ["all", "4", "3", "0", "3", "33.33 %", "1", "1"],
    ]
    assert rows[4:] == [["3", "right", "wrong", "B", "B"], ["5", "wrong", "right", r"[red]\x1b[m", "4"]]
    report = json.loads(out.read_text())
    assert (report["pairs"], report["accepted"], report["labelled"], report["failed"]) == (4, 3, 3, 0)
    assert report["agreement"] == pytest.approx(1 / 3)
    assert report["kinds"]["response"] == {"pairs": 2, "agreement": 0.5}
    assert [(row["line"], row["accepted"], row["correct"]) for row in report["disagreements"]] == [
        (3, True, False),
        (5, False, True),
    ]


HOSTILE = ["x" * 1_000_000, "7" * 1_000_000, "\x00" * 9, "\ud800", "{" * 100_000, r"\boxed{" * 50_000, r"\(" * 100_000,
           "9^{" * 12 + "9" + "}" * 12, r"\boxed{10^{10^{10}}}"]  # fmt: skip


def test_hostile_predictions_neither_hang_nor_end_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"prediction": text, "gold": gold, "correct": True, "kind": kind}
        for text in HOSTILE
        for kind, gold in (("answer", "5"), ("response", text[:200_000] + " "), ("multiple-choice", "B"))
    ]
    good = {"prediction": r"\boxed{10/2}", "gold": "5", "correct": True}
    out = tmp_path / "report.json"
    path = write(tmp_path / "pairs.jsonl", [*rows, good])
    assert main(["grade", "--pairs", path, "--json", str(out), "--timeout", "5"]) == 0
    assert len(table(capsys.readouterr().out)) > 9
    report = json.loads(out.read_text())
    assert report["pairs"] == len(rows) + 1
    assert {(row["kind"], row["accepted"]) for row in report["disagreements"]} >= {("answer", False)}
    assert report["kinds"][""] == {"pairs": 1, "agreement": 1.0}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"gold": "1"}', "line 3: prediction is missing; it must be a string"),
        ('{"prediction": "1", "gold": [1]}', "line 3: gold is [1]; it must be a string or a number"),
        ('{"prediction": "1", "gold": "1", "correct": 1}', "line 3: correct is 1; it must be true, false or absent"),
        ('{"prediction": "1", "gold": "1", "kind": 1}', "line 3: kind is 1; it must be a string or absent"),
        ('{"prediction": "1", "gold": "1", "choices": "ab"}', "line 3: choices is 'ab'; it must be a list or absent"),
        ("[" * 100_000, "line 3 is not JSON"),
        ('{"prediction": "1", "gold": ' + "9" * 5000 + "}", "line 3 is not JSON"),
    ],
)
def test_a_bad_row_is_one_line_with_file_line_field_and_reason(
    line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prediction": "1", "gold": "1"}\n\n' + line + "\n")
    assert main(["grade", "--pairs", str(path)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"mentor: error: {path}, ")
    assert message in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --pairs FILE.jsonl"),
        (["--pairs", "none.jsonl"], "none.jsonl cannot be read"),
        (["--pairs", "pairs.jsonl", "--json", "none/o.json"], "there is no folder none"),
        (["--pairs", "empty.jsonl"], "empty.jsonl has no pairs"),
        (["--pairs", "pairs.jsonl", "--workers", "0"], "workers is 0, but they are the processes that grade"),
    ],
)
def test_what_is_missing_is_one_line(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("pairs.jsonl"), ROWS[:1])
    write(Path("empty.jsonl"), [])
    assert main(["grade", *options]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert message in error
