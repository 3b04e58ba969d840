"""`mentor expert sample` as a user runs it: killed and continued, refused, and trained on by another family."""

import json

import pytest
from two_processes import status_of

from mentor_pl.cli import expert_sample
from mentor_pl.cli.main import main
from mentor_pl.rewards.maze import MazeReward
from mentor_pl.types import Prompt, Response

# ends the process, as a kill would, in the middle of grading; where the file `alive` is, it lives
DEADLY = """
import os
from mentor_pl.rewards.maze import MazeReward

class Deadly(MazeReward):
    graded = 0

    def grade(self, prompt, response):
        Deadly.graded += 1
        if Deadly.graded > 15 and not os.path.exists("alive"):
            os._exit(9)
        return super().grade(prompt, response)
"""
ASK = ["--data", "data.jsonl", "--reward", "deadly.Deadly", "--samples", "3", "--sampling.max_new_tokens", "30"]
ASK += ["--system_prompt", "null", "--column", "said"]


@pytest.fixture(scope="module")
def project(small_testbed, tmp_path_factory):
    """Twelve mazes, which have a column of demonstrations, and a model that solves most."""
    folder = tmp_path_factory.mktemp("sampling")
    (folder / "data.jsonl").write_bytes((small_testbed / "train.jsonl").read_bytes())
    (folder / "deadly.py").write_text(DEADLY, encoding="utf-8")
    (folder / "alive").touch()
    return folder


@pytest.fixture
def sample(project, small_testbed, monkeypatch):
    """Options -> exit status of `mentor expert sample` in the project."""
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    return lambda *options: main(["expert", "sample", "--model", str(small_testbed / "expert"), *ASK, *options])


@pytest.fixture
def whole(sample, project, capfd):
    """The file of a run that nothing interrupted, and what was printed."""
    if not (project / "whole.jsonl").exists():
        assert sample("--out", "whole.jsonl") == 0
        (project / "printed").write_text(capfd.readouterr().out, encoding="utf-8")
    return project / "whole.jsonl", (project / "printed").read_text(encoding="utf-8")


def rows(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_the_file_has_every_row_and_right_responses_beside_it(whole, project):
    file, printed = whole
    written, given = rows(file), rows(project / "data.jsonl")
    assert [{k: v for k, v in row.items() if k != "said"} for row in written] == given
    texts = [(row, text) for row in written for text in row["said"]]
    assert len(texts) > 12
    for row, text in texts:
        grade = MazeReward().grade(Prompt(0, row["problem"], row["answer"], ()), Response(text))
        assert grade.parts["outcome"] == 1
        assert text.startswith("<think>")
        assert text.endswith("}")  # and no token of the model's end
    solved = sum(bool(row["said"]) for row in written)
    assert f"whole.jsonl: 12 problems, {solved} solved ({solved / 12:.1%}); " in printed
    assert f"pass@3 {solved / 12:.1%}" in printed
    assert "tokens/s" in printed
    assert "0 without verdict" in printed


def test_killed_and_started_again_it_ends_with_the_same_bytes(whole, sample, project, small_testbed, capfd):
    words = ["expert", "sample", "--model", str(small_testbed / "expert"), *ASK, "--out", "cut.jsonl"]
    (project / "alive").unlink()
    status, printed = status_of(project, words)
    (project / "alive").touch()
    assert status == 9, printed
    assert not (project / "cut.jsonl").exists()
    samples = project / ".cut.jsonl.samples/samples.0.jsonl"
    kept = samples.read_bytes()
    assert 0 < kept.count(b"\n") < 12
    samples.write_bytes(kept + kept[:100])  # torn by a kill while it was written
    assert sample("--out", "cut.jsonl") == 0
    assert (project / "cut.jsonl").read_bytes() == whole[0].read_bytes()
    assert samples.read_bytes().startswith(kept)
    capfd.readouterr()
    assert sample("--out", "cut.jsonl") == 0
    assert "all of them had been answered before" in capfd.readouterr().out
    assert (project / "cut.jsonl").read_bytes() == whole[0].read_bytes()


def test_a_first_few_problems_may_be_followed_by_the_rest_in_batches_of_another_size(whole, sample, project):
    assert sample("--out", "more.jsonl", "--limit", "4") == 0
    assert rows(project / "more.jsonl") == rows(whole[0])[:4]
    assert sample("--out", "more.jsonl", "--rows", "5") == 0
    assert (project / "more.jsonl").read_bytes() == whole[0].read_bytes()


REFUSED = {
    "another seed": (["--out", "whole.jsonl", "--seed", "1"], "seed = 0, not 1: name another out; or to begin"),
    "another temperature": (["--out", "whole.jsonl", "--sampling.temperature", "0.5"], "temperature = 1.0, not 0.5"),
    "another choice": (["--out", "whole.jsonl", "--wrong", "true"], "wrong = False, not True"),
    "another selection": (["--out", "whole.jsonl", "--select.held_out", "0.1"], "select.held_out = 0.0, not 0.1"),
    "somebody's file": (["--out", "data.jsonl"], "out is 'data.jsonl', which is there and was not written by this"),
    "within the data": (
        ["--data", ".", "--out", "new.jsonl"],
        "out is 'new.jsonl', which lies in data '.' and would be",
    ),
    "no lines": (["--out", "new.parquet"], "out is 'new.parquet', but its lines are JSON"),
    "no folder": (["--out", "data.jsonl/new.jsonl"], "data.jsonl is no folder: name another folder"),
    "a column": (["--out", "new.jsonl", "--column", "demonstrations"], "column is 'demonstrations', but data.jsonl:1"),
    "a window": (["--out", "new.jsonl", "--sampling.max_new_tokens", "900"], "sampling.max_new_tokens = 900 make"),
    "no model": (["--out", "new.jsonl", "--model", "no/such/model"], "expert 'no/such/model': no such folder here"),
    "no samples": (["--out", "new.jsonl", "--samples", "0"], "samples is 0: give at least 1"),
    "a half": (["--out", "new.jsonl", "--at_most", "0"], "at_most is 0: give at least 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_one_line_before_weights_are_loaded(case, whole, sample, project, monkeypatch, capfd):
    options, line = REFUSED[case]
    monkeypatch.setattr(expert_sample, "load_frozen", lambda *_: pytest.fail("weights were loaded"))
    before = sorted(project.iterdir())
    capfd.readouterr()
    assert sample(*options) == 2
    (told,) = [one for one in capfd.readouterr().err.splitlines() if one.startswith("mentor: error: ")]
    assert line in told
    assert sorted(project.iterdir()) == before


def test_other_weights_are_refused_for_a_file_that_is_begun(whole, sample, small_testbed, capfd):
    assert sample("--out", "whole.jsonl", "--model", str(small_testbed / "policy")) == 2
    assert "its samples were made with weights = " in capfd.readouterr().err


def test_a_policy_of_another_family_trains_on_the_file(whole, project, merges_folder, monkeypatch, capfd):
    """By SFT, which ends in one line where no problem has a demonstration."""
    monkeypatch.chdir(project)
    options = ["--model.policy", str(merges_folder), "--model.algorithm=mentor_pl.algorithms.sft.SFT"]
    options += ["--model.mini_batches=1", "--data.train=whole.jsonl", "--data.select.columns.demonstrations=said"]
    options += ["--data.system_prompt=null", "--data.prompts_per_step=2", "--data.steps=1"]
    options += ["--data.max_prompt_tokens=150", "--data.sampling.max_new_tokens=250"]
    options += ["--data.reward=mentor_pl.rewards.maze.MazeReward", "--trainer.accelerator=cpu", "--trainer.devices=1"]
    options += ["--trainer.logger=false", "--trainer.enable_checkpointing=false", "--trainer.enable_progress_bar=false"]
    capfd.readouterr()
    assert main(["fit", *options]) == 0, capfd.readouterr().err
