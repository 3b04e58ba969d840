"""Runs that go on, through the command line, on the testbed: where, from what, and with which settings."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from small_fit import ROOT, RUN, damage, error, fit, names, steps_logged

from mentor_pl.cli.main import main


def test_one_command_begins_a_run_and_goes_on_with_it(small_project, caplog):
    caplog.set_level(logging.INFO)
    assert fit(5) == 0
    Path("runs").rename("whole")
    assert fit(3, "--resume", "auto") == 0  # five steps end in no checkpoint's interval, three neither
    assert names() == ["step=2.ckpt", "step=3.ckpt"]
    assert fit(5, "--resume", "auto") == 0
    assert [path.name for path in Path("runs/quickstart").iterdir()] == ["version_0"]
    assert steps_logged() == steps_logged(Path("whole/quickstart/version_0")) == [1, 2, 3, 4, 5]
    assert names() == ["step=4.ckpt", "step=5.ckpt"]
    ours, theirs = (
        torch.load(folder / "checkpoints/step=5.ckpt", weights_only=True)
        for folder in (RUN, Path("whole/quickstart/version_0"))
    )
    assert all(torch.equal(ours["state_dict"][name], value) for name, value in theirs["state_dict"].items())
    assert "there is no run to go on with, so one begins" in caplog.text


def test_the_saved_configuration_begins_a_run_of_its_own(small_project):
    assert fit(1, every=3) == 0
    before = (RUN / "config.yaml").read_text()
    assert fit(2, "--resume", "auto", every=3) == 0
    assert (RUN / "config.yaml").read_text() == before.replace("\n  steps: 1\n", "\n  steps: 2\n")
    assert main(["fit", "--config", str(RUN / "config.yaml")]) == 0
    assert steps_logged(RUN.with_name("version_1")) == [1, 2]


def test_a_run_without_a_checkpoint_starts_over_in_its_folder(after_three, caplog):
    caplog.set_level(logging.INFO)
    shutil.rmtree(RUN / "checkpoints")
    assert fit(1, "--resume", "auto") == 0
    assert steps_logged() == [1] and "so the run starts over in it, at step 0" in caplog.text
    assert not RUN.with_name("version_1").exists()


def test_a_finished_run_says_that_nothing_is_left(after_three, caplog):
    caplog.set_level(logging.INFO)
    assert fit(3, "--resume", str(RUN)) == 0
    assert "the run has done 3 of 3 steps, so no more are done: raise data.steps to go on" in caplog.text
    assert steps_logged() == [1, 2, 3]


def test_from_a_damaged_checkpoint_the_one_before_is_taken_and_said(after_three, caplog):
    caplog.set_level(logging.INFO)
    damage(RUN / "checkpoints/step=3.ckpt")
    assert fit(4, "--resume", "auto") == 0
    assert (
        "step=3.ckpt is damaged (its checksum is wrong): it is left out, and the one before it is taken" in caplog.text
    )
    assert steps_logged() == [1, 2, 3, 4]
    assert names() == ["step=2.ckpt", "step=3.ckpt.damaged", "step=4.ckpt"]


def test_with_every_checkpoint_damaged_there_is_one_line(after_three, capfd):
    for step in (2, 3):
        damage(RUN / f"checkpoints/step={step}.ckpt")
    assert fit(4, "--resume", "auto") == 2
    assert "has no checkpoint that is whole" in error(capfd)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--resume", "nowhere"], "--resume: there is no 'nowhere'"),
        (["--resume", f"{RUN}/checkpoints/step=2.ckpt"], "step=3.ckpt is newer than step=2.ckpt"),
        (["--resume", "auto", "--ckpt_path", "last"], "are both given"),
        (["--ckpt_path", "hpc"], "--ckpt_path hpc: no hpc_ckpt_*.ckpt"),
        (["--ckpt_path", "best"], "knows no best checkpoint"),
        (["--ckpt_path", "last", "--trainer.logger.init_args.name", "other"], "no run with these settings"),
        (["--ckpt_path", "extras.py"], "extras.py is damaged"),
        (["--trainer.logger.init_args.version", "0"], "has checkpoints of another run, such as step=2.ckpt"),
        (["--resume", "auto", "--model.mini_batches", "1"], "--resume_changes model.mini_batches"),
        (["--ckpt_path", "last", "--seed_everything", "5"], "seed_everything is 5, 1 in the checkpoint"),
        (["--resume", "auto", "--resume_changes", "model.nope"], "--resume_changes model.nope: there is no such"),
        (
            ["--resume", "auto", "--model.optimizer", "torch.optim.Adam", "--resume_changes", "model.optimizer"],
            "the checkpoint is of a run with AdamW, model.optimizer is Adam",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_go_on_is_one_line(after_three, capfd, options, line):
    before = (RUN / "metrics.csv").read_bytes()
    assert fit(5, *options) == 2
    assert line in error(capfd)
    assert names() == ["step=2.ckpt", "step=3.ckpt"]
    assert (RUN / "metrics.csv").read_bytes() == before


def test_last_and_a_runs_folder_begin_a_new_run_from_the_newest(after_three):
    for number, given in enumerate(("last", str(RUN)), start=1):
        assert fit(4, "--ckpt_path", given) == 0
        assert steps_logged(RUN.with_name(f"version_{number}")) == [4]
    assert steps_logged() == [1, 2, 3]


def test_a_new_learning_rate_takes_effect_where_it_is_named(small_project, caplog):
    caplog.set_level(logging.INFO)
    rates = ("--trainer.callbacks+", "extras.Rates", "--resume_changes", "trainer.callbacks", "model.optimizer")
    lr = "--model.optimizer.init_args.lr"
    assert fit(2, lr, "0.5e-3", "--model.warmup_steps", "3") == 0
    assert fit(3, "--resume", "auto", lr, "1e-3", "--model.warmup_steps", "3", *rates) == 0
    import extras

    assert extras.Rates.seen == pytest.approx([1e-3, 1e-3])  # updates 5 and 6, after a warm-up over 3
    assert "lr is 0.001 from here on, 0.0005 before" in caplog.text
    assert "resume: model.optimizer.init_args.lr is 0.001, 0.0005 in the checkpoint" in caplog.text


def test_a_run_whose_learning_rate_falls_to_its_end_is_made_longer_only_where_that_is_named(small_project, capsys):
    falls = ("--model.final_lr", "0.1", "--resume", "auto")
    assert fit(1, *falls) == 0
    assert fit(2, *falls) == 2
    assert "data.steps is 2, 1 in the checkpoint: put them back, or name those" in capsys.readouterr().err
    assert fit(2, *falls, "--resume_changes", "data.steps") == 0
    assert steps_logged() == [1, 2]


def test_without_a_logger_no_file_of_ours_is_in_the_current_folder(small_project):
    Path("config.yaml").write_text("mine: 1\n")
    options = ("--trainer.logger", "false", "--trainer.callbacks", "[]", "--model.final_lr", "1")
    small = ["--data.prompts_per_step", "2", "--data.sampling.max_new_tokens", "8", "--trainer.accelerator", "cpu"]
    command = ["fit", "--config", str(ROOT / "configs/quickstart.yaml"), *small, *options]
    assert main([*command, "--data.steps", "1"]) == 0
    assert main([*command, "--data.steps", "2", "--resume", "auto"]) == 0
    assert Path("config.yaml").read_text() == "mine: 1\n"
    assert sorted(path.name for path in Path("checkpoints").iterdir()) == ["step=1.ckpt", "step=2.ckpt"]
