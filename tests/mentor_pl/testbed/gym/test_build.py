"""One command writes folders that load; traces are right by the library's own scorer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from mentor_pl.cli.main import main
from mentor_pl.testbed.gym.build import gym
from mentor_pl.testbed.gym.problems import SETTINGS, TaskName

SMALL = {"scale": 0.002, "train_problems": 40, "heldout_problems": 3, "traces": 30}


def test_without_the_library_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    assert main(["testbed", "gym", "--task", "chain_sum", "--out", str(tmp_path / "out")]) != 0
    assert "run `pip install mentor-pl[environments]`" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("task", SETTINGS)
def test_a_task_is_written_once_and_its_traces_are_right(
    task: TaskName, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed: pip install mentor-pl[environments]")
    from mentor_pl.problems.filter_report import FilterReport
    from mentor_pl.problems.selection import Selection, select_problems
    from mentor_pl.rewards.paper import PaperReward
    from mentor_pl.rewards.reasoning_gym import ReasoningGymReward
    from mentor_pl.types import Prompt, Response

    gym(task, tmp_path, **SMALL)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "policy")
    problems = select_problems([str(tmp_path / "train.jsonl")], Selection(), FilterReport())
    assert [len(one.demonstrations) for one in problems] == [1] * 30 + [0] * 10
    reward = PaperReward(ReasoningGymReward(workers=1))
    prompts = [Prompt(one.index, one.problem, one.answer, (), metadata=one.metadata) for one in problems[:30]]
    grades = reward(prompts, [Response(one.demonstrations[0]) for one in problems[:30]])
    reward.close()
    assert grades.total == [1] * 30
    for one in problems[:30]:
        ids = tokenizer(one.demonstrations[0])["input_ids"]
        assert len(ids) <= 79
        assert tokenizer.decode(ids) == one.demonstrations[0]
        assert len(tokenizer(one.problem)["input_ids"]) <= 32
    rows: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "heldout.jsonl").read_text().splitlines()]
    assert len(rows) == 3
    assert not any("demonstrations" in row for row in rows)
    for name in ("policy", "expert"):
        assert AutoModelForCausalLM.from_pretrained(tmp_path / name).config.vocab_size == len(tokenizer)
    gym(task, tmp_path, **SMALL)
    assert capsys.readouterr().err.count("reused") == 4
