"""Recorded steps of a run on the testbed, again: the same weights, or another method beside the run's own."""

import re

import pyarrow as pa
import pytest
from small_fit import ROOT, RUN, error

from mentor_pl.cli.main import main
from mentor_pl.cli.replay.replay import read_algorithm
from mentor_pl.records.reading import place_of, read_step
from mentor_pl.records.writing import write_step
from mentor_pl.runtime.checkpoint_files import SafeCheckpointIO
from mentor_pl.runtime.errors import UsageError


def replayed(*words):
    return main(["replay", *map(str, words)])


def test_a_step_behind_a_checkpoint_gives_the_weights_of_the_next_bit_for_bit(recorded_project, capfd):
    assert replayed(RUN, "--step", 3) == 0
    said = capfd.readouterr().out
    assert "step 3, from checkpoint step=2.ckpt and 1 record\n" in said
    assert "the weights are those of step=3.ckpt, bit for bit" in said
    with (RUN / "metrics.csv").open() as file:
        logged = file.read().splitlines()
    names = logged[0].split(",")
    row = next(line for line in reversed([line.split(",") for line in logged]) if line[names.index("train/loss")])
    assert f"{float(row[names.index('train/loss')]):.6g}" in said


def test_a_step_before_all_checkpoints_is_replayed_from_the_runs_start(recorded_project, capfd):
    assert replayed(RUN, "--step", 2) == 0
    said = capfd.readouterr().out
    assert "step 2, from the run's start and 2 records" in said
    assert "the weights are those of step=2.ckpt, bit for bit" in said
    assert "the weights are those that sampled step 3, bit for bit" in said


def test_another_method_is_set_beside_the_runs_own(recorded_project, capfd):
    assert replayed(RUN, "--step", 3, "--algorithm", ROOT / "configs/algorithms/grpo.yaml") == 0
    said = capfd.readouterr().out
    assert re.search(r"at the weights that sampled +the run +GRPO", said)
    assert re.search(r"loss +-?[\d.e-]+ +-?[\d.e-]+\n", said)
    cosine = float(re.search(r"cosine of the gradients (-?[\d.]+)", said)[1])
    assert -1 <= cosine < 0.9999
    assert "the weights are those of step=3.ckpt, bit for bit" in said


def test_the_runs_own_method_has_the_runs_own_gradient(recorded_project, capfd, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text((ROOT / "configs/quickstart.yaml").read_text())
    assert replayed(RUN, "--step", 3, "--algorithm", own) == 0
    said = capfd.readouterr().out
    assert re.search(r"cosine of the gradients 1.0000; by mini-batch (1.0000|none), (1.0000|none)\n", said)


def test_rollouts_that_other_weights_sampled_are_named(recorded_copy, capfd):
    rows = read_step(recorded_copy, 3)
    other = pa.array(["0" * 16] * len(rows))
    write_step(recorded_copy, 3, rows.set_column(rows.column_names.index("weights"), "weights", other))
    assert replayed(recorded_copy, "--step", 3) == 1
    assert "the weights of step 3 are not those that sampled its rollouts" in error(capfd)


def test_other_rollouts_do_not_pass_for_the_runs(recorded_copy, capfd):
    rows = read_step(recorded_copy, 3)
    rewards = pa.array([1.0 - one for one in rows["reward"].to_pylist()], pa.float32())
    write_step(recorded_copy, 3, rows.set_column(rows.column_names.index("reward"), "reward", rewards))
    assert replayed(recorded_copy, "--step", 3) == 1
    assert "the weights after step 3 are not those of step=3.ckpt" in error(capfd)


def test_a_damaged_record_behind_the_step_is_passed_over_and_named(recorded_copy, capfd):
    place_of(recorded_copy, 3).write_bytes(b"PAR1")
    assert replayed(recorded_copy, "--step", 2) == 0
    said = capfd.readouterr().out
    assert "the weights are those of step=2.ckpt, bit for bit" in said
    assert "those that sampled step 3" not in said
    assert re.search(r"passed over: .*step=000003.parquet is no record of rollouts", said)


@pytest.fixture
def ends_at(recorded_copy):
    """(checkpoint, steps): that checkpoint is one of a run of so many steps."""

    def change(step, steps):
        path, io = recorded_copy / f"checkpoints/step={step}.ckpt", SafeCheckpointIO()
        contents = io.load_checkpoint(path)
        contents["settings"]["data"]["steps"] = steps
        io.save_checkpoint(contents, path)

    return change


def test_a_step_behind_a_checkpoint_of_a_shorter_run_has_the_settings_of_the_run_as_it_went_on(
    recorded_copy, ends_at, capfd
):
    ends_at(2, 2)
    assert replayed(recorded_copy, "--step", 3) == 0
    assert "the weights are those of step=3.ckpt, bit for bit" in capfd.readouterr().out
    (recorded_copy / "checkpoints/step=3.ckpt").unlink()
    assert replayed(recorded_copy, "--step", 3) == 0  # by config.yaml
    assert "train/loss" in capfd.readouterr().out


def test_a_step_that_is_not_reached_is_no_success(recorded_copy, ends_at, capfd):
    ends_at(3, 2)
    assert replayed(recorded_copy, "--step", 3) == 1
    assert "the replay ended before step 3" in error(capfd)


def test_what_a_replay_lacks_is_said_in_one_line(recorded_copy, capfd):
    for words, line in (
        (("nowhere", "--step", 1), "there is no folder 'nowhere'"),
        ((recorded_copy, "--step", 9), "has no record of step 9; it has steps 1, 2, 3"),
        (
            (recorded_copy, "--step", 3, "--algorithm", "nowhere.yaml"),
            "--algorithm nowhere.yaml names no model.algorithm",
        ),
    ):
        assert replayed(*words) == 2
        assert line in error(capfd)
    place_of(recorded_copy, 1).unlink()
    assert replayed(recorded_copy, "--step", 2) == 2
    assert "has no record of step 1, which lies between the run's start and step 2" in error(capfd)
    write_step(recorded_copy, 3, read_step(recorded_copy, 3).slice(0, 8))
    assert replayed(recorded_copy, "--step", 3) == 2
    assert "the record of step 3 has 8 rollouts of process 0" in error(capfd)


def test_algorithms_that_cannot_be_made_are_refused(tmp_path):
    file = tmp_path / "one.yaml"
    for text, words in (
        ("data: {}", "names no model.algorithm"),
        ("model: {algorithm: {class_path: mentor_pl.algorithms.grpo.Nothing}}", "Nothing"),
        ("model: {algorithm: {class_path: mentor_pl.algorithms.grpo.GRPO, init_args: {sixe: 3}}}", "sixe"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=words) as refused:
            read_algorithm(file)
        assert "\n" not in str(refused.value)
