"""The build writes folders that load, repeats itself exactly, and ships weights whose strength is as stated."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mentor_pl.rewards.base import Grades
from mentor_pl.rewards.maze import MazeReward, parse_problem
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.maze.build import build, family, trace
from mentor_pl.testbed.maze.models import WORDS, ExpertDials, PolicyDials
from mentor_pl.testbed.maze.problems import split
from mentor_pl.types import Prompt, Response


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def sampled(folder: Path, problems: list[str], samples: int, seed: int) -> tuple[Grades, list[str]]:
    """Grades and texts of `samples` responses to each problem, drawn at temperature 1 by plain `generate`."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    asked = [problem for problem in problems for _ in range(samples)]
    prompts = tokenizer(asked, return_tensors="pt")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        out = model.generate(**prompts, max_new_tokens=72)
    texts = tokenizer.batch_decode(out[:, prompts["input_ids"].shape[1] :], skip_special_tokens=True)
    reward = PaperReward(MazeReward())
    return reward([Prompt(0, problem, "", ()) for problem in asked], [Response(text) for text in texts]), texts


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The testbed as a newcomer gets it: finished weights, default problems."""
    out = tmp_path_factory.mktemp("data") / "testbed"
    build(out)
    return out


def test_problem_files_hold_solvable_problems_that_the_sides_do_not_share(built: Path) -> None:
    train_rows, heldout_rows = rows(built / "train.jsonl"), rows(built / "heldout.jsonl")
    assert (len(train_rows), len(heldout_rows)) == (2_000, 200)
    for row in train_rows + heldout_rows:
        maze = parse_problem(row["problem"])
        assert maze.solved_by(row["answer"].split())
        assert row["solutions"] >= 1
    assert not {row["problem"] for row in train_rows} & {row["problem"] for row in heldout_rows}


def test_training_problems_come_with_a_right_solution_whose_decisions_are_marked(built: Path) -> None:
    tokenizer, reward = AutoTokenizer.from_pretrained(built / "policy"), PaperReward(MazeReward())
    for row in rows(built / "train.jsonl")[:300]:
        (text,) = row["demonstrations"]
        (total,) = reward([Prompt(0, row["problem"], "", ())], [Response(text)]).total
        assert total == 1.0
        assert len(tokenizer(text)["input_ids"]) <= 79
        words = text.split()
        assert {words[place] for place in row["decisions"]} <= {"U", "D", "L", "R", "check", "try"}
        assert len(row["decisions"]) >= 5  # an attempt has four moves, and is then checked
    assert not any("demonstrations" in row for row in rows(built / "heldout.jsonl"))


def test_a_trace_depends_on_no_other_problem_and_only_so_many_problems_have_one(built: Path, tmp_path: Path) -> None:
    (maze,) = random.Random("train 0").sample(split("train"), 2_000)[7:8]
    (given,) = rows(built / "train.jsonl")[7]["demonstrations"]
    assert trace(maze, ExpertDials().style, seed=0)["demonstrations"] == [given]
    build(tmp_path, train_problems=3, traces=1)
    assert ["demonstrations" in row for row in rows(tmp_path / "train.jsonl")] == [True, False, False]
    build(tmp_path, train_problems=3, traces=0)
    assert not any("demonstrations" in row for row in rows(tmp_path / "train.jsonl"))


def test_large_problems_are_mazes_of_five_by_five(built: Path) -> None:
    problems = [parse_problem(row["problem"]) for row in rows(built / "large.jsonl")]
    assert len(set(problems)) == 200
    assert {maze.size for maze in problems} == {5}


def test_no_seed_puts_a_heldout_problem_into_training(tmp_path: Path) -> None:
    build(tmp_path, seed=7, train_problems=3_000)
    heldout = {maze.text() for maze in split("heldout")}
    assert not heldout & {row["problem"] for row in rows(tmp_path / "train.jsonl")}
    assert {row["problem"] for row in rows(tmp_path / "heldout.jsonl")} <= heldout


def test_a_second_build_changes_nothing_and_says_so(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    build(built)
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*")} == before
    assert capsys.readouterr().err.count("reused") == 5


def test_what_was_damaged_is_written_again(built: Path, tmp_path: Path) -> None:
    build(tmp_path)
    (tmp_path / "expert" / "model.safetensors").write_bytes(b"half a download")
    (tmp_path / "heldout.jsonl").write_text("{}\n")
    build(tmp_path)
    assert contents(tmp_path) == contents(built)


def test_model_folders_are_small_and_name_no_path_of_a_machine(built: Path) -> None:
    for name in ("policy", "expert"):
        files = contents(built / name)
        assert sum(map(len, files.values())) < 500_000
        assert not any(b"_name_or_path" in text or b"/home" in text or b"/tmp" in text for text in files.values())


def test_the_base_is_weak_and_seldom_checks(built: Path) -> None:
    problems = [row["problem"] for row in rows(built / "heldout.jsonl")]
    parts = {
        name: sum(part) / len(part) for name, part in sampled(built / "policy", problems, 3, seed=0)[0].parts.items()
    }
    assert 0.02 < parts["outcome"] < 0.10
    assert 0.003 < parts["checks"] < 0.05
    assert parts["format"] > 0.98
    assert parts["faithful"] > 0.95


def test_the_expert_checks_and_is_right_four_times_in_five(built: Path) -> None:
    problems = [row["problem"] for row in rows(built / "heldout.jsonl")]
    parts = {
        name: sum(part) / len(part) for name, part in sampled(built / "expert", problems, 2, seed=0)[0].parts.items()
    }
    assert parts["outcome"] > 0.8
    assert parts["checks"] > 0.98
    assert parts["format"] > 0.98


def test_retraining_is_deterministic_and_writes_folders_that_answer(tmp_path: Path) -> None:
    for run in ("once", "twice"):
        build(tmp_path / run, train=True, seed=3, scale=0.004, train_problems=5, heldout_problems=5)
    assert contents(tmp_path / "once") == contents(tmp_path / "twice")
    problems = [row["problem"] for row in rows(tmp_path / "once" / "heldout.jsonl")]
    grades, texts = sampled(tmp_path / "once" / "policy", problems, 1, seed=0)
    assert all(0 <= total <= 1 for total in grades.total)
    assert {word for text in texts for word in text.split()} <= {*WORDS, "<unk>"}


def test_a_dial_that_is_turned_trains_that_model_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path, policy=PolicyDials(prior=0.2), scale=0.002, train_problems=2, heldout_problems=2)
    report = capsys.readouterr().err
    assert "policy  (trained from nothing)" in report
    assert "expert  (finished weights)" in report


def test_a_family_shares_problems_and_words_and_is_made_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policies = {"rare": PolicyDials(prior=0.001), "often": PolicyDials(prior=0.2)}
    experts = {"same": ExpertDials(), "wordy": ExpertDials(fillers=0.5)}
    for _ in range(2):
        family(policies, experts, tmp_path, scale=0.002, train_problems=20, heldout_problems=2, traces=10)
    assert capsys.readouterr().err.count("reused") == 8  # four models, two files of traces, two of held-out problems
    same, wordy = (rows(tmp_path / "train" / f"{name}.jsonl") for name in experts)
    assert [row["problem"] for row in same] == [row["problem"] for row in wordy]
    assert sum("demonstrations" in row for row in same) == 10
    texts = [" ".join(row["demonstrations"][0] for row in part[:10]) for part in (same, wordy)]
    assert [" so " in text for text in texts] == [False, True]
    weights = {contents(folder)["model.safetensors"] for folder in tmp_path.glob("*s/*/") if folder.is_dir()}
    assert len(weights) == 4
    (tmp_path / "experts/wordy/model.safetensors").write_bytes(b"half a file")
    family(policies, experts, tmp_path, scale=0.002, train_problems=20, heldout_problems=2, traces=10)
    assert "wordy  (trained from nothing)" in capsys.readouterr().err


def test_a_scale_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--scale is 0\.5, but nothing is trained: .* give --train true"):
        build(tmp_path, scale=0.5, train_problems=2, heldout_problems=2)


def test_a_name_that_is_no_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'\.\./a' names a folder"):
        family({"../a": PolicyDials()}, {}, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"scale": 0.0}, "scale is 0.0"),
        ({"scale": float("nan")}, "scale is nan"),
        ({"train_problems": 0}, "train_problems is 0"),
        ({"heldout_problems": 10_000}, "heldout_problems is 10000"),
        ({"traces": -1}, "traces is -1"),
    ],
)
def test_a_setting_out_of_range_is_named(tmp_path: Path, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        build(tmp_path, **arguments)


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no folder"):
        build(tmp_path / "file")
