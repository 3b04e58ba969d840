"""The plan of who may import whom holds, and one import against it is found."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tree(tmp_path):
    """A copy of the packages' code and of the contracts."""
    for package in ("mentor_pl", "callbacks"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken(tree):
    """The contracts that import-linter finds broken in `tree`."""
    environment = os.environ | {"PYTHONPATH": str(tree), "NO_COLOR": "1", "COLUMNS": "200"}
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"]
    report = subprocess.run(
        [*command, "--no-logo", "--no-cache"], cwd=tree, env=environment, capture_output=True, text=True
    )
    verdicts = [line.rsplit(" ", 1) for line in report.stdout.splitlines() if line.endswith((" KEPT", " BROKEN"))]
    assert len(verdicts) == 4, report.stdout + report.stderr
    names = [name for name, verdict in verdicts if verdict == "BROKEN"]
    assert report.returncode == bool(names)
    return names


EXPERIMENT = "an experiment goes from its design to its report"
FLOORS = "a room imports from floors below its own"
CALLBACKS = "nothing imports callbacks"
WORKERS = "what runs in reward workers is free of torch"


def test_the_code_keeps_the_plan(tree):
    assert broken(tree) == []


@pytest.mark.parametrize(
    ("importer", "imported", "contracts"),
    [
        ("models/loading.py", "mentor_pl.decoding.params", [FLOORS]),  # from a floor above
        ("evaluation/intervals.py", "mentor_pl.training.batching", [FLOORS]),  # from beside, as the next two
        ("training/batching.py", "mentor_pl.evaluation.intervals", [FLOORS]),
        ("rewards/maze.py", "mentor_pl.models.logprobs", [FLOORS]),
        ("experiments/design/design.py", "mentor_pl.experiments.report.page", [EXPERIMENT]),
        ("experiments/figures/curves.py", "callbacks.alpha_decay", [CALLBACKS]),
        ("rewards/answers/tokens.py", "torch", [WORKERS]),
        ("rewards/__init__.py", "mentor_pl.types", [WORKERS]),  # by way of another module
    ],
)
def test_an_import_against_the_plan_is_found(tree, importer, imported, contracts):
    file = tree / "mentor_pl" / importer
    file.write_text(f"{file.read_text(encoding='utf-8')}\n\ndef late():\n    import {imported}\n", encoding="utf-8")
    assert broken(tree) == contracts


def test_a_room_without_a_floor_is_found(tree):
    (tree / "mentor_pl/attic").mkdir()
    (tree / "mentor_pl/attic/__init__.py").touch()
    assert broken(tree) == [FLOORS]


def test_no_method_knows_another():
    """A file of a method imports the base classes and the parts, and nobody asks a method for its name."""
    folder = ROOT / "mentor_pl/algorithms"
    methods = {path.stem for path in folder.glob("*.py")} - {"__init__", "base", "on_policy"}
    assert len(methods) > 10
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            aliases = node.names if isinstance(node, ast.Import) else []
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in aliases]
            assert not {f"mentor_pl.algorithms.{method}" for method in methods} & set(names), path
    classes = {
        node.name
        for method in methods
        for node in ast.parse((folder / f"{method}.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
    some, quoted = "|".join(classes), "|".join(classes | methods)
    asks = re.compile(rf"isinstance\([^()]*\b({some})\b|\b(if|elif|case)\b.*[\"']({quoted})[\"']")
    for room in ("mentor_pl", "callbacks"):
        for path in (ROOT / room).rglob("*.py"):
            assert not asks.search(path.read_text(encoding="utf-8")), path
