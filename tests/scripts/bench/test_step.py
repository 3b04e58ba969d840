"""The training-step benchmark: its arithmetic by hand, and its own side at tiny sizes."""

import json
from argparse import Namespace
from importlib.metadata import PackageNotFoundError

import pytest
import step
from model import ALIKE, make_model, make_problems
from step import memory_figures, speed_bar, speed_figures
from step_memory import Cost, Update, chunked, plain
from step_sides import Measured, Work, grade, ours

TINY = {"prompts": 2, "group": 3, "new_tokens": 5, "warmup": 1, "steps": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "policy"
    make_model(folder, 50, 32, 1, 512)
    make_problems(folder / "problems.jsonl", 8, 50, 2, 4)
    return folder


def seconds(*values):
    """A process whose steps took so long; half of it sampling, 3 MiB."""
    return Measured(values, [value / 2 for value in values], 3 * 2**20, 5)


def test_speed_is_the_median_round_of_median_steps(folder):
    work = Work(folder, **TINY)  # 6 rollouts a step
    pairs = [
        (seconds(1, 2, 9), seconds(4, 6, 5)),  # 3 and 1.2 a second: ratio 2.5
        (seconds(1, 1, 1), seconds(3, 3, 3)),  # 6 and 2: ratio 3
        (seconds(3, 3, 3), seconds(2, 2, 2)),  # 2 and 3: ratio ⅔
    ]
    figures = {figure.name: figure for figure in speed_figures(pairs, work, 2.0)}
    assert figures["samples per second, ours ÷ TRL"].value == pytest.approx(2.5)
    assert figures["samples per second, ours ÷ TRL"].passed
    assert figures["samples per second, ours"].value == 3
    assert figures["samples per second, TRL"].value == 2
    assert figures["peak memory of a step, TRL"].value == 3


def test_without_trl_the_ratio_is_not_measured_and_ours_is(folder):
    figures = {figure.name: figure for figure in speed_figures([(seconds(1, 2, 9), None)], Work(folder, **TINY), 2.0)}
    assert figures["samples per second, ours ÷ TRL"].value is None
    assert figures["samples per second, ours"].value == 3
    assert not any(name.endswith(", TRL") for name in figures)


def test_rollouts_of_another_length_are_no_comparison(folder):
    short = Measured([1.0], [0.5], 1, 4.5)
    with pytest.raises(RuntimeError, match=r"TRL: rollouts of 4.5 tokens on average, not of 5"):
        speed_figures([(seconds(1), short)], Work(folder, **TINY), 2.0)


def test_memory_is_a_ratio_of_updates_with_one_gradient():
    ratio, *_ = memory_figures(Cost(2**20, 1.0, 0.5), Cost(2**23, 1.0, 0.5))
    assert ratio.value == 0.125
    assert ratio.passed
    with pytest.raises(RuntimeError, match=r"gradient norm 0.5 through chunks, 0.6"):
        memory_figures(Cost(2**20, 1.0, 0.5), Cost(2**23, 1.0, 0.6))


def test_the_grade_is_the_share_of_new_words():
    assert grade("a b a c", "w0") == 0.75
    assert grade("", "w0") == 0


def test_a_share_of_the_problems_has_no_signal(tmp_path):
    make_problems(tmp_path / "problems.jsonl", 10, 50, 2, 4, without_signal=0.3)
    answers = [json.loads(line)["answer"] for line in (tmp_path / "problems.jsonl").open()]
    assert answers.count(ALIKE) == 3
    assert grade("a b a c", ALIKE) == grade("a b", ALIKE) == 0


def test_our_side_trains_rollouts_of_equal_length(folder):
    measured = ours(Work(folder, **TINY), 64)
    assert measured.length == 5
    assert len(measured.seconds) == len(measured.sampling) == 2
    assert all(0 < part < whole for part, whole in zip(measured.sampling, measured.seconds, strict=True))
    assert measured.memory >= 0


def test_chunks_and_full_logits_give_one_gradient(folder):
    update = Update(folder, 2, 7, "cpu")
    assert chunked(update).norm == pytest.approx(plain(update).norm, rel=1e-5)


def test_a_whole_run_without_trl_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(step, "version", missing)
    monkeypatch.setattr(step, "alone", lambda function, *arguments: function(*arguments))
    sizes = (
        "--rounds 1 --steps 1 --warmup 1 --prompts 2 --group 2 --new-tokens 4 --vocabulary 50 --hidden 32 --layers 1"
    )
    sizes += " --memory-vocabulary 20000 --memory-hidden 32 --memory-rows 2 --memory-tokens 32 --tokens 64 --trl-rows 2"
    report = tmp_path / "figures.json"
    monkeypatch.setattr("sys.argv", ["step.py", *sizes.split(), "--check", "--json", str(report)])
    assert step.main() == 1
    assert "pip install -e '.[bench]'" in capsys.readouterr().out
    figures = {row["name"]: row for row in json.loads(report.read_text())["figures"]}
    assert figures["samples per second, ours"]["value"] > 0
    assert figures["samples per second, ours ÷ TRL"]["value"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trl-rows", "3"], "--trl-rows 3 does not divide the 64 rollouts"),
        (["--warmup", "0"], "--warmup is 0"),
    ],
)
def test_sizes_that_cannot_be_measured_are_refused(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["step.py", *arguments])
    with pytest.raises(SystemExit):
        step.parse()
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("prompts", "rows"), [("16", [16, 32, 64]), ("4", [16]), ("2", [8]), ("3", [12])])
def test_micro_batches_that_were_not_asked_for_are_those_that_divide(prompts, rows, monkeypatch):
    monkeypatch.setattr("sys.argv", ["step.py", "--prompts", prompts])
    assert step.parse().trl_rows == rows


@pytest.mark.parametrize(
    ("without_signal", "prompt_tokens", "bar"),
    [(0.0, (64, 192), 2.5), (0.0, (16, 48), 2.0), (0.5, (64, 192), 3.0), (0.5, (16, 48), 3.0)],
)
def test_the_bar_is_that_of_the_prompts_and_of_the_signal(without_signal, prompt_tokens, bar):
    assert speed_bar(Namespace(without_signal=without_signal, prompt_tokens=prompt_tokens)) == bar
