"""The page on Python shows scripts that run."""

import csv
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs/python.md"


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """The page's scripts, to be run in a folder of their own, for two steps of few and short rollouts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")  # the script sets it; a later test must not find it
    run, callback = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    smaller = {
        "steps = 100": "steps = 2",
        'build("data/testbed")': 'build("data/testbed", train_problems=24, heldout_problems=8)',
        "prompts_per_step=12": "prompts_per_step=2",
        "max_new_tokens=80": "max_new_tokens=24",
    }
    for shown, small in smaller.items():
        assert run.count(shown) == 1, shown
        run = run.replace(shown, small)
    return run, callback


def test_the_script_trains_and_leaves_what_the_page_says(scripts, tmp_path):
    exec(compile(scripts[0], "docs/python.md", "exec"), {})
    folder = tmp_path / "runs/python/version_0"
    rows = [row for row in csv.DictReader((folder / "metrics.csv").open()) if row["train/loss"]]
    assert len(rows) == 2
    assert float(rows[0]["train/alpha"]) == 1.0
    assert float(rows[1]["train/alpha"]) < 1.0
    assert (folder / "policy/model.safetensors").is_file()
    assert (folder / "curves.png").is_file()
    assert list(folder.glob("checkpoints/*.ckpt"))


def test_the_callback_prints_guided_and_replaced_tokens(scripts, capsys):
    run, callback = scripts
    assert "callbacks=behaviours" in run
    start = "trainer = L.Trainer("
    script = run.replace(start, f"{callback}\n{start}")
    script = script.replace("callbacks=behaviours", "callbacks=[*behaviours, GuidedTokens()]")
    exec(compile(script, "docs/python.md", "exec"), {})
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert len(lines) == 2
    for line in lines:
        assert re.fullmatch(r"step \d, reward \d\.\d\d: .*\[\S+\].*", line), line
