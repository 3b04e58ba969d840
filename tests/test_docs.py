"""What the documentation shows works as it stands."""

import csv
import re
import shlex
import sys
from importlib import import_module
from inspect import signature
from itertools import pairwise
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser
from yaml import safe_load

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.cli.main import main
from mentor_pl.experiments.design.design import read_design
from mentor_pl.experiments.runner.cells import check_whole
from mentor_pl.testbed.maze.build import build
from mentor_pl.training import data as data_file
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.module import MentorModule

ROOT = Path(__file__).parents[1]


def blocks(page, language):
    fenced = r"^ *```(\w*)\n(.*?)^ *```"  # all of them, so that none begins where another ends
    found = re.findall(fenced, (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


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


RESULTS = sorted((ROOT / "docs/results").rglob("*"))
DOCS = [*sorted((ROOT / "docs").glob("*.md")), *(path for path in RESULTS if path.suffix == ".md")]
PAGES = ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in DOCS)]


@pytest.fixture(params=PAGES)
def text(request):
    """A page without the targets of its links."""
    return re.sub(r"\]\([^)]*\)", "]", (ROOT / request.param).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
        assert ((ROOT / page).parent / link).exists(), link


def test_every_file_and_folder_that_a_page_names_exists(text):
    for name in re.findall(r"(?<![\w./-])(?:mentor_pl|callbacks|configs|scripts|tests)/[\w./-]*\w", text):
        assert (ROOT / name).exists(), name
    ours = [path for folder in ("mentor_pl", "callbacks", "scripts") for path in (ROOT / folder).rglob("*.py")]
    for name in re.findall(r"`([\w/]+\.py)`", text):  # named within a room
        assert name.startswith("my_") or any(path.match(name) for path in ours), name


def test_everything_that_a_page_imports_or_names_by_its_import_path_is_there(text):
    for name in re.findall(r"(?<![\w/.])(?:mentor_pl|callbacks)(?:\.\w+)+", text):
        module, *attributes = name.split(".")
        found = import_module(module)
        for attribute in attributes:
            module = f"{module}.{attribute}"
            found = getattr(found, attribute, None) or import_module(module)


def test_every_setting_that_a_page_names_exists(text):
    known = {"model": MentorModule, "data": RolloutDataModule}
    for room, name in re.findall(r"(?<![\w/.])(model|data)\.([a-z_]+)(?![\w/(])", text):
        assert name == "py" or name in signature(known[room]).parameters, f"{room}.{name}"


def commands(*names):
    """These commands of `mentor` on all pages, but those on a file that the page has its reader write."""
    found = [block for page in PAGES for language in ("bash", "") for block in blocks(page, language)]
    text = "\n".join(block.replace("\\\n", " ") for block in found)
    lines = [line for line in dict.fromkeys(text.splitlines()) if line.startswith("mentor ")]
    for words in (shlex.split(line, comments=True) for line in lines):
        ours = all((ROOT / value).is_file() for option, value in pairwise(words) if option == "--config")
        if words[1] in names and ours:
            yield words[1:]


@pytest.mark.parametrize("words", list(commands("fit", "validate")), ids=" ".join)
def test_every_command_of_a_page_is_understood(words, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as left:
        main([*words, "--print_config"])
    assert left.value.code == 0
    assert "class_path: " in capsys.readouterr().out


@pytest.mark.parametrize("words", list(commands("experiment")), ids=" ".join)
def test_every_experiment_of_a_page_is_understood_and_so_is_its_design(words, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as left:
        main([*words, "--print_config"])
    assert left.value.code == 0
    printed = safe_load(capsys.readouterr().out)
    check_whole(read_design(Path(printed["design"]), printed["base"]))


def test_results_stay_small_and_are_all_of_a_page():
    assert sum(path.stat().st_size for path in RESULTS if path.is_file()) <= 1_500_000
    assert max(path.stat().st_size for path in RESULTS if path.suffix == ".json") <= 40_000
    pages = {path.stem for path in RESULTS if path.suffix == ".md"}
    for path in RESULTS:
        assert path.relative_to(ROOT / "docs/results").parts[0].partition(".")[0] in pages, path


def rows_of(page):
    """The cells of every row of a page's tables."""
    lines = (ROOT / "docs/results" / page).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if line.startswith("| ")]


def test_the_answers_to_the_papers_claims_are_those_of_the_pages():
    told = [row for row in rows_of("README.md") if len(row) == 5 and row[1].startswith("`")]
    assert len(told) >= 9
    for _, claim, answer, _, link in told:
        page = re.search(r"\((.*)\)", link)[1]
        rows = [row for row in rows_of(page) if row[0] == claim.strip("`")]
        parts = [part.split(": ") for part in answer.split("; ")]
        if any("=" in row[1] for row in rows):  # several settings, each named by the values of its dials, or of some
            told_of = [(set(name.split()), said) for names, said in parts for name in names.split(", ")]
            settings = [({dial.split("=")[1] for dial in row[1].split(",")}, row[2]) for row in rows]
            for values, said in settings:
                assert [word for name, word in told_of if name <= values] == [said], (claim, values)
            assert all(any(name <= values for values, _ in settings) for name, _ in told_of), claim
        else:
            assert [row[1] for row in rows] == [answer], claim


def test_every_page_of_results_is_in_their_table():
    pages = {path.name for path in (ROOT / "docs/results").glob("*.md")} - {"README.md"}
    linked = re.findall(
        r"^\| \[.*?\]\((.*?)\)", (ROOT / "docs/results/README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(linked) == pages


def test_every_yaml_of_a_page_parses(text):
    for yaml in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        assert isinstance(safe_load(yaml), dict), yaml


def test_their_codes_settings_on_the_method_page_make_their_method():
    (yaml,) = blocks("docs/method.md", "yaml")
    settings = safe_load(yaml)["model"]["algorithm"]
    parser = ArgumentParser()
    parser.add_argument("--algorithm", type=Algorithm)
    method = parser.instantiate_classes(parser.parse_object({"algorithm": settings})).algorithm
    assert (type(method), method.on_policy, method.mixed, method.refill) == (Mentor, 8, 4, False)
    gate = method.gate.gate  # within that of the first token
    assert (gate.source, gate.floor, gate.ranks, method.loss.dual_clip) == ("previous", 1.5, "mean", 3.0)
    assert (method.gate.tokens, method.drafter) == (1, "initial")


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
