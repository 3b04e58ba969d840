"""Training ends when a metric no longer improves, whenever it is measured, and stays ended when it is resumed."""

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks import BenchmarkValidation, EarlyStopping, EntropyLogging
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.logging import log_once


class Scripted(BenchmarkValidation):
    """Measures what the test says."""

    def __init__(self, words, values, **options):
        super().__init__([words], **options)
        self.values = values

    def _measure(self, trainer, pl_module, step):
        return {"val/words/avg@2": self.values[step]}


class Scores(EntropyLogging):
    """Logs what the test says at each step."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        log_once(trainer, {"train/score": self.values[batch.step]}, step=batch.step + 1)


@pytest.fixture
def words(word_problems, count_word):
    from mentor_pl.decoding.params import SamplingParams
    from mentor_pl.evaluation.benchmark import Benchmark

    return Benchmark("words", str(word_problems), count_word, samples=2, sampling=SamplingParams(max_new_tokens=4))


def steps_of(job):
    return job.trainer.global_step // job.module.mini_batches


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_a_benchmark_that_stops_improving_ends_the_run_wherever_the_callback_stands(run, words, first):
    """Measured after 0, 2, 4, 6 steps; 4 and 6 are the second and third that are no better than the first."""
    measured = Scripted(words, {0: 0.5, 2: 0.6, 4: 0.6, 6: 0.3, 8: 0.9}, every_n_steps=2)
    stop = EarlyStopping("val/words/avg@2", "max", patience=2)
    job = run(steps=9, callbacks=[stop, measured] if first else [measured, stop])
    job.fit()
    assert steps_of(job) == 6


def test_a_metric_of_every_step_is_looked_at_every_step(run):
    job = run(
        steps=6, callbacks=[Scores([3.0, 2.0, 2.5, 2.5, 0.0, 0.0]), EarlyStopping("train/score", "min", patience=2)]
    )
    job.fit()
    assert steps_of(job) == 4


def test_a_better_metric_than_the_threshold_ends_the_run(run):
    stop = EarlyStopping("train/score", "max", stopping_threshold=0.8)
    job = run(steps=4, callbacks=[Scores([0.1, 0.9, 0.9, 0.9]), stop])
    job.fit()
    assert steps_of(job) == 2


def test_a_resumed_run_keeps_count_and_a_stopped_one_stays_so(run, tmp_path):
    """One step without improvement before the checkpoint and one behind it make the two of the patience."""

    def job():
        saved = ModelCheckpoint(tmp_path / "saved", save_last=True, save_top_k=-1, every_n_train_steps=2)
        callbacks = [Scores([1.0, 0.5, 0.5, 2.0]), EarlyStopping("train/score", "max", patience=2), saved]
        return run(steps=4, callbacks=callbacks, trainer_options={"enable_checkpointing": True})

    whole = job()
    whole.fit()
    assert steps_of(whole) == 3
    places = sorted((tmp_path / "saved").glob("epoch*.ckpt"), key=lambda path: int(path.stem.rpartition("=")[2]))
    after_two = job()
    after_two.fit(ckpt_path=places[1])
    assert steps_of(after_two) == 3
    stopped = job()
    stopped.fit(ckpt_path=places[2])
    assert steps_of(stopped) == 3


def test_patience_comes_from_the_configuration_and_not_from_the_checkpoint():
    stop = EarlyStopping("train/score", "max", patience=5)
    stop.load_state_dict(EarlyStopping("train/score", "max", patience=2).state_dict())
    assert stop.patience == 5


def test_a_benchmark_that_is_not_measured_is_refused_before_weights_are_loaded(run, words, monkeypatch):
    job = run(callbacks=[EarlyStopping("val/wrods/avg@2", "max"), Scripted(words, {})])
    monkeypatch.setattr(job.module, "configure_model", lambda: pytest.fail("weights were loaded"))
    with pytest.raises(
        UsageError, match=r"'val/wrods/avg@2', but no benchmark of that name is measured: give val/words/"
    ):
        job.fit()


def test_a_metric_that_a_benchmark_lacks_is_refused_at_its_first_measurement(run, words):
    job = run(callbacks=[EarlyStopping("val/words/avg@8", "max"), Scripted(words, {0: 0.5})])
    with pytest.raises(
        UsageError, match=r"'val/words/avg@8', but there is no such metric: give one such as val/words/avg@2"
    ):
        job.fit()
    assert job.trainer.global_step == 0


@pytest.mark.parametrize("monitor", ["train/on_policy/rewrad", "train/scroe", "mine/score"])
def test_another_metric_that_never_comes_is_refused_after_the_first_step(run, monitor):
    job = run(callbacks=[Scores([1.0] * 3), EarlyStopping(monitor, "max")])
    with pytest.raises(UsageError, match=f"'{monitor}', but there is no such metric"):
        job.fit()
    assert steps_of(job) == 1
