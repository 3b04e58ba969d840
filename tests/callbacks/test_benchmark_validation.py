import csv

import pytest

from callbacks import BenchmarkValidation
from mentor_pl.benchmarks import Benchmark, evaluate
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.sampling import Sampling
from mentor_pl.errors import UsageError


@pytest.fixture
def words(word_problems, count_word):
    return Benchmark("words", str(word_problems), count_word, samples=2, sampling=Sampling(max_new_tokens=6), limit=6)


def test_measures_before_training_every_n_steps_and_at_the_last_and_logs_nothing_in_between(run, words):
    job = run(steps=5, callbacks=[BenchmarkValidation([words], every_n_steps=2)])
    job.fit()
    with open(f"{job.trainer.log_dir}/metrics.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/words/avg@2"]]
    assert [int(row["step"]) for row in rows] == [0, 2, 4, 5]
    assert float(rows[-1]["val/words/avg@2"]) == pytest.approx(float(job.trainer.callback_metrics["val/words/avg@2"]))


def test_a_measurement_is_that_of_the_policy_as_it_is(run, words):
    """What is logged at the last step equals a measurement of the trained policy by hand."""
    job = run(steps=2, callbacks=[BenchmarkValidation([words], every_n_steps=2, at_start=False)])
    job.fit()
    again = evaluate(job.module.models, words, Naive(), seed=0)
    logged = {name.removeprefix("val/words/"): float(value) for name, value in job.trainer.callback_metrics.items()}
    assert {name: logged[name] for name in again} == pytest.approx(again)


def test_validate_measures_once(run, words):
    job = run(callbacks=[BenchmarkValidation([words])])
    (results,) = job.trainer.validate(job.module, job.data, verbose=False)
    assert results["val/words/pass@2"] >= results["val/words/avg@2"]


def test_measuring_changes_no_training(run, words, equal_weights):
    assert equal_weights(run().fit(), run(callbacks=[BenchmarkValidation([words], every_n_steps=1)]).fit())


def test_two_benchmarks_of_one_name_are_refused(words):
    with pytest.raises(UsageError, match="names must differ"):
        BenchmarkValidation([words, words])
    with pytest.raises(UsageError, match="every_n_steps is 0"):
        BenchmarkValidation([words], every_n_steps=0)
