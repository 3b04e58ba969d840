"""Sums with their steps."""

import json

import pytest
from chain_sums import main, solved


@pytest.mark.parametrize(
    ("expression", "solution"),
    [
        ("12 - 5 + 20", "12 - 5 = 7\n7 + 20 = 27\n\\boxed{27}"),
        ("3 - 10 - 1", "3 - 10 = -7\n-7 - 1 = -8\n\\boxed{-8}"),
    ],
)
def test_a_sum_is_done_from_the_left(expression, solution):
    assert solved(expression) == solution


def test_no_problem_is_both_learned_and_held_out_and_every_box_has_the_answer(tmp_path):
    pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed: pip install mentor-pl[environments]")
    assert main(["--out", str(tmp_path)]) == 0
    train, heldout = (
        [json.loads(line) for line in (tmp_path / f"{split}.jsonl").open()] for split in ("train", "heldout")
    )
    assert len(heldout) > 150 and len(train) > 1500
    assert not {row["problem"] for row in train} & {row["problem"] for row in heldout}
    for row in [*train[:20], *heldout[:20]]:
        assert row["demonstrations"][0].endswith(f"\\boxed{{{row['answer']}}}")
