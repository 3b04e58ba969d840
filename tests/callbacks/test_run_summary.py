from pathlib import Path

import pytest

from callbacks import BenchmarkValidation, RunSummary
from callbacks.run_summary import readable
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.runtime.errors import UsageError


def test_the_picture_is_drawn_and_everything_is_named(run, word_problems, count_word, capsys):
    words = Benchmark(
        "words", str(word_problems), count_word, samples=2, sampling=SamplingParams(max_new_tokens=6), limit=6
    )
    job = run(steps=2, callbacks=[BenchmarkValidation([words], every_n_steps=2), RunSummary()])
    job.fit()
    folder = Path(job.trainer.log_dir)
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    for expected in (
        "val/words/avg@2",
        "cost/flops",
        f"{job.module.ledger.counts['sampled_tokens']:,} tokens",
        "FLOP",
        str(folder / "curves.png"),
        str(folder / "metrics.csv"),
    ):
        assert expected in printed
    assert "val/words/words/" not in printed  # the share of responses with a word: for figures


def test_a_run_without_benchmarks_has_no_empty_table(run, capsys):
    run(steps=1, callbacks=[RunSummary()]).fit()
    printed = capsys.readouterr().out
    assert "Trained in 0 min" in printed
    assert "measured" not in printed


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "tokens", "0 tokens"),
        (8888, "tokens", "8,888 tokens"),
        (1_234_567, "tokens", "1.23 M tokens"),
        (7.459e9, "FLOP", "7.46 GFLOP"),
        (3.4e12, "FLOP", "3.4 TFLOP"),
        (2e20, "FLOP", "200 EFLOP"),
    ],
)
def test_large_counts_are_readable(value, unit, text):
    assert readable(value, unit) == text


def test_a_resumed_run_is_drawn_with_those_it_continues(run, tmp_path):
    first = run(steps=1, callbacks=[RunSummary()])
    first.fit()
    state = first.trainer.callbacks[0].state_dict()
    assert state == {"earlier": [first.trainer.log_dir]}
    resumed = RunSummary()
    resumed.load_state_dict(state)
    second = run(steps=1, callbacks=[resumed])
    second.fit()
    assert resumed.state_dict() == {"earlier": [first.trainer.log_dir, second.trainer.log_dir]}


def test_without_a_csv_logger_it_is_refused_before_training(run):
    with pytest.raises(UsageError, match=r"add one to trainer\.logger"):
        run(callbacks=[RunSummary()], trainer_options={"logger": False}).fit()
