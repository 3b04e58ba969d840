"""The runs are stand-ins, processes that end with a status, or wait for a signal."""

import json
import os
import signal
import subprocess

import pytest
from experiment_results import small_design

from mentor_pl.experiments.runner import runner
from mentor_pl.experiments.runner.folder import State, folder_of, read_state, write_state
from mentor_pl.experiments.runner.runner import fit_arguments, rerun_arguments, run_cells
from mentor_pl.runtime import signals


def nothing(states, running):
    pass


@pytest.fixture
def shell(monkeypatch):
    """Have a shell command, by seed and method, in place of `mentor fit`; the arguments of those started."""
    started = []

    def use(command):
        def start(cell, out, log):
            started.append(arguments := fit_arguments(cell, out))
            log.parent.mkdir(parents=True, exist_ok=True)
            text = command(next(one for one in arguments if one.startswith("--seed")), " ".join(arguments))
            with log.open("ab") as file:
                return subprocess.Popen(["sh", "-c", text], stdout=file, stderr=file, process_group=0)

        monkeypatch.setattr(runner, "start", start)
        return started

    return use


def test_a_cell_that_fails_is_noted_with_its_last_line_and_the_others_go_on(shell, tmp_path):
    started = shell(lambda seed, text: "echo no room; exit 3" if "=2" in seed and "grpo.yaml" in text else "exit 0")
    cells = small_design(tmp_path).cells()
    states = run_cells(cells, tmp_path, 2, nothing)
    assert [states[cell].status for cell in cells] == ["finished", "finished", "finished", "failed", *["finished"] * 2]
    assert states[cells[3]].reason == "status 3: no room"
    assert len(started) == 6
    assert read_state(tmp_path, cells[0]).versions["torch"]


def test_what_is_finished_is_not_run_again_and_what_failed_is(shell, tmp_path):
    cells = small_design(tmp_path).cells()
    write_state(tmp_path, cells[0], State("finished", cells[0].identity, 5.0))
    write_state(tmp_path, cells[1], State("failed", cells[1].identity, 7.0, "it broke"))
    started = shell(lambda seed, text: "exit 0")
    states = run_cells(cells[:2], tmp_path, 1, nothing)
    assert len(started) == 1
    assert states[cells[0]].seconds == 5.0
    assert states[cells[1]].status == "finished"
    assert states[cells[1]].seconds > 7.0  # of all attempts


def test_processor_time_is_that_of_the_run_and_of_all_attempts(shell, tmp_path, monkeypatch):
    """The clock of ended children stands still but when one of them ends, and then goes on by 2 s."""
    cells = small_design(tmp_path).cells()
    write_state(tmp_path, cells[1], State("failed", cells[1].identity, 7.0, "it broke", cpu_seconds=4.0))
    shell(lambda seed, text: "exit 0")
    used, ended = [100.0], set()
    poll = subprocess.Popen.poll

    def polled(process):
        status = poll(process)
        if status is not None and process not in ended:
            ended.add(process)
            used[0] += 2.0
        return status

    monkeypatch.setattr(subprocess.Popen, "poll", polled)
    monkeypatch.setattr(runner, "_children_seconds", lambda: used[0])
    run_cells(cells[:3], tmp_path, 3, nothing)
    assert [read_state(tmp_path, cell).cpu_seconds for cell in cells[:3]] == [2.0, 6.0, 2.0]


def test_what_ended_children_have_used_is_measured(shell, tmp_path):
    shell(lambda seed, text: "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done")
    cell = small_design(tmp_path).cells()[0]
    assert run_cells([cell], tmp_path, 1, nothing)[cell].cpu_seconds > 0


def test_a_run_has_every_commit_that_it_was_made_by(shell, tmp_path, monkeypatch):
    cell, other = small_design(tmp_path).cells()[:2]
    shell(lambda seed, text: "exit 1")
    for now in ("abc", "abc", "def"):
        monkeypatch.setattr(runner, "commit", lambda now=now: now)
        run_cells([cell], tmp_path, 1, nothing)
    shell(lambda seed, text: "exit 0")
    assert run_cells([cell], tmp_path, 1, nothing)[cell].commits == ("abc", "def")
    assert run_cells([other], tmp_path, 1, nothing)[other].commits == ("def",)


def test_a_run_with_other_settings_is_neither_taken_for_the_cell_nor_touched(shell, tmp_path):
    cell = small_design(tmp_path).cells()[0]
    write_state(tmp_path, cell, State("finished", "another", 5.0))
    started = shell(lambda seed, text: "exit 0")
    assert run_cells([cell], tmp_path, 1, nothing)[cell].status == "other"
    assert not started
    kept = json.loads((folder_of(tmp_path, cell) / "cell.json").read_text())
    assert kept["identity"] == "another"


def test_never_more_than_so_many_at_a_time(shell, tmp_path):
    shell(lambda seed, text: "exit 0")
    most = []
    run_cells(small_design(tmp_path).cells(), tmp_path, 2, lambda states, running: most.append(len(running)))
    assert max(most) <= 2


def test_a_signal_ends_the_runs_once_and_the_same_call_goes_on(shell, tmp_path):
    """The stand-in counts its signals, as a run would that saves at the first and ends at once at the second."""
    cells, noted = small_design(tmp_path).cells()[:3], []
    shell(lambda seed, text: "trap 'echo told; exit 143' TERM INT; echo ready; while :; do sleep 0.01; done")

    def interrupt(states, running):
        logs = [folder_of(tmp_path, cell) / "log.txt" for cell in running]
        if len(running) == 2 and all("ready" in log.read_text() for log in logs):
            os.kill(os.getpid(), signal.SIGINT)
            noted.append(len(running))  # and nothing is cut off, however long the runs take to save

    with signals.installed(), pytest.raises(signals.Stopped):
        run_cells(cells, tmp_path, 2, interrupt)
    assert noted == [2]
    assert [read_state(tmp_path, cell).status for cell in cells] == ["begun", "begun", "waiting"]
    for cell in cells[:2]:
        assert (folder_of(tmp_path, cell) / "log.txt").read_text().split() == ["ready", "told"]
    started = shell(lambda seed, text: "exit 0")
    states = run_cells(cells, tmp_path, 2, nothing)
    assert len(started) == 5
    assert {state.status for state in states.values()} == {"finished"}


def test_no_run_is_left_behind_by_an_error(shell, tmp_path):
    shell(lambda seed, text: "echo $$; while :; do sleep 0.01; done")
    cell = small_design(tmp_path).cells()[0]

    def fail(states, running):
        raise KeyError

    with pytest.raises(KeyError):
        run_cells([cell], tmp_path, 1, fail)
    assert read_state(tmp_path, cell).status == "begun"


def test_the_command_of_a_cell_goes_on_in_its_own_folder_and_that_of_a_rerun_lies_elsewhere(tmp_path):
    cell = small_design(tmp_path).cells()[0]
    words = fit_arguments(cell, tmp_path)
    assert words[0] == "fit"
    assert words[-1] == "--resume=auto"
    (logger,) = [json.loads(word.partition("=")[2]) for word in words if word.startswith("--trainer.logger")]
    where = logger["init_args"]
    assert f"{where['save_dir']}/{where['name']}/{where['version']}" == str(folder_of(tmp_path, cell))
    again = rerun_arguments(cell, tmp_path)
    assert set(cell.arguments) <= set(again)
    assert not any(word.startswith("--resume") for word in again)
    assert "reruns" in again[-1]
