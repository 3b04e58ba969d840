"""A run's folder and its loggers, through the command line: each logger where it was, one run to a folder."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from jsonargparse import Namespace
from small_fit import ROOT, RUN, error, fit, names, steps_logged
from transformers import AutoConfig, AutoModelForCausalLM

from mentor_pl.cli import run_folder
from mentor_pl.cli.main import main
from mentor_pl.runtime.errors import UsageError


@pytest.mark.filterwarnings("ignore:logger")
@pytest.mark.parametrize(
    ("kind", "failure"),
    [("Away", "experiment (the server is away)"), ("Failing", "log_metrics (the server is gone)")],
)
def test_a_logger_that_fails_is_named_once_and_the_run_goes_on(kind, failure, small_project, recwarn):
    assert (
        fit(2, "--trainer.logger+", f"{{class_path: extras.{kind}, init_args: {{save_dir: runs, name: other}}}}") == 0
    )
    said = [str(warning.message) for warning in recwarn if kind in str(warning.message)]
    assert len(said) == 1 and f"failed in {failure}: the run goes on" in said[0]
    assert steps_logged() == [1, 2]


def test_a_board_that_is_not_installed_is_one_line(monkeypatch):
    """Where it is installed, runs elsewhere have it."""
    logger = Namespace(class_path="lightning.pytorch.loggers.TensorBoardLogger", init_args=Namespace(save_dir="runs"))
    others = [Namespace(class_path="lightning.pytorch.loggers.CSVLogger"), logger]
    run_folder.check_loggers(Namespace(logger=others))
    monkeypatch.setattr(run_folder, "find_spec", lambda name: None)
    for setting in (logger, others):
        with pytest.raises(UsageError, match="pip install tensorboard"):
            run_folder.check_loggers(Namespace(logger=setting))
    for setting in (others[:1], None, True, False):
        run_folder.check_loggers(Namespace(logger=setting))


@pytest.mark.parametrize("first", [True, False], ids=["a server's logger first", "a server's logger second"])
def test_every_logger_goes_on_where_it_was(first, small_project):
    """And what a run writes is in a folder of its own, wherever its first logger says that it logs."""
    ours = "{class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: runs, name: quickstart}}"
    loggers = ["{class_path: extras.Server}", ours][:: 1 if first else -1]
    options = ("--trainer.logger", f"[{', '.join(loggers)}]", "--resume", "auto")
    import extras

    extras.Server.ids = iter(("one", "two"))
    assert fit(1, *options) == 0
    assert fit(2, *options) == 0
    folder = Path("runs/server/one") if first else RUN
    assert names(folder) == ["step=1.ckpt", "step=2.ckpt"]
    assert (folder / "config.yaml").exists() and (folder / "policy").exists()
    assert steps_logged() == [1, 2]
    saved = torch.load(folder / "checkpoints/step=2.ckpt", weights_only=True)["versions"]
    assert sorted(saved) == [("CSVLogger", 0 if first else "version_0"), ("Server", "one")]


def test_measuring_leaves_the_metrics_of_a_run_in_the_same_folder(after_three):
    before = (RUN / "metrics.csv").read_bytes()
    where = ("--trainer.logger.init_args.version", "0", "--trainer.accelerator", "cpu")
    config = ("--config", str(ROOT / "configs/quickstart.yaml"))
    assert main(["validate", *config, *where, "--ckpt_path", "last"]) == 0
    assert (RUN / "metrics.csv").read_bytes() == before
    assert "val/maze/avg@8" in (RUN / "validate.csv").read_text()


def test_a_run_may_have_a_callback_whose_default_is_of_a_class(small_project):
    timer = "{class_path: lightning.pytorch.callbacks.Timer, init_args: {duration: '00:01:00:00'}}"
    config = ["fit", "--config", str(ROOT / "configs/quickstart.yaml"), "--trainer.callbacks", f"[{timer}]"]
    small = ["--data.prompts_per_step", "2", "--data.sampling.max_new_tokens", "8", "--trainer.accelerator", "cpu"]
    assert main([*config, *small, "--data.steps", "1"]) == 0
    assert "interval: step" in (RUN / "config.yaml").read_text()


def test_two_runs_do_not_share_a_folder(after_three, capfd):
    hold = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); print(); input()"
    command = [sys.executable, "-c", hold, str(RUN)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert fit(4, "--resume", "auto") == 2
        assert f"another run is writing to {RUN}: let it end" in error(capfd)
        other.communicate(b"\n")
    assert fit(4, "--resume", "auto") == 0


@pytest.mark.parametrize("command", ["fit", "validate"])
@pytest.mark.parametrize(
    ("where", "content", "line"),
    [
        ("file.ckpt", {"a": 1}, "is no checkpoint of `mentor fit`"),
        ("file.ckpt", Path("x"), "it holds more than tensors and plain values"),
        ("file://{}/file.ckpt", Path("x"), "a URL is not loaded from"),
    ],
    ids=["another's", "code", "code by URL"],
)
def test_what_is_no_checkpoint_is_one_line(where, content, line, command, small_project, capfd):
    torch.save(content, "file.ckpt")
    config = ["--config", str(ROOT / "configs/quickstart.yaml"), "--trainer.accelerator", "cpu"]
    assert main([command, *config, "--ckpt_path", where.format(small_project)]) == 2
    assert line in error(capfd)


@pytest.mark.parametrize("command", ["fit", "validate"])
def test_a_checkpoint_of_another_model_is_one_line(command, after_three, capfd):
    shutil.copytree("data/testbed/policy", "deeper")
    config = AutoConfig.from_pretrained("deeper")
    config.num_hidden_layers += 1
    AutoModelForCausalLM.from_config(config).save_pretrained("deeper")
    options = ("--model.policy", "deeper", "--ckpt_path", "last", "--trainer.accelerator", "cpu")
    changes = ("--resume_changes", "model", "data") if command == "fit" else ()
    assert main([command, "--config", str(ROOT / "configs/quickstart.yaml"), *options, *changes]) == 2
    assert "does not fit the configuration (Missing key(s) in state_dict" in error(capfd)


def test_a_disk_that_is_full_at_the_start_is_one_line_and_leaves_the_run_as_it_was(after_three, monkeypatch, capfd):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()}
    monkeypatch.setattr(os, "fsync", full)
    assert fit(4, "--resume", "auto") == 1
    assert f"the run's folder {RUN} cannot be written to (No space left on device)" in error(capfd)
    assert before == {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()}
