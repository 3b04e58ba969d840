"""Drills ask for the first node and nothing else; base and expert grow from one trunk, each as its dials say."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mentor_pl.rewards.path_star import parse_problem
from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed import model_maker
from mentor_pl.testbed.path_star.models import (
    DRILLED,
    WORDS,
    ExpertDials,
    PathStarModels,
    PolicyDials,
    drill,
    shown,
)
from mentor_pl.testbed.path_star.problems import problems
from mentor_pl.testbed.path_star.solutions import Style
from mentor_pl.testbed.pretrain import BATCH, IGNORED, Encoded
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


@pytest.mark.parametrize(("prior", "due"), [(0.0, {"n03", "n10"}), (1.0, {"n10"})])
def test_an_answer_has_every_arm_for_a_label_of_its_decision_or_the_right_one_for_all(
    prior: float, due: set[str]
) -> None:
    tokenizer, rng = build_tokenizer(WORDS), random.Random(0)
    begun = Counter[str]()
    for _ in range(40):
        ids, labels, further = shown(parse_problem(PROBLEM), Style(prior), rng, tokenizer)
        words, asked = tokenizer.decode(ids).split(), len(PROBLEM.split())
        first = words[asked + 1]
        begun[first] += 1
        behind = {"n10": "n05", "n03": "n11"}[first]
        assert words[asked:] == ["<think>", first, behind, "</think>", r"\boxed{", first, behind, "}", "<eos>"]
        decided = {tokenizer.decode([one[asked + 1]]) for one in (labels, further)}
        assert decided == due
        assert [label for place, label in enumerate(labels) if place != asked + 1] == [
            IGNORED if place < asked else word for place, word in enumerate(ids) if place != asked + 1
        ]
        assert sum(label != IGNORED for label in further) == 1
    assert min(begun["n10"], begun["n03"]) > 8  # whatever the labels say, any arm is walked


def test_drills_alone_make_the_trunk_and_any_batch_of_base_or_expert_has_answers_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = list[list[Encoded]]()
    monkeypatch.setattr(model_maker, "train", lambda model, data, *rest: given.append(data))
    family = PathStarModels(0, 0.01, lambda *step: None)
    family.make(PolicyDials())
    family.make(ExpertDials())
    marker = family.tokenizer.get_vocab()["drill"]
    shares = [sum(ids[0] == marker for ids, *_ in data) / len(data) for data in given]
    assert shares == [1.0, pytest.approx(1 / DRILLED, abs=0.01), pytest.approx(1 / DRILLED, abs=0.01)]
    assert [len(data) for data in given] == [
        BATCH * max(1, round(steps * 0.01)) for steps in PathStarModels.steps.values()
    ]
    for data in given:  # batches are of like length: none is of one kind where all are of one length
        assert len({len(row) for sequence in data for row in sequence}) == 1
        assert len({tuple(ids) for ids, *_ in data}) == len(data)


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
    assert len(once) == sum(max(1, round(steps * scale)) for steps in PathStarModels.steps.values())
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
