import json
import math
from dataclasses import replace

import pytest
from experiment_results import ACCURACY, results_of, small_design

from mentor_pl.experiments.design.outcome import SAMPLED, Outcome
from mentor_pl.experiments.runner.folder import State, folder_of, write_state
from mentor_pl.experiments.runner.results import Result, collect, results_lines, values, with_budgets


def test_only_finished_cells_count(tmp_path):
    design = small_design(tmp_path)
    results = results_of(design, lambda cell: 0.1 * cell.seed if cell.seed < 3 else None)
    assert values(results, "grpo", "all", design.primary) == {1: 0.1, 2: 0.2}
    failed = results_of(design, lambda cell: 0.5, status="failed")
    assert values(failed, "grpo", "all", design.primary) == {}


def test_a_line_of_results_per_cell_has_evaluations_summaries_and_cost(tmp_path):
    secondary = (Outcome(ACCURACY, "area"), Outcome("val/maze/length", last=1))
    design = small_design(tmp_path, secondary=secondary)
    results = results_of(design, lambda cell: 0.5 if cell.seed < 3 else None)
    results[0] = Result(results[0].cell, results[0].state, {ACCURACY: {0: 0.25, 2: math.nan}})
    lines = [json.loads(line) for line in results_lines(design, results).splitlines()]
    assert len(lines) == 6
    assert lines[0]["evaluations"] == {ACCURACY: {"0": 0.25, "2": None}, "val/maze/length": {}}
    last, area = f"{ACCURACY}, mean of the last 2 evaluations", f"{ACCURACY}, mean height of the curve"
    names = [last, f"{last}, at equal sampled tokens", area, "val/maze/length, last value"]
    assert lines[0]["outcomes"] == dict.fromkeys(names)
    shown = [lines[1][name] for name in ("method", "setting", "seed", "status", "seconds")]
    assert shown == ["grpo", "all", 1, "finished", 11.0]
    assert lines[1]["cost"] == {"sampled_tokens": 1001.0, "flops": 1e9}
    assert lines[1]["versions"] == {"torch": "2"}
    assert lines[1]["outcomes"][area] == pytest.approx(0.375)
    assert lines[1]["design"] == design.sha256
    assert lines[4]["status"] == "waiting"
    assert (lines[1]["threads"], lines[1]["cpu_seconds"], lines[1]["commits"]) == (1, 0.0, [])
    assert lines[1]["sampled_tokens"] == {"0": 0.0, "2": 0.0, "4": 1001.0}
    assert lines[1]["budget"] == 1001.0
    short = json.loads(results_lines(design, results, evaluations=False).splitlines()[1])
    assert short == {name: value for name, value in lines[1].items() if name != "evaluations"}


def test_cells_are_read_from_their_folders(tmp_path):
    design = small_design(tmp_path)
    cell = design.cells()[0]
    write_state(tmp_path, cell, State("finished", cell.identity, 2.0))
    (folder_of(tmp_path, cell) / "metrics.csv").write_text(f"step,{ACCURACY},cost/flops\n0,0.25,\n1,,7\n2,0.75,\n")
    first, *others = collect(tmp_path, design)
    assert first.value(design.primary) == 0.5
    assert first.costs() == {"flops": 7.0}
    assert {(one.state.status, one.value(design.primary)) for one in others} == {("waiting", None)}


def test_the_budget_is_the_least_that_a_run_of_the_seed_and_setting_has_sampled_in_all(tmp_path):
    design = small_design(tmp_path, primary=Outcome(ACCURACY, "last", 1, "tokens"))
    results = results_of(design, lambda cell: 0.5)
    sampled = {"mentor1": 900.0, "grpo1": 600.0, "mentor2": 300.0, "grpo2": 0.0, "mentor3": 500.0, "grpo3": 100.0}
    curve = {2: 0.25, 4: 0.75}
    results = [
        replace(one, metrics={ACCURACY: curve, SAMPLED: {2: total / 2, 4: total}})
        for one, total in zip(results, [sampled[f"{one.cell.method}{one.cell.seed}"] for one in results], strict=True)
    ]
    results[-1] = replace(results[-1], state=State("failed", "", 1.0))  # grpo's seed 3
    results = with_budgets(results)
    # Seed 1 has 600: of mentor's 450 and 900 only the first. Seed 2 has mentor's own 300; seed 3 its own 500.
    assert [one.budget for one in results] == [600, 600, 300, 300, 500, 500]
    assert values(results, "mentor", "all", design.primary) == {1: 0.25, 2: 0.75, 3: 0.75}
    assert values(results, "grpo", "all", design.primary) == {1: 0.75, 2: 0.75}


def test_seconds_of_the_whole_command_are_metrics_too(tmp_path):
    design = small_design(tmp_path)
    cell = design.cells()[0]
    write_state(tmp_path, cell, State("finished", cell.identity, 2.0, cpu_seconds=1.5))
    first = collect(tmp_path, design)[0]
    assert first.value(Outcome("cell/cpu_seconds", "last", 1)) == 1.5
    assert first.value(Outcome("cell/seconds", "last", 1)) == 2.0
