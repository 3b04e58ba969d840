"""What the documentation shows works as it stands."""

import csv
import re
import sys
from pathlib import Path

import pytest

from mentor_pl.cli.main import main
from mentor_pl.testbed.build import build
from mentor_pl.training import data as data_file

ROOT = Path(__file__).parents[1]


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder to start `mentor` from, with a small testbed."""
    build(tmp_path / "data/testbed", train_problems=24, heldout_problems=8)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_callbacks", raising=False)  # of another test's folder
    return tmp_path


def test_the_example_callback_of_the_callbacks_page_runs(project):
    (python,), (yaml,) = blocks("docs/callbacks.md", "python"), blocks("docs/callbacks.md", "yaml")
    assert len(python.splitlines()) <= 20
    (project / "my_callbacks.py").write_text(python, encoding="utf-8")
    (project / "samples.yaml").write_text(yaml, encoding="utf-8")
    quick = ["--data.steps", "5", "--data.prompts_per_step", "2", "--data.sampling.max_new_tokens", "16"]
    files = ["--config", str(ROOT / "configs/quickstart.yaml"), "--config", "samples.yaml"]
    assert main(["fit", *files, *quick, "--trainer.enable_progress_bar", "false"]) == 0
    ((step, reward, text),) = [line.split("\t") for line in (project / "samples.txt").read_text().splitlines()]
    assert step == "5"
    assert 0 <= float(reward) <= 1
    assert text.startswith("<think>")
    for name in ("curves.png", "metrics.csv", "config.yaml", "policy/model.safetensors"):
        assert (project / "runs/quickstart/version_0" / name).is_file(), name


def test_every_file_that_a_page_names_exists():
    for page in ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]:
        text = (ROOT / page).read_text(encoding="utf-8")
        for name in re.findall(r"`((?:mentor_pl|callbacks|configs|scripts|docs)/[\w./-]+\.\w+)`", text):
            assert (ROOT / name).exists(), (page, name)
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert ((ROOT / page).parent / link).exists(), (page, link)


def test_the_method_of_ones_own_on_the_algorithms_page_runs_and_learns_from_winners_alone(project, monkeypatch):
    (python,), (yaml,) = blocks("docs/algorithms.md", "python"), blocks("docs/algorithms.md", "yaml")
    assert len(python.splitlines()) <= 40
    (project / "best_of_group.py").write_text(python, encoding="utf-8")
    (project / "best_of_group.yaml").write_text(yaml, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "best_of_group", raising=False)
    seen = []
    collect = data_file.collect
    monkeypatch.setattr(data_file, "collect", lambda *some, **more: seen.append(collect(*some, **more)) or seen[-1])
    quick = ["--data.steps", "3", "--data.prompts_per_step", "4", "--data.sampling.max_new_tokens", "24"]
    files = ["--config", str(ROOT / "configs/quickstart.yaml"), "--config", "best_of_group.yaml"]
    assert main(["fit", *files, *quick, "--trainer.enable_progress_bar", "false"]) == 0
    advantages = sys.modules["best_of_group"].BestOfGroup().advantages(seen[0])
    for group in range(4):
        rewards, values = seen[0].rewards[seen[0].group == group], advantages[seen[0].group == group]
        assert len(rewards) == 8
        assert values.sum() == float(rewards.max() > 0)
        assert rewards[values.argmax()] == rewards.max()
    (metrics,) = project.glob("runs/**/metrics.csv")
    rows = [row for row in csv.DictReader(metrics.open()) if row["train/loss"]]
    assert len(rows) == 3
    assert all(float(row["train/loss"]) > 0 for row in rows)  # −log π of what it said itself
