"""Mistakes with the commands that train nothing: validate, test, grade, data inspect, testbed build, and scripts."""

from __future__ import annotations

from pathlib import Path

from faults.wrong import Case
from faults.wrong_files import GOOD, linked, made, written

PAIR = '{"prediction": "1", "gold": "1", "correct": true}\n'
INSPECT = "data inspect --model.policy data/testbed/policy --data.train data/testbed/train.jsonl"


def strangers_samples(folder: Path) -> None:
    """Samples whose header is no JSON."""
    written("samples/maze/header.json", "{")(folder)
    written("samples/maze/samples.0.jsonl", "{}\n")(folder)


def measuring(arguments: str) -> str:
    """`validate` with one more callback that measures, and its arguments."""
    return f"validate --trainer.callbacks+='{{class_path: callbacks.BenchmarkValidation, init_args: {{{arguments}}}}}'"


MISTAKES: dict[str, tuple[str, object]] = {
    "validate --trainer.callbacks '[]'": ("trainer.callbacks has no benchmarks|--config configs/benchmarks.yaml", None),
    "validate --model.policy nobody/nothing": ("policy 'nobody/nothing'|give a model folder", None),
    "validate --trainer.precision=64-true": ("trainer.precision is 64-true|32-true", None),
    "validate --ckpt_path nowhere.ckpt": ("nowhere.ckpt|give a file", None),
    measuring("benchmarks: []"): ("BenchmarkValidation has no benchmarks|give one", None),
    measuring("benchmarks: [{name: maze, path: data/testbed/heldout.jsonl}]"): (
        "BenchmarkValidation twice|leave one out",
        None,
    ),
    measuring("out: base.yaml, benchmarks: [{name: other, path: data/testbed/heldout.jsonl}]"): (
        "out is 'base.yaml'|name another",
        None,
    ),
    measuring("benchmarks: [{name: other, path: nowhere.jsonl}]"): ("nowhere.jsonl: no such file|give", None),
    measuring("benchmarks: [{name: a/b, path: data/testbed/heldout.jsonl}]"): ("'a/b'|give letters", None),
    measuring("benchmarks: [{name: other, path: data/testbed/heldout.jsonl, pass_at: [99]}]"): (
        "pass_at is 99|at most 8",
        None,
    ),
    "test --model.alpha=.nan": ("model.alpha is nan|give at least 0", None),
    "test --trainer.callbacks.words=5": ("RunCheckpoints has no setting 'words'|accepted", None),
    "grade": ("--pairs|--samples", None),
    "grade --pairs nowhere.jsonl": ("nowhere.jsonl", None),
    "grade --pairs data": ("data", None),
    "grade --pairs p.jsonl": ("p.jsonl has no pairs|give at least one", written("p.jsonl", "")),
    "grade --pairs p.jsonl ": ("p.jsonl, line 2 is not JSON|write one object", written("p.jsonl", PAIR + "{\n")),
    "grade --pairs p.jsonl  ": ("p.jsonl, line 1: gold|it must be", written("p.jsonl", '{"prediction": "1"}\n')),
    "grade --pairs p.jsonl   ": ("UTF-8|give a file", written("p.jsonl", b"\xff\xfe\x00")),
    "grade --pairs p.jsonl --workers 0": ("workers is 0|give at least 1", written("p.jsonl", PAIR)),
    "grade --pairs p.jsonl --timeout .nan": ("timeout is nan|give more than 0", written("p.jsonl", PAIR)),
    "grade --pairs p.jsonl --timeout soon": ("timeout|soon", written("p.jsonl", PAIR)),
    "grade --pairs p.jsonl --json no/folder/out.json": ("no/folder|make it first", written("p.jsonl", PAIR)),
    "grade --samples nowhere": ("nowhere|give a folder", None),
    "grade --samples samples": ("header.json|give a folder", strangers_samples),
    "grade --samples empty": ("empty|give a folder", made("empty")),
    "grade --pear p.jsonl": ("--pear|did you mean 'pairs'", None),
    f"{INSPECT} --row 99999": ("row 99999|the nearest", None),
    f"{INSPECT} --row -1": ("row -1|the nearest", None),
    f"{INSPECT} --json base.yaml/x.json": ("base.yaml/x.json: cannot be written|name another", None),
    f"{INSPECT} --data.template hello": ("'hello'|write {problem}", None),
    f"{INSPECT} --data.max_prompt_tokens 0": ("max_prompt_tokens is 0|give at least 1", None),
    f"{INSPECT} --data.select.split nope --data.train parts": (
        "'nope'|give one of",
        written("parts/train.jsonl", GOOD),
    ),
    "data inspect": ("required, but not set|model.policy", None),
    "data inspekt": ("'mentor data inspekt'|'mentor data inspect'", None),
    "testbed build --out base.yaml": ("--out is 'base.yaml'|name another folder", None),
    "testbed build --out base.yaml/deep": ("base.yaml", None),
    "testbed build --out new --train_problems 0": ("--train_problems is 0|give at least 1", None),
    "testbed build --out new --heldout_problems 99999": ("--heldout_problems is 99999|at most", None),
    "testbed build --out new --scale .nan": ("--scale is nan|give more than 0", None),
    "testbed build --out new --seed -1": ("--seed is -1|give at least 0", None),
    "testbed build --out loop": ("loop", linked("loop", "loop")),
    "fti": ("'fti'|did you mean 'fit'", None),
    "scripts/prepare_data.py nowhere.jsonl": ("nowhere.jsonl: no such file|give JSON lines", None),
    "scripts/prepare_data.py data/testbed/train.jsonl --held_out 1.5": ("held_out 1.5|give a share", None),
    "scripts/prepare_data.py data/testbed/train.jsonl --near nan": ("near is nan|give more than 0", None),
    "scripts/prepare_data.py data/testbed/train.jsonl --out base.yaml": ("base.yaml|name another", None),
    "scripts/prepare_data.py data/testbed/train.jsonl --model nobody/nothing": ("'nobody/nothing'|give a model", None),
    "scripts/prepare_data.py table.csv": ("table.csv|'.csv'|.jsonl", written("table.csv", "a,b\n")),
}

CASES = [
    Case("other commands", command.rstrip(), says, prepare)  # type: ignore[arg-type]
    for command, (says, prepare) in MISTAKES.items()
]
