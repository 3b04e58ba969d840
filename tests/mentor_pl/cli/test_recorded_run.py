"""What is found of a recorded run: its weights of before a step, and classes of one's own."""

import sys

import pytest
from small_fit import RUN, fit

from mentor_pl.cli.main import main
from mentor_pl.cli.recorded_run import check_run, models_of, weights_before
from mentor_pl.models.fingerprint import fingerprint
from mentor_pl.records.reading import read_step
from mentor_pl.runtime.errors import UsageError


def test_classes_of_the_current_folder_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    check_run(tmp_path)
    check_run(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1
    assert sys.path[-1] == str(tmp_path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, r"config.yaml cannot be read"),
        ("- a list", r"config.yaml is no configuration"),
        ("model: {policy: a}\nckpt_path: other/step=4.ckpt", r"began from other/step=4.ckpt: keep more checkpoints"),
    ],
)
def test_a_run_whose_weights_are_not_known_is_refused_in_one_line(tmp_path, text, line):
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UsageError, match=line) as refused:
        weights_before(tmp_path, 3)
    assert "\n" not in str(refused.value)


def test_a_run_without_checkpoints_has_the_weights_of_its_start(tmp_path):
    (tmp_path / "config.yaml").write_text("model: {policy: a}")
    before = weights_before(tmp_path, 3)
    assert (before.checkpoint, before.done, before.words) == (None, 0, "the run's start")


def test_a_run_of_adapters_goes_on_is_replayed_and_its_policy_is_found_again(small_project, capfd):
    pytest.importorskip("peft", reason="peft is not installed: pip install mentor-pl[lora]")
    options = ["--model.adapter.rank", "2", "--trainer.callbacks+=callbacks.RolloutRecord"]
    assert fit(2, *options, every=1) == 0
    assert fit(3, *options, "--resume", "auto", every=1) == 0
    assert main(["replay", str(RUN), "--step", "3"]) == 0
    assert "the weights are those of step=3.ckpt, bit for bit" in capfd.readouterr().out
    sampled_by = read_step(RUN, 3)["weights"][0].as_py()
    assert fingerprint(models_of(weights_before(RUN, 3)).policy) == sampled_by
    assert fingerprint(models_of(weights_before(RUN, 1)).policy) != sampled_by
