import json
import subprocess

import pytest
from experiment_results import small_design

from mentor_pl.experiments.design.outcome import Outcome
from mentor_pl.experiments.runner import estimate as estimate_file
from mentor_pl.experiments.runner.estimate import Estimate, evaluations, from_finished, in_words, measure
from mentor_pl.experiments.runner.folder import State
from mentor_pl.experiments.runner.runner import fit_arguments
from mentor_pl.runtime.errors import RunError


def states(design, seconds):
    """State of every cell, finished where seconds are given for it."""
    known = {cell: seconds(cell) for cell in design.cells()}
    return {
        cell: State("waiting", cell.identity) if spent is None else State("finished", cell.identity, spent)
        for cell, spent in known.items()
    }


def test_finished_cells_tell_of_their_own_method_and_all_of_one_that_has_none(tmp_path):
    design = small_design(tmp_path)
    found = from_finished(states(design, lambda cell: 10.0 * cell.seed if cell.method == "mentor" else None))
    assert found == Estimate({"mentor": 20.0, "grpo": 20.0}, "the mean of 3 finished cells")
    found = from_finished(states(design, lambda cell: {"mentor1": 10.0, "grpo1": 4.0}.get(f"{cell.method}{cell.seed}")))
    assert found.seconds == {"mentor": 10.0, "grpo": 4.0}
    assert from_finished(states(design, lambda cell: None)) is None


def test_what_is_left_is_shared_by_those_that_run_at_a_time(tmp_path):
    design = small_design(tmp_path)
    known = states(design, lambda cell: 10.0 if cell.seed == 1 else None)
    estimate = Estimate({"mentor": 10.0, "grpo": 4.0}, "")
    assert estimate.left(known, {}, 2) == pytest.approx((10 + 4) * 2 / 2)
    running = {design.cells()[2]: 7.0, design.cells()[3]: 5.0}  # mentor with 3 s left, grpo over its time
    assert estimate.left(known, running, 2) == pytest.approx((3 + 0 + 10 + 4) / 2)
    assert estimate.left(states(design, lambda cell: 1.0), {}, 2) == 0


@pytest.fixture
def short_run(monkeypatch):
    """Have a stand-in as the short run: it logs steps of 2 s, or fails; the arguments it was started with."""
    started = []

    def use(status, callbacks=()):
        def start(cell, out, log):
            started.append(arguments := fit_arguments(cell, out))
            places = json.loads(next(one for one in arguments if "trainer.logger" in one).partition("=")[2])[
                "init_args"
            ]
            folder = log.parent / places["save_dir"] / places["name"] / places["version"]
            folder.mkdir(parents=True)
            rows = [f"{step},1.5,0.5,5,0.1" for step in (1, 2, 3)]
            (folder / "metrics.csv").write_text(
                "\n".join(["step,time/sampling,time/update,time/sampling/x,val/maze/avg@8", *rows, ""])
            )
            (folder / "config.yaml").write_text(json.dumps({"trainer": {"callbacks": callbacks}}))
            log.write_text("mentor: error: no such file\n")
            return subprocess.Popen(["sh", "-c", f"exit {status}"])

        monkeypatch.setattr(estimate_file, "start", start)
        return started

    return use


def test_a_short_run_tells_of_all_cells_by_its_steps(short_run, tmp_path):
    started = short_run(0)
    design = small_design(tmp_path, steps=100)
    found = measure(design, design.cells()[0])
    assert [one for one in started[0] if one.startswith("--data.steps")] == ["--data.steps=100", "--data.steps=3"]
    assert found.seconds["mentor"] == found.seconds["grpo"]
    assert 200 <= found.seconds["mentor"] < 230  # 100 steps of 2 s, and what it took to start
    assert found.source.startswith("a run of mentor/all/seed1 over 3 steps, ")


def test_a_short_run_that_fails_says_why(short_run, tmp_path):
    short_run(2)
    design = small_design(tmp_path)
    with pytest.raises(
        RunError, match="a short run of mentor/all/seed1 fails with status 2: mentor: error: no such file"
    ):
        measure(design, design.cells()[0])


def test_a_short_run_shows_that_an_outcome_will_not_be_there(short_run, tmp_path):
    short_run(0, [{"init_args": {"benchmarks": [{}], "every_n_steps": 4}}])
    design = small_design(tmp_path, secondary=(Outcome("val/maze/avg8"),))
    with pytest.raises(RunError, match=r"outcome val/maze/avg8, .*has not logged it: did you mean val/maze/avg@8\?"):
        measure(design, design.cells()[0])
    design = small_design(tmp_path, primary=Outcome("val/maze/avg@8", "last", 3))
    with pytest.raises(RunError, match=r"primary.last is 3, but a run of 4 steps is evaluated 2 times"):
        measure(design, design.cells()[0])


@pytest.mark.parametrize(("steps", "count"), [(1, 2), (5, 2), (6, 3), (100, 21)])
def test_evaluations_are_those_at_the_start_every_so_many_steps_and_at_the_end(steps, count):
    one = {"class_path": "callbacks.BenchmarkValidation", "init_args": {"benchmarks": [{}], "every_n_steps": 5}}
    other = {"class_path": "callbacks.RunCheckpoints", "init_args": {"every_n_steps": 5}}
    assert evaluations({"trainer": {"callbacks": [one, other]}}, steps) == count
    one["init_args"]["at_start"] = False
    assert evaluations({"trainer": {"callbacks": [one]}}, steps) == count - 1
    assert evaluations({"trainer": {"callbacks": None}}, steps) == 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(40.4, "40 s"), (720.0, "12 min"), (11_100.0, "3 h 05 min"), (99.6, "100 s")]
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words
