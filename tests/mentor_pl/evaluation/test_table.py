"""The table that is printed: its numbers by hand, its form, and the files it is saved in."""

import json

import pytest

from mentor_pl.evaluation.samples_file import Answered, GradedResponse
from mentor_pl.evaluation.table import Kept, save_summary, summarise, to_markdown


def answered(index, *right, greedy=None, text="so wait"):
    responses = tuple(GradedResponse(text, 10, index == 0, bool(one), {"format": 1.0}) for one in right)
    certain = None if greedy is None else GradedResponse("", 1, False, greedy, {})
    return Answered("b", index, f"id{index}", "p", "p", "a", "", {}, responses, certain)


HARD = Kept("hard", [answered(0, 1, 0, 0, 0, greedy=False), answered(1, 0, 0, 1, 1, greedy=True)], [1, 2])
EASY = Kept("easy", [answered(i, i < 3) for i in range(4)], [1], without=frozenset({"id3", "elsewhere"}))


def test_numbers_by_hand():
    """hard: 1 and 2 of 4 right, so avg is 3/8 and pass@2 is 1 − 3/6 and 1 − 1/6. easy: 3 of 4 right, or 3 of 3."""
    summary = summarise([HARD, EASY], words=["wait", "but"])
    rows = summary["benchmarks"]
    assert list(rows) == ["hard", "easy", "easy without 1"]
    assert (rows["hard"]["problems"], rows["hard"]["samples"]) == (2, 4)
    assert rows["hard"]["metrics"] == pytest.approx(
        {
            "avg@4": 3 / 8,
            "pass@1": 3 / 8,
            "pass@2": (1 / 2 + 5 / 6) / 2,
            "greedy": 1 / 2,
            "length": 10,
            "truncated": 1 / 2,
            "format": 1,
            "words/wait": 1,
            "words/but": 0,
        }
    )
    assert rows["hard"]["intervals"]["avg@4"] == (0.25, 0.5)  # of two problems, both may be the same one
    assert rows["hard"]["intervals"]["greedy"] == (0.0, 1.0)
    assert rows["easy without 1"]["metrics"]["avg@1"] == 1
    assert summary["mean"]["benchmarks"] == 2  # the second row of a benchmark does not weigh
    assert summary["mean"]["value"] == pytest.approx((3 / 8 + 3 / 4) / 2)


def test_the_mean_of_benchmarks_has_a_narrower_interval_than_each():
    """Five independent benchmarks of 100 problems, half of them right: 0.5 ± 0.098 each, and 0.098/√5 for the mean."""
    five = [Kept(f"b{k}", [answered(i, i % 2) for i in range(100)], [1]) for k in range(5)]
    summary = summarise(five)
    low, high = summary["benchmarks"]["b0"]["intervals"]["avg@1"]
    assert (low, high) == pytest.approx((0.402, 0.598), abs=0.02)
    assert summary["mean"]["interval"] == pytest.approx((0.4562, 0.5438), abs=0.006)


def test_the_table_is_markdown_in_per_cent_whose_columns_stand_under_one_another():
    lines = to_markdown(summarise([HARD, EASY])).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == [
        "benchmark",
        "problems",
        "accuracy",
        "[95%]",
        "pass@k",
        "[95%]",
        "greedy",
        "[95%]",
        "tokens",
        "cut off",
    ]
    assert cells[2] == [
        "hard",
        "2",
        "avg@4 37.5",
        "[25.0, 50.0]",
        "pass@2 66.7",
        "[50.0, 83.3]",
        "50.0",
        "[0.0, 100.0]",
        "10",
        "50.0%",
    ]
    assert cells[3] == ["easy", "4", "avg@1 75.0", "[25.0, 100.0]", "", "", "", "", "10", "25.0%"]
    assert cells[5][:3] == ["**mean of 2**", "", "**56.2**"]


def test_columns_that_no_benchmark_fills_are_left_out_and_one_benchmark_has_no_mean():
    head, _, row = to_markdown(summarise([Kept("easy", EASY.answered, [1])])).splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        "benchmark",
        "problems",
        "accuracy",
        "[95%]",
        "tokens",
        "cut off",
    ]
    assert "75.0" in row


def test_results_are_saved_as_numbers_and_as_the_table(tmp_path):
    summary = summarise([HARD])
    save_summary(summary, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["benchmarks"]["hard"]["metrics"]["avg@4"] == 0.375
    assert (tmp_path / "results.md").read_text() == to_markdown(summary)
