"""`mentor experiment` from design to report, with real runs of two steps."""

import json
import re
import subprocess
from contextlib import redirect_stderr
from pathlib import Path

import pytest
import yaml
from child_environment import LEFT_BEHIND, child_environment

from mentor_pl.cli.main import main
from mentor_pl.experiments.design.design import read_design
from mentor_pl.experiments.runner import estimate
from mentor_pl.experiments.runner.folder import State, fix, write_state
from mentor_pl.experiments.runner.runner import fit_arguments

ROOT = Path(__file__).parents[3]
OUT = Path("runs/experiments/trial")


@pytest.fixture
def design(testbed_project, monkeypatch):
    """Settings -> the smoke experiment with them, one seed and two steps; the current folder has the testbed."""
    for name in LEFT_BEHIND:
        monkeypatch.delenv(name, raising=False)
    for name, value in child_environment().items():
        monkeypatch.setenv(name, value)
    settings = yaml.safe_load((ROOT / "configs/experiments/smoke.yaml").read_text())
    settings |= {"base": [str(ROOT / "configs/quickstart.yaml")], "seeds": [1], "steps": 2}
    settings["primary"]["last"] = 2
    settings["overrides"]["data.prompts_per_step"] = 2
    settings["overrides"]["data.sampling.max_new_tokens"] = 24
    for method in settings["methods"].values():
        method["configs"] = [str(ROOT / config) for config in method["configs"]]

    def write(**changes):
        Path("trial.yaml").write_text(yaml.safe_dump(settings | changes, sort_keys=False))
        return settings["methods"]

    return write


@pytest.fixture
def short_run_here(monkeypatch):
    """The short run of a dry run happens in this process, which has everything imported; one ends with its status."""

    def start(cell, out, log):
        with log.open("w", encoding="utf-8") as file, redirect_stderr(file):
            status = main(fit_arguments(cell, out))
        return subprocess.Popen(["sh", "-c", f"exit {status}"])

    monkeypatch.setattr(estimate, "start", start)


def test_the_cells_run_apart_one_that_fails_leaves_the_others_and_the_report_tells(design, capfd):
    methods = design()
    design(methods=methods | {"broken": {"overrides": {"model.alpa": 1}}})
    assert main(["experiment", "trial.yaml", "--jobs", "2"]) == 1
    told = capfd.readouterr()
    assert (
        "mentor: error: 1 of 3 cells failed, such as broken/all/seed1 (status 2: mentor: error: --model.alpa"
        in told.err
    )
    assert "cannot be told  mentor above grpo [all]: adjusted p " in told.out
    kept = json.loads((OUT / "design.json").read_text())
    assert kept["design"]["seeds"] == [1]
    lines = [json.loads(line) for line in (OUT / "results.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["finished", "finished", "failed"]
    assert all(line["design"] == kept["sha256"] for line in lines)
    assert list(lines[0]["evaluations"]["val/maze/avg@8"]) == ["0", "2"]
    assert lines[0]["cost"]["expert_tokens"] > 0 == lines[1]["cost"]["expert_tokens"]
    for name in ("report.md", "report.html", "figures/pass_at.png", "figures/words.svg"):
        assert (OUT / name).is_file(), name
    assert all(line["cpu_seconds"] > 0 for line in lines)
    assert [len(line["commits"]) for line in lines] == [1, 1, 1]
    assert lines[0]["sampled_tokens"]["2"] == lines[0]["cost"]["sampled_tokens"] >= lines[0]["budget"] > 0
    assert main(["experiment", "trial.yaml", "--dry"]) == 0
    assert "3 cells: 2 finished, 1 failed" in capfd.readouterr().out
    assert main(["experiment", "trial.yaml", "--report_only", "--page", "docs/results/trial"]) == 0
    assert "page    docs/results/trial.md" in capfd.readouterr().out
    page = Path("docs/results/trial.md").read_text(encoding="utf-8")
    for name in re.findall(r"\]\((trial/.*?)\)", page):
        assert (Path("docs/results") / name).is_file(), name


def test_a_design_that_was_changed_since_it_was_fixed_is_told_by_the_command_and_by_its_report(design, capfd):
    design()
    fix(OUT, read_design(Path("trial.yaml")))
    design(seeds=[1, 2])
    assert main(["experiment", "trial.yaml", "--report_only"]) == 0
    report = (OUT / "report.md").read_text(encoding="utf-8")
    assert "This is not the design that was fixed before the first run" in report
    assert "seeds.1 was absent and is 2" in report


def test_a_criterion_is_told_for_one_thread_and_for_two(design, capfd):
    criteria = [{"method": "grpo", "metric": "val/maze/avg@8", "summary": "fall", "at_most": 1.0}]
    threads = [{"label": "one"}, {"label": "two", "threads": 2}]
    design(methods={"grpo": {}}, comparisons=[], criteria=criteria, settings={"threads": threads})
    for cell in read_design(Path("trial.yaml")).cells():
        write_state(OUT, cell, State("finished", cell.identity, 40.0))
    assert main(["experiment", "trial.yaml", "--dry"]) == 0
    told = capfd.readouterr().out
    assert [told.count(f"--threads={count} ") for count in (1, 2)] == [1, 1]
    fix(OUT, read_design(Path("trial.yaml")))
    assert main(["experiment", "trial.yaml", "--report_only"]) == 0
    told = capfd.readouterr().out
    assert "cannot be told  grpo: val/maze/avg@8, largest fall below the best before, at most 1 [threads=two]" in told


def test_a_dry_run_shows_every_command_and_how_long_they_take_and_runs_none(design, capfd):
    design(seeds=[1, 2], methods={"grpo": {}}, comparisons=[])
    first, _ = read_design(Path("trial.yaml")).cells()
    write_state(OUT, first, State("finished", first.identity, 40.0))
    assert main(["experiment", "trial.yaml", "--dry", "--jobs", "1"]) == 0
    told = capfd.readouterr().out.splitlines()
    assert [line for line in told if line.startswith("# ")] == [
        "# grpo/all/seed1: finished",
        "# grpo/all/seed2: waiting",
    ]
    commands = [line for line in told if line.startswith("mentor fit --config ")]
    assert ["--seed_everything=2 " in command for command in commands] == [False, True]
    assert "2 cells: 1 finished, 1 waiting" in told
    assert told[-1] == "about 40 s with 1 at a time, by the mean of 1 finished cell"
    assert not (OUT / "design.json").exists()


def test_configurations_over_the_designs_own_name_the_folder_and_are_part_of_cells_and_hash(design, capfd):
    design(methods={"grpo": {}}, comparisons=[])
    for name, count in (("small", 3), ("tiny", 1)):
        Path(f"{name}.yaml").write_text(f"data: {{max_prompt_tokens: {count}}}\n")
    plain, plan = read_design(Path("trial.yaml")), read_design(Path("trial.yaml"), ["small.yaml"])
    assert plain.sha256 != plan.sha256
    out = Path("runs/experiments/trial-small-tiny")
    both = read_design(Path("trial.yaml"), ["small.yaml", "tiny.yaml"])
    assert both.configurations()[0]["data"]["max_prompt_tokens"] == 1
    for cell in both.cells():
        write_state(out, cell, State("finished", cell.identity, 40.0))
    fix(out, both)
    words = ["experiment", "trial.yaml", "--base", "small.yaml", "--base=tiny.yaml"]
    assert main([*words, "--dry"]) == 0
    told = capfd.readouterr().out
    assert "quickstart.yaml --config small.yaml --config tiny.yaml " in told
    assert f"/{out}/cells/grpo" in told or f'"{out}/cells/grpo' in told
    assert main([*words, "--report_only", "--page", "docs/results/trial"]) == 0
    assert (out / "report.md").read_text(encoding="utf-8").startswith("# trial-small-tiny\n")
    command = "mentor experiment trial.yaml --base small.yaml --base tiny.yaml\n"
    assert command in Path("docs/results/trial.md").read_text(encoding="utf-8")
    assert main(["experiment", "trial.yaml", "--base", "nothing.yaml", "--dry"]) == 2
    assert "nothing.yaml cannot be read" in capfd.readouterr().err


def test_a_dry_run_that_cannot_measure_says_so_and_has_shown_every_command(design, short_run_here, capfd):
    design(methods={"grpo": {}}, comparisons=[], overrides={"model.policy": "no/such/model"})
    assert main(["experiment", "trial.yaml", "--dry"]) == 0
    *told, last = capfd.readouterr().out.splitlines()
    assert len([line for line in told if line.startswith("mentor fit --config ")]) == 1
    assert last.startswith("not estimated: a short run of grpo/all/seed1 fails with status 2: mentor: error: ")
    assert "no/such/model" in last


def test_a_dry_run_of_a_design_whose_outcome_will_not_be_logged_fails(design, short_run_here, capfd):
    design(methods={"grpo": {}}, comparisons=[], secondary=[{"metric": "val/maze/avg8"}])
    assert main(["experiment", "trial.yaml", "--dry"]) == 1
    assert "outcome val/maze/avg8, but a short run has not logged it" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["none.yaml"], "none.yaml cannot be read (No such file or directory)"),
        (["trial.yaml", "--jobs", "0"], "--jobs is 0"),
        (["trial.yaml", "--dry", "--report_only"], "--dry and --report_only are both given"),
        (["trial.yaml", "--dry", "--page", "p"], "--dry and --page are both given"),
        (["trial.yaml", "--page", "trial.yaml"], "--page is 'trial.yaml', but"),
        (["trial.yaml", "--report_only"], "design.json cannot be read"),
        (["trial.yaml", "--out", "trial.yaml"], "--out is 'trial.yaml', but"),
        ([], "required, but not set: design (a path)"),
    ],
)
def test_a_mistake_is_one_line(design, words, line, capfd):
    design()
    assert main(["experiment", *words]) == 2
    (error,) = capfd.readouterr().err.splitlines()
    assert error.startswith("mentor: error: ")
    assert line in error
    assert not Path("runs").exists()
