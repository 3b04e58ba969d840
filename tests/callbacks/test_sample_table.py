"""Loggers are given the samples of a run, and what they were given is read back."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from boards import events, wandb_artifact, wandb_history, wandb_scalars
from matplotlib.colors import to_rgb
from PIL import Image
from runs import Batches

from callbacks import EntropyLogging, SampleTable
from callbacks.sample_table import COLUMNS
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.gates import EntropyGate
from mentor_pl.records.samples.colours import light
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.trainer_settings import check_callbacks

RUN = {"steps": 2, "data_options": {"prompts_per_step": 2}}


def mentor():
    return Mentor(2, 2, gate=EntropyGate(p=0.6))


def test_wandb_has_a_table_tensorboard_a_picture_and_both_the_scalars_of_the_run(run, boards, tmp_path):
    batches, loggers = Batches(), boards()
    callbacks = [EntropyLogging(), SampleTable(every_n_steps=2, rows=3), batches]
    run(algorithm=mentor(), callbacks=callbacks, trainer_options={"logger": loggers}, **RUN).fit()
    loggers[1].experiment.finish()

    (told,) = [row for row in wandb_history(tmp_path / "wandb") if "train/samples" in row]
    assert told["trainer/global_step"] == 2
    _, _, files = wandb_artifact(tmp_path / "wandb", "run_table")
    table = json.loads(files["train/samples.table.json"])
    assert table["columns"] == COLUMNS
    batch = batches.rollouts[1]
    for row, at in zip(table["data"], (0, 2, 4), strict=True):  # of each prompt the first of the policy and mixed
        facts = dict(zip(COLUMNS, row, strict=True))
        length = int(batch.response_lengths[at])
        assert facts["kind"] == ("mixture" if at == 2 else "policy")
        assert (facts["step"], facts["length"]) == (2, length)
        assert facts["reward"] == pytest.approx(float(batch.rewards[at]))
        assert facts["guided"] == pytest.approx(float(batch.guided[at].sum()) / length)
        assert facts["prompt"].split()
        html = files[facts["response"]["path"]].decode()
        assert html.startswith("<!doctype html>")
        assert "normalize.css" not in html  # W&B's own sheet, from the net
        replaced = int(batch.replaced[at].sum())
        assert html.count('<span class="replaced">') == replaced + bool(replaced)  # with the legend's
    assert batch.replaced[2].any()

    board = events(tmp_path / "tensorboard")
    (shown,) = board.Images("train/samples")
    assert shown.step == 2
    pixels = np.asarray(Image.open(io.BytesIO(shown.encoded_image_string)))
    replaced_colour = np.round(255 * np.array(to_rgb(light()["replaced"])))
    assert (pixels == replaced_colour).all(-1).sum() > 100

    scalars = wandb_scalars(tmp_path / "wandb")
    on_board = {name: {one.step: one.value for one in board.Scalars(name)} for name in board.Tags()["scalars"]}
    assert "train/mixed/guided" in scalars and "train/loss" in scalars
    with (tmp_path / "csv/run/version_0/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert scalars.keys() == on_board.keys() == rows[0].keys() - {"step"}
    for name, values in scalars.items():
        assert values == {int(row["step"]): float(row[name]) for row in rows if row[name]}
        assert on_board[name] == {step: float(np.float32(value)) for step, value in values.items()}


def test_a_board_that_fails_is_named_and_the_run_goes_on(run, boards, monkeypatch, recwarn):
    from callbacks import sample_table

    def fail(*_):
        raise OSError("no room")

    monkeypatch.setattr(sample_table, "picture", fail)
    job = run(
        algorithm=mentor(),
        callbacks=[SampleTable(every_n_steps=1)],
        trainer_options={"logger": [boards()[2]]},
        **RUN,
    )
    job.fit()
    assert job.module.steps_done == 2
    said = [str(one.message) for one in recwarn if "no room" in str(one.message)]
    assert len(said) == 1
    assert "TensorBoardLogger failed in train/samples" in said[0]


def test_without_a_board_it_says_so_and_does_nothing(run, caplog):
    job = run(steps=1, callbacks=[SampleTable(every_n_steps=1)])
    with caplog.at_level("INFO"):
        job.fit()
    assert "add a WandbLogger or a TensorBoardLogger" in caplog.text
    assert [path.name for path in Path(job.trainer.log_dir).iterdir()] == ["metrics.csv"]


def test_two_of_them_are_refused():
    with pytest.raises(UsageError, match="SampleTable"):
        check_callbacks([SampleTable(), SampleTable(rows=2)])


@pytest.mark.parametrize("settings", [{"every_n_steps": 0}, {"rows": 0}, {"rows": 101}])
def test_numbers_that_count_nothing_are_refused(settings):
    with pytest.raises(UsageError, match="SampleTable"):
        SampleTable(**settings)
