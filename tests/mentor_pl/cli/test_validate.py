"""`mentor validate` as a user runs it: a bare model folder, killed and continued, graded again, on two processes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from two_processes import status_of

from mentor_pl.cli.main import main
from mentor_pl.testbed.maze.build import build

ROOT = Path(__file__).parents[3]
PAPER = "mentor_pl.evaluation.paper_benchmarks"

CONFIG = """
trainer:
  accelerator: cpu
  devices: 1
  enable_model_summary: false
  enable_progress_bar: false
  logger: false
  callbacks:
    - class_path: callbacks.BenchmarkValidation
      init_args:
        out: whole
        sampler: {class_path: mentor_pl.decoding.coin.Coin, init_args: {rows: 8}}
        benchmarks:
          - name: maze
            path: problems/heldout.jsonl
            samples: 4
            pass_at: [1, 4]
            greedy: true
            sampling: {max_new_tokens: 40}
            reward:
              class_path: mentor_pl.rewards.paper.PaperReward
              init_args: {outcome: mentor_pl.rewards.maze.MazeReward}
          - class_path: mentor_pl.evaluation.paper_benchmarks.Math500
            init_args: {path: math.jsonl, rows: 2, system_prompt: null, sampling: {max_new_tokens: 20}}
"""

# ends the process, as a kill would, when the sixth response of a maze has been graded
DEADLY = """
import os
from mentor_pl.rewards.maze import MazeReward

class Deadly(MazeReward):
    graded = 0

    def grade(self, prompt, response):
        Deadly.graded += 1
        if Deadly.graded > 30:
            os._exit(9)
        return super().grade(prompt, response)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with a policy alone: no expert, no problems to train on."""
    folder = tmp_path_factory.mktemp("project")
    build(folder / "problems", train_problems=1, heldout_problems=12)
    for name in ("expert", "train.jsonl"):
        path = folder / "problems" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "maze.yaml").write_text(CONFIG, encoding="utf-8")
    unknown = CONFIG.replace("Math500", "Aime42")
    (folder / "unknown.yaml").write_text(unknown, encoding="utf-8")
    (folder / "deadly.py").write_text(DEADLY, encoding="utf-8")
    maze = "blocked c02 c21 c23 goal c33 start c22"
    rows = [{"problem": maze, "answer": answer} for answer in ("U", "D")]
    (folder / "math.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture
def validate(project, monkeypatch):
    """Options -> exit status of `mentor validate` in the project."""
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    return lambda *options: main(["validate", "--config", "maze.yaml", "--model.policy", "problems/policy", *options])


@pytest.fixture
def whole(validate, project):
    """The model's folder after a run that nothing interrupted."""
    if not (project / "whole").exists():
        assert validate() == 0
    (folder,) = (project / "whole").iterdir()
    return folder


def test_a_plain_model_folder_is_measured_and_the_table_says_how_it_did(whole, capsys, validate):
    assert validate() == 0
    printed = capsys.readouterr().out
    assert (whole / "results.md").read_text() in printed
    assert "Validate metric" not in printed  # Lightning's own table
    summary = json.loads((whole / "results.json").read_text())
    assert {name: row["problems"] for name, row in summary["benchmarks"].items()} == {"maze": 12, "math500": 2}
    assert summary["benchmarks"]["maze"]["metrics"]["format"] > 0.9
    assert summary["policy"] == "problems/policy"


def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(whole, project, validate):
    """A process that dies after thirty grades (12 greedy ones, and those of some problems) leaves what had ended."""
    options = ["--config", "maze.yaml", "--model.policy", "problems/policy", "--trainer.callbacks.out", "cut"]
    text = CONFIG.replace("mentor_pl.rewards.maze.MazeReward", "deadly.Deadly")
    (project / "deadly.yaml").write_text(text, encoding="utf-8")
    words = ["validate", *options, "--config", "deadly.yaml", "--trainer.callbacks.out", "cut"]
    status, printed = status_of(project, words)
    assert status == 9, printed
    (folder,) = (project / "cut").iterdir()
    assert folder.name == whole.name
    lines = (folder / "maze/samples.0.jsonl").read_text().splitlines(keepends=True)
    assert 0 < len(lines) < 12
    header = json.loads((folder / "maze/header.json").read_text())
    outcome = header["settings"]["reward"]["init_args"]["outcome"]
    outcome["class_path"] = "mentor_pl.rewards.maze.MazeReward"  # which grades alike, and lives
    (folder / "maze/header.json").write_text(json.dumps(header))
    assert validate("--trainer.callbacks.out", "cut") == 0
    resumed = (folder / "maze/samples.0.jsonl").read_text()
    assert resumed.startswith("".join(lines))
    assert sorted(resumed.splitlines()) == sorted((whole / "maze/samples.0.jsonl").read_text().splitlines())
    assert (folder / "results.json").read_text() == (whole / "results.json").read_text()


def test_kept_samples_are_graded_again_without_the_model(whole, project, capsys, monkeypatch):
    monkeypatch.chdir(project)
    shutil.copytree(whole, "again")
    results = (whole / "results.json").read_text()
    (Path("again") / "results.json").unlink()
    assert main(["grade", "--samples", "again", "--json", "out.json"]) == 0
    assert "0 responses changed between right and wrong" in capsys.readouterr().out
    again = json.loads(Path("again/results.json").read_text())
    assert again["benchmarks"] == json.loads(results)["benchmarks"]
    assert again["mean"]["value"] == json.loads(results)["mean"]["value"]
    assert json.loads(Path("out.json").read_text()) == again


CODE = """
trainer:
  callbacks:
    - class_path: callbacks.BenchmarkValidation
      init_args:
        out: code
        benchmarks:
          - name: code
            path: code.jsonl
            samples: 1
            sampling: {max_new_tokens: 8}
            reward:
              class_path: mentor_pl.rewards.weighted.WeightedReward
              init_args:
                rewards:
                  - class_path: mentor_pl.rewards.code.CodeReward
                    init_args: {allow_execution: true, isolation: best_effort, tests: checks}
                weights: [1.0]
"""


def test_a_reward_that_runs_code_is_not_made_again_by_a_file_and_another_argument_is_refused(validate, project, capfd):
    problem = {"problem": "blocked c02 c21 c23 goal c33 start c22", "answer": "U", "checks": ["assert True"]}
    (project / "code.jsonl").write_text(json.dumps(problem) + "\n", encoding="utf-8")
    (project / "code.yaml").write_text(CODE, encoding="utf-8")
    (project / "other.yaml").write_text(CODE.replace("checks}", "checks, file_mb: 9}"), encoding="utf-8")
    assert validate("--config", "code.yaml") == 0
    (folder,) = (project / "code").iterdir()
    header = json.loads((folder / "code/header.json").read_text())
    (code,) = header["settings"]["reward"]["init_args"]["rewards"]
    assert code["init_args"].items() >= {"allow_execution": True, "tests": "checks", "memory_mb": 512}.items()
    capfd.readouterr()
    assert main(["grade", "--samples", str(folder)]) == 2
    assert "CodeReward' is no built-in grader that a file may name: give --reward CLASS" in capfd.readouterr().err
    assert json.loads((folder / "code/header.json").read_text()) == header
    assert validate("--config", "other.yaml") == 2
    assert "its samples were made with reward.init_args.rewards = " in capfd.readouterr().err


MISTAKES = {
    "another seed": (["--trainer.callbacks.seed", "1"], "whole/policy-", "made with seed = 0, not 1"),
    "no such model": (["--model.policy", "no/such/model"], "policy 'no/such/model': no such folder here", ""),
    "a missing file": (
        [
            "--trainer.callbacks.benchmarks+",
            "mentor_pl.evaluation.paper_benchmarks.Aime24",
            "--trainer.callbacks.folder",
            "nowhere",
        ],
        "nowhere/aime24.jsonl: no such file or folder",
        "",
    ),
    "another number": (
        [
            "--trainer.callbacks.benchmarks",
            "[{class_path: mentor_pl.evaluation.paper_benchmarks.Math500, init_args: {path: math.jsonl}}]",
        ],
        "benchmark math500: math.jsonl has 2 problems, but the set has 500",
        "",
    ),
    "a misspelt setting beside another option": (
        ["--trainer.callbacks.out", "other", "--trainer.callbacks.benchmarks", "[{name: maze, sample: 4}]"],
        "no setting 'sample'; did you mean 'samples'?",
        "",
    ),
    "no room": (
        ["--trainer.callbacks.benchmarks", "[{name: maze, path: math.jsonl, sampling: {max_new_tokens: 9999999}}]"],
        "benchmark maze: the longest prompt and sampling.max_new_tokens = 9999999 make",
        "lower max_new_tokens",
    ),
    "unknown set": (
        ["--config", "unknown.yaml"],
        "has no 'Aime42'; did you mean mentor_pl.evaluation.paper_benchmarks.Aime2",
        "",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake, whole, validate, capfd):
    options, *expected = MISTAKES[mistake]
    capfd.readouterr()
    assert validate(*options) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "error" in line.lower()]
    assert line.startswith("mentor: error: ")
    assert all(text in line for text in expected), line


@pytest.mark.slow
def test_two_processes_find_the_same(whole, project):
    command = [
        sys.executable,
        "-m",
        "mentor_pl.cli",
        "validate",
        "--config",
        "maze.yaml",
        "--model.policy",
        "problems/policy",
    ]
    command += ["--config", str(ROOT / "configs/trainer/fsdp.yaml"), "--trainer.accelerator", "cpu"]
    command += ["--trainer.devices", "2", "--trainer.callbacks.out", "two"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    (folder,) = (project / "two").iterdir()
    assert len(list(folder.glob("maze/samples.*.jsonl"))) == 2
    assert (folder / "results.json").read_text() == (whole / "results.json").read_text()
    assert done.stdout.count("| maze") == 1


def test_the_help_asks_for_no_data_and_those_of_a_runs_configuration_are_taken(whole, validate, project, capsys):
    run = "data: {train: nowhere.jsonl, steps: 3, sampling: {max_new_tokens: 3}}\nverbose: false\n"
    (project / "run.yaml").write_text(run, encoding="utf-8")
    assert validate("--config", "run.yaml", "--data.steps", "4") == 0
    with pytest.raises(SystemExit, match="0"):
        validate("--help")
    told = capsys.readouterr().out
    assert "--data.train" not in told
    assert "as of fit; taken and not used" in told


def test_without_callbacks_nothing_would_be_measured_and_that_is_said(validate, project, capfd):
    assert main(["validate", "--model.policy", "problems/policy"]) == 2
    assert "trainer.callbacks has no benchmarks, so nothing would be measured" in capfd.readouterr().err
