"""A row that is left out is counted once, by reason, and a few of the rows are named."""

from mentor_pl.problems.filter_report import FilterReport
from mentor_pl.problems.sources import BadRow


def test_nothing_left_out_is_nothing_to_say():
    assert FilterReport(read=3).lines("a.jsonl") == []


def test_each_reason_is_a_line_with_its_count_in_the_order_met():
    report = FilterReport(read=10)
    report.drop("level", "their level is not one of 3")
    report.drop("empty", "they have no answer")
    report.drop("level", "their level is not one of 3")
    assert report.lines("a.jsonl") == [
        "a.jsonl: 2 of 10 problems left out, their level is not one of 3",
        "a.jsonl: 1 of 10 problems left out, they have no answer",
    ]


def test_the_first_two_rows_are_named_and_the_rest_counted():
    report = FilterReport(read=9)
    rows = [BadRow(f"a.jsonl:{line}", "no answer") for line in (2, 5, 7)]
    for row in rows:
        report.drop("bad", "they cannot be used", row)
    assert report.listed == {"bad": rows}
    assert report.lines("a.jsonl") == [
        "a.jsonl: 3 of 9 problems left out, they cannot be used; a.jsonl:2: no answer; a.jsonl:5: no answer; and 1 more"
    ]


def test_two_named_rows_are_all_there_are():
    report = FilterReport(read=2)
    for line in (1, 2):
        report.drop("bad", "they cannot be used", BadRow(f"a:{line}", "no answer"))
    assert report.lines("a") == ["a: 2 of 2 problems left out, they cannot be used; a:1: no answer; a:2: no answer"]


def test_repeated_problems_are_kept_and_the_remedy_is_named():
    assert FilterReport(read=4, repeated=1).lines("a") == [
        "a: 1 of 4 problems repeat an earlier one and are kept; select.duplicates: drop leaves them out"
    ]
