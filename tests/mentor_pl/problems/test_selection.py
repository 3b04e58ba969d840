"""Which rows become problems, and that every other one is counted for one reason."""

import pytest

from mentor_pl.problems.columns import Columns
from mentor_pl.problems.filter_report import FilterReport
from mentor_pl.problems.overlap import hashed
from mentor_pl.problems.selection import Selection, rows_of, select_problems
from mentor_pl.runtime.errors import UsageError


def row(problem, answer="7", **others):
    return {"problem": problem, "answer": answer, **others}


def select(*paths, **options):
    """Problems as (index, text), and the report."""
    filter_report = FilterReport()
    problems = select_problems(paths, Selection(**options), filter_report)
    return [(problem.index, problem.problem) for problem in problems], filter_report


def test_levels_are_chosen_and_rows_without_one_are_not(write_jsonl):
    path = write_jsonl([row("a", level="Level 3"), row("b", level=2), row("c"), row("d", level=5)])
    problems, filter_report = select(path, levels=[3, 5])
    assert problems == [(0, "a"), (3, "d")]
    assert filter_report.counts == {"level": 2}
    assert filter_report.lines("f") == ["f: 2 of 4 problems left out, their level is not one of 3, 5"]


def test_rows_without_answer_are_bad_unless_left_out_on_request(write_jsonl):
    path = write_jsonl([row("a"), row("b", None), row("c", " "), {"problem": "d"}, row("e", [1, 2])])
    with pytest.raises(UsageError, match=r":2: field 'answer' is None"):
        select(path)
    with pytest.raises(UsageError, match=r":5: field 'answer' is \[1, 2\]"):
        select(path, answered=True)
    problems, filter_report = select(path, answered=True, on_bad_row="skip")
    assert problems == [(0, "a")]
    assert filter_report.counts == {"unanswered": 3, "bad row": 1}


def test_bad_rows_stop_or_are_skipped_counted_and_listed_and_the_others_keep_their_place(write_jsonl):
    path = write_jsonl([row("a"), "{", row("b"), {"problem": "c"}, "[]", row("d")])
    with pytest.raises(UsageError, match=r":2: not JSON .*select.on_bad_row: skip leaves such rows out"):
        select(path)
    problems, filter_report = select(path, on_bad_row="skip")
    assert problems == [(0, "a"), (2, "b"), (5, "d")]
    assert (filter_report.read, filter_report.counts) == (6, {"bad row": 3})
    assert [bad.place for bad in filter_report.listed["bad row"]] == [f"{path}:{line}" for line in (2, 4, 5)]
    (line,) = filter_report.lines(path)
    assert line.startswith(f"{path}: 3 of 6 problems left out, they cannot be used; {path}:2: not JSON")
    assert line.endswith("; and 1 more")
    _, filter_report = select(write_jsonl([row("a"), "{", "[]"]), on_bad_row="skip")
    assert "more" not in filter_report.lines(path)[0]


def test_the_rows_of_chosen_problems_are_found_again_as_they_lie_there_bad_ones_between(write_jsonl):
    path = write_jsonl([row("a", more=[1]), "{", row("b"), {"problem": "c"}, "[]", row("d", 4.0)])
    selection = Selection(on_bad_row="skip")
    chosen = {problem.index for problem in select_problems([path], selection, FilterReport())} - {2}
    found = {index: found.values for index, found in rows_of(path, selection, chosen)}
    assert found == {0: row("a", more=[1]), 5: row("d", 4.0)}


def test_the_two_sides_of_the_hash_split_part_the_problems_and_never_move(write_jsonl):
    rows = [row(f"problem {i}") for i in range(200)]
    train, filter_report = select(write_jsonl(rows), held_out=0.2)
    held, _ = select(write_jsonl(rows), held_out=0.2, side="held_out")
    assert sorted(train + held) == [(i, f"problem {i}") for i in range(200)]
    assert {text for _, text in held} == {r["problem"] for r in rows if hashed(r["problem"]) < 0.2}
    assert 20 < len(held) < 60  # 40 expected, standard deviation 5.7
    assert filter_report.counts == {"other side": len(held)}
    # more rows in another order, another layout: nobody changes sides
    more = [row(f"new {i}") for i in range(50)] + [row(f"$Problem$  {i}.") for i in reversed(range(200))]
    moved, _ = select(write_jsonl(more), held_out=0.2, side="held_out")
    assert {int(text.split()[-1].strip(".")) for _, text in moved if "Problem" in text} == {i for i, _ in held}


def test_repeated_problems_are_counted_and_dropped_on_request_with_their_demonstrations_joined(write_jsonl):
    path = write_jsonl(
        [
            row("Find $x$", r"\dfrac12", demonstrations="a"),
            row("b"),
            row("find x.", r"\frac{1}{2}", demonstrations=["b", "a"]),
        ]
    )
    problems, filter_report = select(path)
    assert len(problems) == 3
    assert (filter_report.repeated, filter_report.counts) == (1, {})
    assert filter_report.lines("f") == [
        "f: 1 of 3 problems repeat an earlier one and are kept; select.duplicates: drop leaves them out"
    ]
    kept = select_problems([path], Selection(duplicates="drop"), filter_report := FilterReport())
    assert [(problem.problem, problem.demonstrations) for problem in kept] == [("Find $x$", ("a", "b")), ("b", ())]
    assert (filter_report.repeated, filter_report.counts) == (0, {"duplicate": 1})


def test_of_a_problem_with_two_answers_no_row_is_kept_and_both_are_listed(write_jsonl):
    path = write_jsonl([row("a", "1"), row("b"), row("a", "2"), row("a", "1")])
    problems, filter_report = select(path, duplicates="drop")
    assert problems == [(1, "b")]
    assert filter_report.counts == {"contradiction": 3}
    first = filter_report.listed["contradiction"][0]
    assert (first.place, first.reason) == (f"{path}:1", f"answered '1' at {path}:1 and '2' at {path}:3")


def test_choices_tell_problems_of_one_wording_apart(write_jsonl):
    path = write_jsonl([row("Which?", "A", choices=["x", "y"]), row("Which?", "B", choices=["x", "z"])])
    problems, _ = select(path, duplicates="drop")
    assert len(problems) == 2


def test_problems_of_benchmarks_are_left_out_and_named(write_jsonl, tmp_path):
    text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    bench = write_jsonl([{"problem": "find x"}, {"problem": text}], "bench.jsonl")
    path = write_jsonl([row("a"), row("Find $x$."), row(f"{text} fifteen")])
    problems, filter_report = select(path, exclude=[str(bench)])
    assert problems == [(0, "a")]
    assert filter_report.counts == {"in a benchmark": 1, "near a benchmark": 1}
    assert filter_report.listed["in a benchmark"][0].reason == f"the same text as {bench}:1"
    assert filter_report.listed["near a benchmark"][0].reason == f"100% of 13-grams shared with {bench}:2"
    assert filter_report.compared == {str(bench): 2}
    assert len(select(path, exclude=[str(bench)], near=1.1)[0]) == 2


def test_a_row_is_left_out_for_the_first_reason_alone(write_jsonl):
    bench = write_jsonl([{"problem": "a"}], "bench.jsonl")
    path = write_jsonl([row("a", level=1), row("a", level=2), row("a", level=2), row("b", level=2)])
    _, filter_report = select(path, levels=[2], duplicates="drop", exclude=[str(bench)])
    assert filter_report.counts == {"level": 1, "duplicate": 1, "in a benchmark": 1}


def test_nothing_left_is_a_usage_error_that_says_why(write_jsonl):
    path = write_jsonl([row("a", level=1), row("b")])
    with pytest.raises(UsageError, match=r"2 of 2 problems left out, their level is not one of 3: nothing is left"):
        select(path, levels=[3])


def test_several_sources_are_one(write_jsonl):
    first, second = write_jsonl([row("a"), row("b")], "1.jsonl"), write_jsonl([row("b"), row("c")], "2.jsonl")
    problems, filter_report = select(first, second, duplicates="drop")
    assert problems == [(0, "a"), (1, "b"), (3, "c")]
    assert filter_report.read == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": 1.0}, "select held_out is 1.0"),
        ({"side": "held_out"}, "select side is held_out, but the share held_out is 0"),
        ({"near": 0.0}, "select near is 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Selection(**options)


def test_columns_of_ones_own_are_used(write_jsonl):
    path = write_jsonl([{"question": "a", "final": {"answer": 3}}])
    problems, _ = select(path, columns=Columns(problem="question", answer="final.answer"))
    assert problems == [(0, "a")]
