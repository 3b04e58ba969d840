"""What is told of an expert of another family: its prompts, how it reads texts, what a guided token costs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.cli.doctor import text_guidance
from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.memory import estimate_of, plan_of
from mentor_pl.cli.doctor.report import Finding, Level
from mentor_pl.cli.doctor.text_guidance import examine
from mentor_pl.decoding.text.cost import Walk

Made = Callable[..., Configuration]


@pytest.fixture
def made(configuration: Made, qwen2_folder: Path, merges_expert_folder: Path, write_jsonl: Callable[..., Path]) -> Made:
    """(rows, further options) -> a configuration of two families whose problems are read."""

    def make(rows: list[dict[str, Any]], *options: str) -> Configuration:
        models = ["--model.policy", str(qwen2_folder), "--model.expert", str(merges_expert_folder)]
        data = ["--data.train", str(write_jsonl(rows)), "--data.max_prompt_tokens", "100"]
        settings = configuration(*models, *data, *options)
        assert settings.tokenizer is not None
        settings.problems = settings.data.load(settings.tokenizer)
        return settings

    return make


def rows(count: int, **others: Any) -> list[dict[str, Any]]:
    return [{"problem": f"we try the walk to {i}", "answer": "7", **others} for i in range(count)]


def texts(findings: list[Finding], level: Level) -> list[str]:
    return [finding.text for finding in findings if finding.level is level]


def test_of_an_expert_with_the_policys_ids_nothing_is_told(configuration: Made) -> None:
    assert examine(configuration()) == []


def test_ten_problems_are_shown_as_both_read_them_and_the_cost_is_told(made: Made, monkeypatch: Any) -> None:
    settings = made(rows(30))
    monkeypatch.setattr(text_guidance, "walk", lambda *_: Walk(8, 6, 4, 1, [2, 3], [0, 1]))
    found = examine(settings)
    assert not texts(found, Level.PROBLEM) + texts(found, Level.WARNING)
    told = "\n".join(texts(found, Level.OK))
    assert "10 problems as both read them: 25.0% of the policy's tokens end inside one of the expert's" in told
    assert "which has 0.75 tokens for each of the policy's" in told
    assert "the expert says 2.5 tokens, 3 at most, a forward each, and reads 0.50 again" in told
    assert "3.0 in all" in told
    shown = [text for text in texts(found, Level.DETAIL) if text.startswith("problem ")]
    assert [text.split(":")[0] for text in shown] == [f"problem {i}" for i in range(0, 30, 3)]
    assert "policy  t|ry| the| |wal|k" in shown[0]  # from where they part
    assert shown[0].endswith("expert  try| the| walk| to| |0")


def test_demonstrations_stand_for_responses_where_there_are_any(made: Made) -> None:
    found = examine(made(rows(3, demonstrations=["so the sum is 7"])))
    assert "3 demonstrations as both read them" in "\n".join(texts(found, Level.OK))
    assert all("sum" in text for text in texts(found, Level.DETAIL) if text.startswith("problem "))


def test_its_own_prompts_are_shown_and_memory_is_planned_for_the_longest(made: Made, monkeypatch: Any) -> None:
    settings = made([*rows(2), {"problem": "we try " * 9, "answer": "7"}])
    assert settings.text_expert is not None
    monkeypatch.setattr(settings.text_expert.tokenizer, "chat_template", "<me>{{ messages[0]['content'] }}")
    found = examine(settings)
    longest = len(settings.text_expert.tokenizer.encode("<me>" + "we try " * 9))
    assert settings.expert_prompt_tokens == longest
    assert f"to {longest} tokens of its own" in texts(found, Level.OK)[0]
    assert texts(found, Level.DETAIL)[0].startswith("the first begins <|m|e|>|we| try and ends ")
    plan, estimate = plan_of(settings), estimate_of(settings)
    assert plan is not None
    assert estimate is not None
    assert plan.expert_prompt_tokens == longest
    assert estimate.expert_ids == settings.text_expert.vocabulary


def test_problems_that_its_template_or_window_refuse_are_named(
    made: Made, merges_expert_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(merges_expert_folder, tmp_path / "expert"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 40}))
    refuses = "{% if '1' in messages[0]['content'] %}{{ raise_exception('no ones') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(refuses + "{{ messages[0]['content'] }}", encoding="utf-8")
    long = {"problem": "we try " * 15, "answer": "7"}
    settings = made([*rows(4), long], "--model.expert", str(folder), "--data.sampling.max_new_tokens", "60")
    found = examine(settings)
    refused, too_long = texts(found, Level.PROBLEM)
    assert refused.startswith("1 of 5 problems (1): the tokenizer's chat template fails: no ones")
    assert too_long.startswith("1 of 5 problems (4): the expert attends to 40 tokens, which the prompt, by its own")
    (text,) = texts(found, Level.WARNING)
    assert "but it attends to 40: behind these the policy is not guided" in text
    assert any(text.startswith("problem 0:") for text in texts(found, Level.DETAIL))


def test_a_sampler_that_asks_for_probabilities_is_a_problem(made: Made) -> None:
    found = examine(made(rows(2), "--data.sampler", "mentor_pl.decoding.algorithm1.Algorithm1"))
    (text,) = texts(found, Level.PROBLEM)
    assert "asks for the expert's probabilities, but it has ids of its own" in text
