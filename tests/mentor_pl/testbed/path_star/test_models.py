"""Drills ask for the first node and nothing else; base and expert grow from one trunk, each as its dials say."""

from __future__ import annotations

import random

import pytest

from mentor_pl.rewards.path_star import parse_problem
from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.path_star.models import STEPS, WORDS, ExpertDials, PathStarModels, PolicyDials, drill
from mentor_pl.testbed.path_star.problems import problems
from mentor_pl.testbed.pretrain import IGNORED
from mentor_pl.testbed.tokenizer import MAX_LENGTH, SPECIAL, build_tokenizer

PROBLEM = "edges n03 n11 | n07 n10 | n07 n03 | n10 n05 | start n07 goal n05"  # arms n10 n05 and n03 n11


def test_a_drill_asks_at_the_word_behind_each_goal_for_the_first_node_of_its_arm() -> None:
    tokenizer = build_tokenizer(WORDS)
    ids, labels = drill(parse_problem(PROBLEM), random.Random(0), tokenizer)
    words = tokenizer.decode(ids).split()
    first, second = words[17], words[20]
    assert words[:16] == f"drill {PROBLEM}".split()[:16]
    assert words[16:] == ["goal", first, "<think>", "goal", second, "<think>", "<eos>"]
    assert {first, second} == {"n05", "n11"}
    assert len(ids) == len(labels)
    due = {"n05": "n10", "n11": "n03"}
    asked = {place - 1: tokenizer.decode([label]) for place, label in enumerate(labels) if label != IGNORED}
    assert asked == {18: due[first], 21: due[second]}


def test_every_word_of_a_problem_and_its_answer_is_a_token_and_both_fit() -> None:
    tokenizer = build_tokenizer(WORDS)
    for star in problems("train", 20):
        ids = tokenizer(star.text())["input_ids"]
        assert tokenizer.decode(ids) == star.text()
        assert tokenizer.unk_token_id not in ids
        assert len(ids) + 2 * len(star.path()) + 5 <= MAX_LENGTH
    assert len(tokenizer) == len(WORDS) + len(SPECIAL)


def test_base_and_expert_grow_from_one_trunk_deterministically_and_report_every_step() -> None:
    scale = 0.002
    once, twice = [], []
    models = [PathStarModels(3, scale, lambda *step, seen=seen: seen.append(step)) for seen in (once, twice)]
    made = [[family.make(PolicyDials()), family.make(ExpertDials())] for family in models]
    assert once == twice
    assert list(dict.fromkeys(stage for stage, _, _ in once)) == ["trunk", "policy", "expert"]
    assert len(once) == sum(max(1, round(steps * scale)) for steps in STEPS.values())
    for first, second in zip(*made, strict=True):
        assert all(value.equal(second.state_dict()[name]) for name, value in first.state_dict().items())
        assert not first.training
    base, expert = made[0]
    assert any(not value.equal(expert.state_dict()[name]) for name, value in base.state_dict().items())


@pytest.mark.parametrize(
    ("dials", "arguments", "named"),
    [
        (PolicyDials, {"prior": -0.1}, "policy.prior is -0.1"),
        (PolicyDials, {"execution": 0.4}, "policy.execution is 0.4"),
        (ExpertDials, {"skill": 1.5}, "expert.skill is 1.5"),
    ],
)
def test_a_dial_out_of_range_is_named(dials: type, arguments: dict[str, float], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        dials(**arguments)
