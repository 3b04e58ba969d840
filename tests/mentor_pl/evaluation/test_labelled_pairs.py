"""Grading files of pairs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.evaluation.labelled_pairs import grade_pairs, read_pairs, taken_answer, taken_gold
from mentor_pl.rewards.math import MathReward
from mentor_pl.runtime.errors import UsageError

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "verifier"


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    return path


@pytest.fixture(scope="module")
def reward() -> Iterator[MathReward]:
    built = MathReward()
    yield built
    built.close()


def test_pairs_are_graded_in_order_and_disagreements_listed(tmp_path: Path) -> None:
    rows = [
        {"prediction": r"so \boxed{\frac{2}{4}}", "gold": "0.5", "correct": True},
        {"prediction": "x = 3", "gold": 4, "correct": True, "kind": "answer"},
        {"prediction": "5", "gold": "5"},
        {"prediction": "The answer is (B).", "gold": "B", "correct": True, "kind": "multiple-choice response"},
        {"prediction": r"\boxed{red}", "gold": "A", "correct": False, "choices": ["red", "blue"]},
    ]
    report = grade_pairs(read_pairs(write(tmp_path / "pairs.jsonl", rows)))
    assert [verdict.accepted for verdict in report.verdicts] == [True, False, True, True, True]
    assert [verdict.index for verdict in report.disagreements] == [1, 4]
    assert (report.labelled, report.agreement) == (4, 0.5)
    assert report.as_dict()["disagreements"][0]["gold"] == "4"


def test_without_labels_there_is_no_agreement() -> None:
    report = grade_pairs([{"prediction": "1", "gold": "1"}])
    assert math.isnan(report.agreement)
    assert report.as_dict()["agreement"] is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[]", "line 2 is not an object"),
        ('{"gold": "1"}', "line 2: prediction is missing"),
        ('{"prediction": "1"}', "line 2: gold is missing"),
        ('{"prediction": 1, "gold": "1"}', "line 2: prediction is 1; it must be a string"),
        ('{"prediction": "1", "gold": "1", "correct": "yes"}', "line 2: correct is 'yes'"),
    ],
)
def test_a_bad_line_is_named_with_its_field(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prediction": "1", "gold": "1"}\n' + line + "\n")
    with pytest.raises(UsageError, match=message):
        read_pairs(path)


def test_a_missing_file_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_pairs(tmp_path / "none.jsonl")


def test_answers_are_taken_from_responses_and_worked_golds() -> None:
    assert taken_answer("It is 7 in all.\nA: 7") == "7"
    assert taken_answer("The sum is 7", "answer") == "The sum is 7"
    assert taken_gold(r"We add and get \boxed{7}") == "7"
    assert taken_gold("$x$ and then we add them all and so find that the sum is $7$.") == "7"
    assert taken_gold("$1$ and $2$") == "$1$ and $2$"


@pytest.mark.parametrize(
    ("name", "bar"),
    [("math500_answers_read", 0.985), ("qwen_math_cot_100", 0.995), ("math_verify_tests", 0.97),
     ("areal_reward_cases", 0.98), ("mmlu_pro_letters", 0.99), ("gsm8k_openai_samples", 0.995)],
)  # fmt: skip
def test_grades_agree_with_independent_labels(reward: MathReward, name: str, bar: float) -> None:
    path = DATA / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"real data not found: {path}")
    assert grade_pairs(read_pairs(path), reward).agreement >= bar
