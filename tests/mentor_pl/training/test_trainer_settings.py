"""A Trainer's setting that would do nothing, or harm, is refused with what to set in its place."""

import lightning.pytorch as L
import pytest
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping
from lightning.pytorch.callbacks import LambdaCallback, LearningRateMonitor, ModelCheckpoint

from callbacks import AlphaDecay, BenchmarkValidation, EarlyStopping, EntropyLogging, ExportPolicy, RunSummary
from mentor_pl.algorithms.parts.schedules import Constant
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.trainer_settings import MEASURING, SETTINGS, check_callbacks, check_settings

HARMFUL = {
    "max_epochs": (3, "data.steps"),
    "min_epochs": (1, "data.steps"),
    "max_steps": (7, "data.steps"),
    "min_steps": (7, "data.steps"),
    "limit_train_batches": (1, "data.steps"),
    "fast_dev_run": (True, "data.steps to 1"),
    "overfit_batches": (2, "a file of few problems"),
    "accumulate_grad_batches": (4, "model.micro_batch_tokens"),
    "gradient_clip_val": (1.0, "model.max_grad_norm"),
    "gradient_clip_algorithm": ("value", "model.max_grad_norm"),
    "val_check_interval": (10, "every_n_steps of callbacks.BenchmarkValidation"),
    "check_val_every_n_epoch": (2, "every_n_steps of callbacks.BenchmarkValidation"),
    "num_sanity_val_steps": (1, "at_start of callbacks.BenchmarkValidation"),
    "limit_val_batches": (1, "all benchmarks are measured"),
    "limit_test_batches": (0.5, "all benchmarks are measured"),
    "reload_dataloaders_every_n_epochs": (1, "leave it out"),
    "barebones": (True, "leave it out"),
    "use_distributed_sampler": (False, "leave it out"),
    "precision": ("64-true", "bf16-mixed or 32-true"),
}


def test_every_setting_of_the_table_is_tried():
    assert HARMFUL.keys() == SETTINGS.keys()
    assert set(MEASURING) <= SETTINGS.keys()


@pytest.mark.parametrize("name", HARMFUL)
def test_a_setting_that_harms_ends_the_run_before_anything_is_read_and_says_what_to_set(name, run):
    value, remedy = HARMFUL[name]
    quiet = {"logger": None, "enable_checkpointing": None, "enable_progress_bar": None, "enable_model_summary": None}
    more = quiet | {"log_every_n_steps": None} if name == "barebones" else {}
    job = run(trainer_options={**more, name: value}, data_options={"train": "nowhere.jsonl"})
    with pytest.raises(UsageError, match=rf"^trainer.{name} is {value} where only") as refusal:
        job.fit()
    assert remedy in str(refusal.value)


def test_a_trainer_as_lightning_makes_it_passes():
    check_settings(L.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False))


def test_settings_of_training_do_not_matter_to_a_measurement():
    trainer = L.Trainer(max_epochs=7, accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.state.fn = L.trainer.states.TrainerFn.VALIDATING
    check_settings(trainer)


@pytest.mark.parametrize(
    "twice",
    [
        (RunSummary(), RunSummary()),
        (AlphaDecay(), AlphaDecay(Constant(0.5))),
        (ExportPolicy("policy"), ExportPolicy("policy")),
        (EntropyLogging(), EntropyLogging()),
        (LearningRateMonitor(), LearningRateMonitor()),
        (EarlyStopping("train/a", "max"), EarlyStopping("train/a", "max", patience=7)),
    ],
    ids=lambda twice: type(twice[0]).__name__,
)
def test_one_callback_twice_is_refused_by_its_name(twice):
    with pytest.raises(UsageError, match=f"trainer.callbacks has {type(twice[0]).__name__} twice"):
        check_callbacks(twice)


def test_two_of_a_kind_that_do_different_things_pass():
    print_, log = lambda *_: print(), lambda *_: None
    check_callbacks([ExportPolicy("a"), ExportPolicy("b"), LambdaCallback(setup=print_), LambdaCallback(setup=log)])
    check_callbacks([EarlyStopping("train/a", "max"), EarlyStopping("train/b", "max")])


def test_an_early_stopping_that_would_never_look_is_refused_with_ours(run):
    check_callbacks([EarlyStopping("train/loss", "min")])
    job = run(callbacks=[LightningEarlyStopping("train/loss")])
    with pytest.raises(UsageError, match=r"of train/loss, .* take callbacks.EarlyStopping"):
        job.fit()


@pytest.mark.parametrize("watcher", [ModelCheckpoint(monitor="val/mase/avg@8"), EarlyStopping("val/mase/avg@8", "max")])
def test_a_metric_of_a_benchmark_that_is_not_measured_is_refused_with_those_that_are(watcher):
    name = type(watcher).__name__
    measured = BenchmarkValidation([Benchmark("maze"), Benchmark("sums")])
    with pytest.raises(UsageError, match=rf"{name} monitor is 'val/mase/avg@8', .* give val/maze/… or val/sums/…"):
        check_callbacks([measured, watcher])
    with pytest.raises(UsageError, match=r"is measured: give callbacks.BenchmarkValidation one"):
        check_callbacks([watcher])
