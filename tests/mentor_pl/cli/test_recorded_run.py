"""What is found of a recorded run: its weights of before a step, and classes of one's own."""

import sys

import pytest

from mentor_pl.cli.recorded_run import check_run, weights_before
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
