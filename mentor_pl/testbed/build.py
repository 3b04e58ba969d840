"""Writes the testbed: two ordinary Hugging Face model folders and two files of problems.

    out/policy/          the base: answers after one attempt, rarely checks
    out/expert/          the expert: checks every attempt and tries again
    out/train.jsonl      problems to train on; one JSON object a line: problem, answer, blocked, goal, start, solutions
                         and demonstrations, right solutions as the expert words them
    out/heldout.jsonl    problems that neither pre-training nor training has seen, in the same form, without those

The finished weights are part of the package, so this takes seconds. `train=True` makes them anew, from nothing, and
is how the finished ones were made: `build(out, train=True)`, then `policy` and `expert` moved to `testbed/models/`.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mentor_pl.models.loading import save_folder
from mentor_pl.rewards.maze import Maze, cell_name
from mentor_pl.runtime.folders import check_folder
from mentor_pl.runtime.ranges import check, check_seed
from mentor_pl.testbed.pretrain import pretrain, stage_steps
from mentor_pl.testbed.problems import EXPERT, Ways, solution, split
from mentor_pl.testbed.tokenizer import build_tokenizer

FINISHED: Final = Path(__file__).parent / "models"  # the finished weights, shipped with the package
MODELS: Final = ("policy", "expert")
MAX_DEMONSTRATIONS: Final = 64  # of a problem; different ones get rare

ProblemRow = dict[str, str | int | list[str]]


def build(
    out: str | Path = "data/testbed",
    train: bool = False,
    seed: int = 0,
    scale: float = 1.0,
    train_problems: int = 2_000,
    heldout_problems: int = 200,
    demonstrations: int = 2,
) -> None:
    """Write the testbed into `out`; what is there already and is what would be written stays untouched.

    Args:
        out: the folder to write to; made if missing.
        train: pre-train both models from nothing (about four minutes on one core) instead of copying the finished ones.
        seed: draws the problems and, with `train`, the weights and demonstrations. The two sides never share a problem,
            whatever the seeds.
        scale: with `train`, multiplies pre-training's steps and demonstrations; below 1 for a trial, the models are
            worse.
        train_problems: problems in train.jsonl.
        heldout_problems: problems in heldout.jsonl.
        demonstrations: of each problem in train.jsonl, all different; 0 for none.

    Raises:
        UsageError: a scale or a number of problems or demonstrations out of range, or `out` cannot be written to.
    """
    folder = Path(out)
    check("--scale", scale, above=0, at_most=100, because="1 trains the full number of steps, 0.1 a tenth of them")
    check_seed("--seed", seed)
    check("--demonstrations", demonstrations, at_least=0, at_most=MAX_DEMONSTRATIONS)
    check_folder("--out", folder)
    console = Console(stderr=True)
    folder.mkdir(parents=True, exist_ok=True)
    sides = {"train": (split("train"), train_problems), "heldout": (split("heldout"), heldout_problems)}
    for name, (mazes, count) in sides.items():
        distinct = f"there are {len(mazes)} distinct mazes"
        check(f"--{name}_problems", count, at_least=1, at_most=len(mazes), because=distinct)
        drawn = random.Random(f"{name} {seed}").sample(mazes, count)
        problems = [problem_row(maze) for maze in drawn]
        if name == "train" and demonstrations:
            problems = [
                row | {"demonstrations": right_solutions(maze, demonstrations, seed)}
                for row, maze in zip(problems, drawn, strict=True)
            ]
        path = folder / f"{name}.jsonl"
        _print_report(console, path, _write_problems(path, problems), f"{count} problems")
    if train:
        _train_models(folder, sides["train"][0], seed, scale, console)
    else:
        for name in MODELS:
            _print_report(console, folder / name, _copy_model(FINISHED / name, folder / name), "finished weights")


def problem_row(maze: Maze) -> ProblemRow:
    """One line of a problem file: `answer` is one solution of `solutions` many."""
    ways = Ways(maze)
    return {
        "problem": maze.text(),
        "answer": ways.solution(),
        "blocked": [cell_name(cell) for cell in sorted(maze.blocked)],
        "goal": cell_name(maze.goal),
        "start": cell_name(maze.start),
        "solutions": ways.count(),
    }


def right_solutions(maze: Maze, count: int, seed: int) -> list[str]:
    """`count` different right solutions as the expert words them; they depend on the maze and the seed alone."""
    ways, rng = Ways(maze), random.Random(f"demonstrations {seed} {maze.text()}")
    found = dict[str, None]()
    while len(found) < count:
        text = solution(ways, EXPERT, rng)
        if "check yes" in text:  # the expert checks every attempt, and what it boxes is its last
            found[text] = None
    return list(found)


def save_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights (float32), configuration, tokenizer and the generation settings of training into `folder`."""
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=True,
        temperature=1.0,
        top_k=0,
    )
    save_folder(model, tokenizer, folder)


def _train_models(folder: Path, mazes: Sequence[Maze], seed: int, scale: float, console: Console) -> None:
    tokenizer = build_tokenizer()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} steps"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        tasks = {stage: progress.add_task(stage, total=steps) for stage, steps in stage_steps(scale).items()}

        def advance(stage: str, loss: float) -> None:
            progress.update(tasks[stage], advance=1, description=f"{stage:<7} loss {loss:.3f}")

        with torch.random.fork_rng():
            models = pretrain(tokenizer, mazes, seed, scale, advance)
    for name, model in zip(MODELS, models, strict=True):
        save_model(model, tokenizer, folder / name)
        _print_report(console, folder / name, True, "trained from nothing")


def _write_problems(path: Path, problems: Sequence[ProblemRow]) -> bool:
    """Write the problems; False if the file says so already."""
    text = "".join(json.dumps(row) + "\n" for row in problems)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def _copy_model(source: Path, target: Path) -> bool:
    """Copy a model folder; False if the target has the same files already."""
    files = sorted(path for path in source.iterdir() if path.is_file())
    if all((target / path.name).is_file() and (target / path.name).read_bytes() == path.read_bytes() for path in files):
        return False
    target.mkdir(exist_ok=True)
    for path in files:
        shutil.copyfile(path, target / path.name)
    return True


def _print_report(console: Console, path: Path, written: bool, what: str) -> None:
    console.print(f"{'wrote ' if written else 'reused'} {path}  ({what})", soft_wrap=True, highlight=False)
