"""An expert of another family on two ranks: through the command line, the rollouts of one."""

import pytest
import yaml
from child_environment import ROOT
from two_processes import on_two_processes

from mentor_pl.cli.main import main
from mentor_pl.records.reading import read_step


@pytest.fixture
def runs(tmp_path, monkeypatch, write_jsonl, qwen2_folder, merges_expert_folder):
    """The folders of a run on one process and of one on two."""
    problems = write_jsonl([{"problem": f"find the value of {i}", "answer": "the"} for i in range(9)], "problems.jsonl")
    config = {
        "seed_everything": 3,
        "trainer": {
            "accelerator": "cpu",
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "logger": False,
            "callbacks": [{"class_path": "callbacks.AlphaDecay"}, {"class_path": "callbacks.RolloutRecord"}],
        },
        "model": {
            "policy": str(qwen2_folder),
            "expert": str(merges_expert_folder),
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}},
        },
        "data": {
            "train": str(problems),
            "steps": 2,
            "prompts_per_step": 3,
            "sampling": {"max_new_tokens": 8},
            "system_prompt": None,
            "max_prompt_tokens": 60,
        },
    }
    for processes in (1, 2):
        config["trainer"] |= {"devices": processes, "default_root_dir": f"on{processes}"}
        (tmp_path / f"{processes}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--config", "1.yaml"]) == 0
    sharded = ("--config", str(ROOT / "configs/trainer/fsdp.yaml"), "--trainer.devices", "2")
    said = on_two_processes(tmp_path, [["fit", "--config", "2.yaml", *sharded]])
    assert (tmp_path / "on2").is_dir(), said
    return tmp_path / "on1", tmp_path / "on2"


@pytest.mark.slow
def test_two_processes_sample_what_one_does(runs):
    one, two = (read_step(run, 1).to_pydict() for run in runs)
    for name in ("number", "problem", "origin", "text", "length", "ids", "drafts", "guided", "replaced", "truncated"):
        assert one[name] == two[name], name
    assert any(map(any, one["replaced"]))
    assert set(two["rank"]) == {0, 1}
