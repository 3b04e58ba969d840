"""Problems of benchmarks are found in training data whatever their layout, and others are not."""

from pathlib import Path

import pytest

from mentor_pl.problems.filter_report import FilterReport
from mentor_pl.problems.overlap import BenchmarkTexts, hashed, normalised, read_benchmarks
from mentor_pl.problems.selection import Selection, select_problems
from mentor_pl.runtime.errors import UsageError

DATA = Path(__file__).parents[4] / "shared/data"
ALPHABET = [f"{letter}word" for letter in "abcdefghijklmnopqrstuvwxyz"]


def words(first, last):
    """Words number `first` to `last` of 26."""
    return " ".join(ALPHABET[first : last + 1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Find $x$.", "find  X"),
        (r"Compute\[\cos^3 \frac{2 \pi}{7}.\]", r"Compute $\cos ^{3} \dfrac{2 \pi}{7}$."),
        (r"$x^4 + jx^2$", r"$x^{4}+j x^{2}$"),
        (r"$a_1,$ $a_2,$ $\dots$", r"$a_{1}, a_{2}, \ldots$"),
        (r"one focus is at $(d,7).$", r"One focus is at $\left(d, 7\right)$"),
        (r"costs \$5", "costs $5"),
        ("ﬁnd x²", "find x2"),
    ],
)
def test_layout_makes_no_difference(one, other):
    assert normalised(one) == normalised(other)
    assert hashed(one) == hashed(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("$z^4 - z^2 + 1$", "$z^4 + z^2 + 1$"), ("2.5 apples", "25 apples"), (r"$\sin x$", r"$\cos x$"), ("x/2", "x2")],
)
def test_operators_numbers_and_functions_do(one, other):
    assert normalised(one) != normalised(other)


def test_hashes_are_even_and_the_same_on_every_machine():
    assert hashed("Find $x$.") == pytest.approx(0.7923178701, abs=1e-9)  # b2sum -l 64 of 'findx'
    numbers = [hashed(f"problem {i}") for i in range(4000)]
    for tenth in range(10):  # 400 expected, standard deviation 19
        assert 320 < sum(tenth / 10 <= number < (tenth + 1) / 10 for number in numbers) < 480


def test_the_share_is_of_the_shorter_texts_13_grams():
    # 20 words have 8 13-grams; words 0–16 give 5 of them, 0–12 one
    benchmarks = BenchmarkTexts([("b:1", words(0, 19))])
    found = benchmarks.find(f"{words(0, 16)} and so on to the end", near=0.1)
    assert (found.benchmark, found.shared, found.same) == ("b:1", 5 / 8, False)
    assert benchmarks.find(words(0, 16)).shared == 1  # all 5 of its own
    assert benchmarks.find(f"{words(0, 16)} 1 2 3", near=5 / 8) is not None
    assert benchmarks.find(f"{words(0, 16)} 1 2 3", near=0.63) is None
    assert benchmarks.find(f"{words(0, 12)} 1 2 3 4 5 6 7") is None  # 1 of 8, a closing phrase


def test_the_nearest_problem_is_named_and_an_equal_one_first():
    benchmarks = BenchmarkTexts([("b:1", words(0, 16)), ("b:2", words(0, 19)), ("b:3", words(0, 19))])
    assert benchmarks.find(f"{words(0, 19)} 7").benchmark == "b:1"  # both share all: the earlier
    assert benchmarks.find(f"1 {words(4, 19)}").benchmark == "b:2"
    equal = benchmarks.find(words(0, 19).upper() + ".")
    assert (equal.benchmark, equal.same) == ("b:2", True)


def test_texts_under_13_words_are_compared_as_a_whole():
    benchmarks = BenchmarkTexts([("b:1", words(0, 11))])
    assert benchmarks.find(words(0, 11)).same
    assert benchmarks.find(f"{words(0, 11)} 7", near=0.01) is None


def test_benchmarks_are_read_by_whatever_their_column_is_called(write_jsonl):
    one = write_jsonl([{"question": "find x"}], "one.jsonl")
    two = write_jsonl([{"problem": "find y", "question": "other"}], "two.jsonl")
    benchmarks = read_benchmarks([str(one), str(two)])
    assert benchmarks.counts == {str(one): 1, str(two): 1}
    assert benchmarks.find("Find y.").benchmark == f"{two}:1"
    assert benchmarks.find("other") is None
    with pytest.raises(UsageError, match=r"three.jsonl:1: no text under problem, question, prompt"):
        read_benchmarks([str(write_jsonl([{"text": "x"}], "three.jsonl"))])


def test_of_a_benchmark_with_parts_the_test_part_is_compared_with(tmp_path):
    for part in ("train", "test"):
        (tmp_path / f"{part}.jsonl").write_text(f'{{"problem": "find the {part}"}}')
    benchmarks = read_benchmarks([str(tmp_path)])
    assert benchmarks.find("find the test") is not None
    assert benchmarks.find("find the train") is None


@pytest.mark.skipif(not DATA.is_dir(), reason=f"needs real problems, and {DATA} is not here")
def test_of_maths_training_split_only_olympiadbench_and_mmlu_pro_hold_problems():
    filter_report = FilterReport()
    selection = Selection(exclude=[str(DATA / "benchmarks")])
    kept = select_problems([DATA / "train/math12k_level3to5.jsonl"], selection, filter_report)
    same: dict[str, int] = {}
    for _, overlap in filter_report.overlaps:
        name = Path(overlap.benchmark).name.split(".")[0]
        same[name] = same.get(name, 0) + overlap.same
    assert same == {"math500": 0, "mmlu_pro": 118, "olympiadbench": 6}
    assert len(kept) == 8882 - len(filter_report.overlaps)
