"""A run says once, in words, what its metrics show to be going wrong, also when it is resumed, whatever logs it."""

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks import EntropyLogging, FailureSignatures, RunSummary
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.sft import SFT
from mentor_pl.experiments.diagnosis.limits import Limits
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.logging import log_once

SOON = Limits(streak=2)


class Never(Reward):
    """Nothing is right."""

    range = (0.0, 1.0)

    def grade(self, prompt, response):
        return Grade(0.0, {"outcome": 0.0})


def signatures(**options):
    return FailureSignatures(limits=SOON, **options)


def warned(caught):
    return [one.getMessage() for one in caught.records if one.name == "callbacks.failure_signatures"]


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_a_run_in_which_nothing_is_right_says_so_once_without_any_logger(run, caplog, first):
    watch = signatures()
    callbacks = [watch, EntropyLogging()] if first else [EntropyLogging(), watch]
    options = {"data_options": {"reward": Never()}, "trainer_options": {"logger": False}}
    run(steps=4, algorithm=GRPO(4), callbacks=callbacks, **options).fit()
    right = [words for words in warned(caplog) if "nothing is right" in words]
    assert len(right) == 1
    assert right[0].startswith("step 2: nothing is right: train/on_policy/outcome was 0 for 2 steps in a row")
    assert "no group has signal" not in " ".join(warned(caplog))


def test_a_run_in_which_all_goes_well_says_nothing(run, caplog):
    run(steps=4, algorithm=GRPO(4), callbacks=[EntropyLogging(), FailureSignatures()]).fit()
    assert warned(caplog) == []


def test_the_summary_repeats_what_was_warned_of(run, capsys):
    callbacks = [EntropyLogging(), signatures(), RunSummary()]
    run(steps=2, algorithm=GRPO(4), callbacks=callbacks, data_options={"reward": Never()}).fit()
    assert "warned at step 2: nothing is right" in capsys.readouterr().out


def test_a_resumed_run_goes_on_counting_and_says_nothing_twice(run, tmp_path, caplog):
    """Two steps without anything right: one before the checkpoint, one behind it."""

    def job(steps):
        saved = ModelCheckpoint(tmp_path / "saved", save_last=True, save_top_k=-1, every_n_train_steps=2)
        return run(
            steps=steps,
            algorithm=GRPO(4),
            callbacks=[EntropyLogging(), watch, saved],
            data_options={"reward": Never()},
            trainer_options={"enable_checkpointing": True},
        )

    watch = signatures()
    job(3).fit()
    places = sorted((tmp_path / "saved").glob("epoch*.ckpt"), key=lambda path: int(path.stem.rpartition("=")[2]))
    said = dict(watch.said)
    for place, count in ((places[0], 1), (places[1], 0)):
        caplog.clear()
        watch = signatures()
        job(3).fit(ckpt_path=place)
        assert len(warned(caplog)) == count
        assert watch.said == said


def test_alpha_of_a_method_that_does_not_use_it_is_not_looked_at(run, caplog):
    class Slides(EntropyLogging):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            log_once(trainer, {"val/words/avg@2": [0.7, 0.1][batch.step]}, step=batch.step + 1)

    watch = FailureSignatures()
    job = run(steps=2, algorithm=GRPO(4), callbacks=[Slides(), watch])
    job.fit()
    assert "accuracy slides" in caplog.text
    assert "train/alpha" not in watch.state_dict()["seen"]


def test_the_state_holds_numbers_and_texts_alone(tmp_path):
    watch = FailureSignatures()
    watch._seen, watch.said = {"train/alpha": {1: 0.5}}, {"no_signal": "step 1: …"}
    torch.save(watch.state_dict(), tmp_path / "state")
    other = FailureSignatures()
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert other.state_dict() == watch.state_dict()


def test_what_is_not_watched_is_said_at_the_start(run, caplog):
    with caplog.at_level("INFO"):
        run(steps=1, callbacks=[FailureSignatures()]).fit()
    assert "FailureSignatures does not watch entropy beside on-policy RL's (give its run as baseline), rollouts (" in (
        caplog.text
    )


def test_a_baseline_is_a_run_folder_or_its_file_and_must_have_entropy(run, tmp_path):
    base = run(steps=1, algorithm=GRPO(4), callbacks=[EntropyLogging()])
    base.fit()
    for place in (base.trainer.log_dir, f"{base.trainer.log_dir}/metrics.csv"):
        watch = FailureSignatures(place)
        watch.setup(None, None, "fit")
        assert list(watch._theirs["train/on_policy/entropy"]) == [1]
    (tmp_path / "metrics.csv").write_text("step,train/loss\n1,0.5\n")
    with pytest.raises(UsageError, match=r"has no train/on_policy/entropy: give a run of on-policy RL"):
        FailureSignatures(str(tmp_path)).setup(None, None, "fit")
    with pytest.raises(UsageError, match="no such file"):
        FailureSignatures("nowhere").setup(None, None, "fit")


def test_the_share_of_groups_without_signal_is_logged_where_nothing_is_learned_without_one(run, traced_problems):
    job = run(steps=1, algorithm=GRPO(4), data_options={"reward": Never()})
    job.fit()
    assert job.trainer.callback_metrics["train/without_signal"] == 1
    assert job.trainer.callback_metrics["train/rollouts"] == 16
    options = {"train": str(traced_problems)}
    other = run(steps=1, algorithm=SFT(), data_options=options, module_options={"expert": None})
    other.fit()
    assert "train/without_signal" not in other.trainer.callback_metrics
