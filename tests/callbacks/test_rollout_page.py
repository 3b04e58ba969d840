"""The page of a run is in its folder when the run ends, and loggers have it as far as they take it."""

import lightning.pytorch as L
import pytest
from boards import events, wandb_artifact

from callbacks import RolloutPage, RolloutRecord, rollout_page
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.signals import Stopped
from mentor_pl.training.checkpoints import run_folder

RUN = {"steps": 1, "data_options": {"prompts_per_step": 2}}


class Stop(L.Callback):
    """As a signal does behind the first step."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        raise Stopped(15, 1)


def job_of(run, *others, record=None, **options):
    callbacks = [RolloutPage(), record or RolloutRecord(), *others]
    return run(algorithm=Mentor(2, 2), callbacks=callbacks, trainer_options=options, **RUN)


def test_wandb_has_the_page_as_an_artifact_and_tensorboard_its_place(run, boards, tmp_path, capsys):
    loggers = boards()
    job_of(run, logger=loggers).fit()
    name = f"view-{loggers[1].experiment.id}"
    loggers[1].experiment.finish()
    page = tmp_path / "csv/run/version_0/view.html"
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert f"page           {page}" in capsys.readouterr().out

    found = wandb_artifact(tmp_path / "wandb", "page")
    assert found == (name, {"step": 1}, {"view.html": page.read_bytes()})

    (text,) = events(tmp_path / "tensorboard").Tensors("view/text_summary")
    assert text.step == 1
    assert f"`{page}`" in text.tensor_proto.string_val[0].decode()


def test_a_stopped_run_has_it_where_its_records_are_small(run, monkeypatch):
    job = job_of(run, Stop())
    with pytest.raises(Stopped):
        job.fit()
    assert (run_folder(job.trainer) / "view.html").is_file()

    monkeypatch.setattr(rollout_page, "QUICK", 100)
    job = job_of(run, Stop())
    job.trainer.logger._version = "large"
    with pytest.raises(Stopped):
        job.fit()
    assert [path.name for path in (run_folder(job.trainer)).iterdir() if path.name != "metrics.csv"] == ["rollouts"]


def test_a_page_that_cannot_be_written_is_named_and_the_run_ends_as_it_would(run, recwarn):
    class Block(L.Callback):
        def on_train_start(self, trainer, pl_module):
            (run_folder(trainer) / "view.html").mkdir(parents=True)

    job = job_of(run, Block())
    job.fit()
    assert job.module.steps_done == 1
    (said,) = [str(one.message) for one in recwarn if "RolloutPage" in str(one.message)]
    assert "view.html: the page cannot be written (Is a directory)" in said


def test_a_run_too_short_for_a_record_has_none(run):
    job = job_of(run, record=RolloutRecord(every_n_steps=5))
    job.fit()
    assert not (run_folder(job.trainer) / "view.html").exists()


def test_without_records_it_is_refused_before_training(run):
    with pytest.raises(UsageError, match=r"add callbacks\.RolloutRecord"):
        run(callbacks=[RolloutPage()], **RUN).fit()


def test_a_page_too_small_for_a_step_is_refused():
    with pytest.raises(UsageError, match="RolloutPage megabytes"):
        RolloutPage(megabytes=0.1)
