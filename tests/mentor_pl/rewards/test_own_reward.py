"""A reward in a file of the user's own, named in YAML, through the command line."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.cli.main import main
from mentor_pl.rewards.base import Grades
from mentor_pl.testbed.maze.build import build
from mentor_pl.types import Prompt, Response

ROOT = Path(__file__).parents[3]

MINE = '''
from concurrent.futures import ThreadPoolExecutor

from mentor_pl.rewards.base import Grade, Reward


class Short(Reward):
    """Grades one response."""

    range = (-1.0, 1.0)

    def __init__(self, max_words: int = 4) -> None:
        self.max_words = max_words

    def grade(self, prompt, response):
        short = len(response.text.split()) <= self.max_words
        return Grade(1.0 if short else -1.0, {"short": short})


class ShortLater(Short):
    """The same, in a thread of its own."""

    def __init__(self, max_words: int = 4) -> None:
        super().__init__(max_words)
        self.threads = ThreadPoolExecutor(1)

    def grade(self, prompt, response):
        return self.threads.submit(super().grade, prompt, response)

    def close(self):
        self.threads.shutdown()
'''
YAML = "data:\n  reward: {{class_path: mine.{name}, init_args: {{max_words: {max_words}}}}}\n"


@pytest.mark.parametrize(("name", "max_words", "reward"), [("Short", 99, 1.0), ("ShortLater", -1, -1.0)])
def test_a_reward_of_ones_own_grades_a_run(
    name: str, max_words: int, reward: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "data/testbed", train_problems=4, heldout_problems=4)
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(YAML.format(name=name, max_words=max_words), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    small = ["--data.steps", "1", "--data.prompts_per_step", "2", "--data.sampling.max_new_tokens", "8"]
    configs = ["--config", str(ROOT / "configs/quickstart.yaml"), "--config", "mine.yaml"]
    assert main(["fit", *configs, *small, "--trainer.enable_progress_bar", "false"]) == 0
    (metrics,) = tmp_path.glob("runs/**/metrics.csv")
    rows = list(csv.DictReader(metrics.open()))
    assert {float(row["train/on_policy/reward"]) for row in rows if row.get("train/on_policy/reward")} == {reward}
    assert {float(row["train/mixed/short"]) for row in rows if row.get("train/mixed/short")} == {(reward + 1) / 2}


def test_the_reward_of_the_page_on_rewards_grades_as_it_says() -> None:
    page = (ROOT / "docs/rewards.md").read_text(encoding="utf-8")
    space: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], space)
    brief = space["Brief"](words=2)
    texts = ["it is 7", "is 7", "is 8"]
    grades = brief([Prompt(0, "", "7", ())] * 3, [Response(text) for text in texts])
    assert grades == Grades([0.5, 1.0, 0.0], {"outcome": [1, 1, 0], "brief": [0, 1, 1]})
