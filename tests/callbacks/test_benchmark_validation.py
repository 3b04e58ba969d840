import csv
import io
import json
import logging
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import WandbLogger
from rich.progress import Progress

from callbacks import BenchmarkValidation
from callbacks.benchmark_validation import _progress
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.data import BenchmarkDataModule
from mentor_pl.evaluation.evaluate import evaluate
from mentor_pl.runtime.errors import UsageError


class Terminal(io.StringIO):
    def isatty(self):
        return True


def validated(job):
    (callback,) = [one for one in job.trainer.callbacks if isinstance(one, BenchmarkValidation)]
    return job.trainer.validate(job.module, BenchmarkDataModule(callback.benchmarks), verbose=False)


@pytest.fixture
def words(word_problems, count_word):
    return Benchmark(
        "words", str(word_problems), count_word, samples=2, sampling=SamplingParams(max_new_tokens=6), limit=6
    )


def test_measures_before_training_every_n_steps_and_at_the_last_and_logs_nothing_in_between(run, words):
    job = run(steps=5, callbacks=[BenchmarkValidation([words], every_n_steps=2)])
    job.fit()
    with open(f"{job.trainer.log_dir}/metrics.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/words/avg@2"]]
    assert [int(row["step"]) for row in rows] == [0, 2, 4, 5]
    assert float(rows[-1]["val/words/avg@2"]) == pytest.approx(float(job.trainer.callback_metrics["val/words/avg@2"]))


def test_a_measurement_is_that_of_the_policy_as_it_is(run, words):
    """What is logged at the last step equals a measurement of the trained policy by hand."""
    job = run(steps=2, callbacks=[BenchmarkValidation([words], every_n_steps=2, at_start=False, words=["we", "the"])])
    job.fit()
    models = job.module.models
    prompts = words.load(models.tokenizer, models.vocabulary.window)
    again = evaluate(models, words, prompts, Naive(), seed=0, words=["we", "the"]).metrics
    assert again.keys() == {"avg@2", "pass@2", "length", "truncated", "entropy", "words/we", "words/the"}
    logged = {name.removeprefix("val/words/"): float(value) for name, value in job.trainer.callback_metrics.items()}
    assert {name: logged[name] for name in again} == pytest.approx(again)


@pytest.mark.parametrize(("prompt", "told"), [("walk", True), (None, False)])
def test_prompts_unlike_those_of_training_are_told(run, words, caplog, prompt, told):
    with caplog.at_level(logging.INFO):
        run(steps=1, callbacks=[BenchmarkValidation([replace(words, system_prompt=prompt)])]).fit()
    line = "benchmark words: system_prompt is 'walk', in training null: give the benchmark the same one to measure"
    assert (line in caplog.text) == told


def test_measuring_changes_no_training(run, words, equal_weights):
    assert equal_weights(run().fit(), run(callbacks=[BenchmarkValidation([words], every_n_steps=1)]).fit())


def test_validate_keeps_samples_and_prints_and_saves_the_table(run, words, tmp_path, capsys):
    def validate(sampler):
        job = run(callbacks=[BenchmarkValidation([words], sampler=sampler, out=str(tmp_path / "out"))])
        return validated(job)[0]

    def never(*given, **named):
        raise AssertionError("decoded again")

    results = validate(None)
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name.startswith("llama-")
    table = (folder / "results.md").read_text()
    assert table in capsys.readouterr().out
    saved = json.loads((folder / "results.json").read_text())["benchmarks"]["words"]
    assert saved["problems"] == 6
    for name, value in saved["metrics"].items():
        assert results[f"val/words/{name}"] == pytest.approx(value)
    assert len((folder / "words/samples.0.jsonl").read_text().splitlines()) == 6
    assert validate(never) == results


def test_each_benchmark_is_a_batch_and_the_table_has_those_that_were_measured(run, words, tmp_path):
    both = [words, replace(words, name="other")]
    out = str(tmp_path / "out")
    whole = run(callbacks=[BenchmarkValidation(both, out=out)])
    assert {name.split("/")[1] for name in validated(whole)[0]} == {"words", "other"}
    assert whole.trainer.num_val_batches == [2]
    callbacks = [BenchmarkValidation(both[:1], out=out), BenchmarkValidation(both[1:], out=out)]
    part = run(callbacks=callbacks, trainer_options={"limit_val_batches": 1})
    (metrics,) = part.trainer.validate(part.module, BenchmarkDataModule(both), verbose=False)
    assert {name.split("/")[1] for name in metrics} == {"words"}
    (results,) = (tmp_path / "out").glob("*/results.json")
    assert list(json.loads(results.read_text())["benchmarks"]) == ["words"]


def test_test_measures_as_validate_does(run, words, tmp_path):
    job = run(callbacks=[BenchmarkValidation([words], out=str(tmp_path / "out"))])
    tested = job.trainer.test(job.module, BenchmarkDataModule([words]), verbose=False)
    assert tested == validated(run(callbacks=[BenchmarkValidation([words], out=str(tmp_path / "again"))]))


def test_the_first_samples_are_a_table_in_wandb(run, words, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = WandbLogger(save_dir=tmp_path, project="test", offline=True)
    seen = []
    table = logger.log_table
    monkeypatch.setattr(
        logger, "log_table", lambda *given, **named: (seen.append((given, named)), table(*given, **named))
    )
    job = run(
        steps=2,
        callbacks=[BenchmarkValidation([words], every_n_steps=2, table_rows=3)],
        trainer_options={"logger": logger},
    )
    job.fit()
    logger.experiment.finish()
    assert [named["step"] for _, named in seen] == [0, 2]
    (key, columns, rows), _ = seen[1]
    assert (key, columns) == ("val/words/samples", ["step", "problem", "answer", "response", "correct"])
    assert [row[0] for row in rows] == [2, 2, 2]
    assert rows[0][1:3] == ["try the walk", "the"]
    assert list(tmp_path.rglob("media/table/val/words/samples_*.table.json"))


def test_benchmarks_are_checked_before_weights_are_loaded(run, words, tmp_path):
    for wrong, named in (
        (replace(words, name="other", path=str(tmp_path / "nowhere.jsonl")), r"nowhere\.jsonl: no such file"),
        (replace(words, name="other", sampling=SamplingParams(max_new_tokens=510)), "attends to 512 at most"),
    ):
        job = run(callbacks=[BenchmarkValidation([words, wrong])])
        with pytest.raises(UsageError, match=named):
            job.fit()
        assert job.module.policy is None


def test_rewards_are_closed_after_each_benchmark_and_at_the_end(run, words, count_word, tmp_path):
    told = []

    def sampler(*given, **named):
        told.append("decoded")
        return Naive()(*given, **named)

    count_word.close = lambda: told.append("closed")
    run(steps=1, callbacks=[BenchmarkValidation([words], at_start=False, sampler=sampler)]).fit()
    assert told == ["decoded", "closed"]
    told.clear()
    both = [words, replace(words, name="other")]
    job = run(callbacks=[BenchmarkValidation(both, sampler=sampler, out=str(tmp_path / "out"))])
    validated(job)
    assert told == ["decoded", "closed"] * 2 + ["closed"] * 2


def test_samples_of_other_settings_are_refused_before_any_benchmark_is_decoded(run, words, tmp_path):
    other = replace(words, name="other")

    def validate(*benchmarks):
        job = run(callbacks=[BenchmarkValidation(list(benchmarks), out=str(tmp_path / "out"))])
        validated(job)

    validate(other)
    with pytest.raises(UsageError, match="other: its samples were made with samples = 2, not 3"):
        validate(words, replace(other, samples=3))
    assert not list((tmp_path / "out").glob("*/words/samples*"))


def test_settings_that_cannot_work_are_refused(words):
    with pytest.raises(UsageError, match="names must differ"):
        BenchmarkValidation([words, words])
    with pytest.raises(UsageError, match="every_n_steps is 0"):
        BenchmarkValidation([words], every_n_steps=0)
    with pytest.raises(UsageError, match="no benchmarks"):
        BenchmarkValidation([])
    with pytest.raises(UsageError, match="give each once"):
        BenchmarkValidation([words], words=["a", "a"])


@pytest.mark.parametrize("own", [True, False], ids=["own bar", "the Trainer's"])
def test_the_bar_moves_with_every_problem(own, monkeypatch):
    """Lightning's bar draws itself when it is told to alone."""
    monkeypatch.setattr(sys, "stdout", Terminal())
    bar, drawn = RichProgressBar(), []
    bar.progress = None if own else Progress(auto_refresh=False)
    target = Progress if own else RichProgressBar
    monkeypatch.setattr(target, "refresh", lambda bar, *given, **named: drawn.append(bar))
    with _progress(SimpleNamespace(progress_bar_callback=bar, is_global_zero=True), "words") as show:
        before = len(drawn)
        show(1, 3)
        show(2, 3)
        assert len(drawn) >= before + 2
        before = len(drawn)
    assert len(drawn) > before  # and goes when all is done


def test_in_a_log_a_benchmark_has_lines_and_no_bar(run, words, caplog, capfd, monkeypatch):
    caplog.set_level(logging.INFO)
    for seconds in (0.0, 1e6):
        monkeypatch.setattr("callbacks.benchmark_validation._LINE_SECONDS", seconds)
        job = run(steps=1, callbacks=[BenchmarkValidation([words])], trainer_options={"enable_progress_bar": True})
        job.trainer.progress_bar_callback.disable()
        job.fit()
        lines = [
            record.getMessage() for record in caplog.records if record.getMessage().startswith("benchmark words: ")
        ]
        assert bool(lines) == (seconds == 0)
        assert all(re.fullmatch(r"benchmark words: \d+ of \d+ problems", line) for line in lines)
        caplog.clear()
    assert capfd.readouterr().out == ""


def test_the_table_is_not_broken_at_the_width_of_the_terminal(run, words, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    job = run(callbacks=[BenchmarkValidation([words], out=str(tmp_path / "out"))])
    validated(job)
    (folder,) = (tmp_path / "out").iterdir()
    assert (folder / "results.md").read_text() in capsys.readouterr().out
