"""The GPU benchmark on a CPU: every line at tiny shapes under both kinds of cache, and what becomes of failures."""

import json
from dataclasses import replace
from types import SimpleNamespace

import gpu
import gpu_guided
import gpu_steps
import gpu_vllm
import process
import pytest
import torch
from child_environment import ROOT
from gpu import LINES, Line
from gpu_setup import TINY, Setup
from gpu_steps import COMPILED, STEP, StepTime, bytes_read, step_time
from process import streamed
from report import Figure, filled
from rollout_work import Work
from two_processes import FORKING

from mentor_pl.decoding.engine.stats import DecodeStats

BY_NAME = {line.name: line for line in LINES}


@pytest.fixture
def setup(tmp_path):
    return Setup("cpu", True, 16, str(tmp_path))


@pytest.fixture
def here(monkeypatch):
    """Lines run in this process, and what is repeated for a median runs once."""
    monkeypatch.setattr(gpu, "streamed", lambda function, seconds, log, *arguments: function(*arguments))
    for module in (gpu_guided, gpu_vllm):
        monkeypatch.setattr(module, "REPEATS", 1)


def run(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["gpu.py", "--device", "cpu", "--tiny", *map(str, words)])
    return gpu.main()


def figures_of(path):
    return {figure["name"]: figure for figure in json.loads(path.read_text())["figures"]}


@pytest.mark.parametrize("page", [0, 16])
def test_every_line_gives_its_figures_under_both_kinds_of_cache(page, here, monkeypatch, tmp_path, capsys):
    report, text = tmp_path / "gpu.json", tmp_path / "page.md"
    text.write_text("before\n<!-- gpu -->\nnothing yet\n<!-- end -->\nafter\n")
    # a Trainer leaves traces: in a process below; a compiler takes its time: marked slow
    lines = [name for name in BY_NAME if name not in ("memory", "compiled")]
    status = run(monkeypatch, "--page-tokens", page, "--json", report, "--page", text, "--lines", *lines)
    found = figures_of(report)
    skipped = {name for name, figure in found.items() if figure["value"] is None}
    assert skipped == {"one-pass kernel", gpu_vllm.VLLM, "steps recorded inside gathered(), share",
                       "pages gathered ÷ read in place, time of a step"}  # fmt: skip
    assert not [figure["detail"] for figure in found.values() if "Error" in figure["detail"]]
    assert found["equal tokens inside gathered(), recorded and not"]["value"] == 1
    assert 0 <= found["log-probability gap, mean"]["value"] < 1e-5
    assert found["sampling ratio, mean"]["value"] == pytest.approx(1, abs=1e-4)
    assert found["NaN or infinite in 10⁴ steps"]["value"] == 0
    assert found["naive ÷ coin, time, 7B under 7B"]["value"] > 0
    assert "mean w 0.0" in found[gpu_guided.COIN.name]["detail"]
    assert status == 0
    assert text.read_text().startswith("before\n<!-- gpu -->\n| figure | value |")
    assert text.read_text().endswith("<!-- end -->\nafter\n")
    assert "tiny shapes" in capsys.readouterr().out


def test_three_steps_are_trained_beside_their_estimate(setup, monkeypatch, tmp_path):
    monkeypatch.setattr(process, "get_context", lambda _: FORKING)  # which has everything imported
    held, ratio = streamed(BY_NAME["memory"].measure, 500, tmp_path / "log", setup)
    assert held.value > 0
    assert held.detail.startswith("16 rollouts of 12 tokens")
    assert ratio.value > 0
    assert "optimizer states (always)" in ratio.detail


def test_a_line_that_fails_costs_no_other_and_what_is_there_is_written_at_once(here, monkeypatch, tmp_path, capsys):
    report = tmp_path / "gpu.json"

    def good(setup):
        yield Figure("first", 1.0)

    def bad(setup):
        assert set(figures_of(report)) == {"first"}
        yield Figure("half", 2.0)
        assert set(figures_of(report)) == {"first", "half"}
        raise ValueError("no\nsuch kernel")

    def last(setup):
        assert set(figures_of(report)) == {"first", "half", "whole"}
        yield Figure("third", 3.0)

    lines = [Line("a", good, Figure("first", None)), Line("b", bad, Figure("whole", None, "", 1.5, "at most")),
             Line("c", last, Figure("third", None))]  # fmt: skip
    monkeypatch.setattr(gpu, "LINES", lines)
    assert run(monkeypatch, "--json", report, "--check") == 1
    found = figures_of(report)
    assert [found[name]["value"] for name in ("first", "half", "whole", "third")] == [1, 2, None, 3]
    assert found["whole"]["detail"] == "ValueError: no such kernel"
    assert "below its bar: whole is not measured, must be at most 1.5" in capsys.readouterr().out


def test_a_line_that_fails_behind_its_main_figure_keeps_it(here, monkeypatch, tmp_path):
    def bad(setup):
        yield Figure("whole", 1.0)
        raise ValueError("late")

    monkeypatch.setattr(gpu, "LINES", [Line("b", bad, Figure("whole", None))])
    run(monkeypatch, "--json", tmp_path / "gpu.json")
    assert {name: figure["value"] for name, figure in figures_of(tmp_path / "gpu.json").items()} == {
        "whole": 1,
        "b: the rest": None,
    }


def test_lines_behind_the_budget_are_said_not_to_be_reached(here, monkeypatch, tmp_path, capsys):
    assert run(monkeypatch, "--budget", 0, "--json", tmp_path / "gpu.json", "--check") == 1
    found = figures_of(tmp_path / "gpu.json")
    assert set(found) == {line.main.name for line in LINES}
    assert {figure["detail"] for figure in found.values()} == {"not reached in the 0 s of the budget"}
    below = {line.split(" is ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("below")}
    assert below == {f"below its bar: {name}" for name in (STEP.name, COMPILED.name, gpu_guided.COIN.name)}


def test_a_line_has_time_of_its_own_and_no_more_than_is_left(monkeypatch, capsys):
    had = []
    monkeypatch.setattr(gpu, "streamed", lambda function, seconds, log, *arguments: had.append(seconds) or [])
    monkeypatch.setattr(gpu, "LINES", [Line("a", iter, STEP, 5.0), Line("b", iter, STEP, 1e6)])
    run(monkeypatch, "--budget", "100")
    assert had[0] == 5
    assert 0 < had[1] <= 100


def test_the_documentation_has_a_place_for_the_table():
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    table = gpu.markdown([Figure("copy bandwidth", 2500.0, "GB/s", detail="a card")])
    assert "| copy bandwidth | 2,500 GB/s |  | a card |\n<!-- end -->" in filled(page, {gpu.MARK: table})


@pytest.mark.parametrize(
    ("words", "message"), [((), "torch sees no GPU here"), (("--device", "cpu"), "--device is cpu, which")]
)
def test_a_machine_without_a_gpu_is_told_how_to_try(words, message, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu.py", *words])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.parse()
    assert message in capsys.readouterr().err


# ---------------------------------------------------------------- figures by hand


def test_a_step_reads_the_weights_but_the_input_embedding_and_the_places_of_all_rows(setup):
    policy = setup.models(TINY, 16).policy
    # a layer: 4,160 + 2 · 2,080 + 4,096 of attention, 24,576, two norms of 64; two layers, a norm, a head of 512 · 64
    weights = 2 * (4160 + 2 * 2080 + 4096 + 24576 + 128) + 64 + 512 * 64
    place = 2 * 2 * 2 * 16  # keys and values, layers, key heads, their size
    assert bytes_read(policy, 3, 10) == 4 * (weights + 3 * 10 * place)


def test_a_steps_time_is_the_median_between_two_waits(setup, monkeypatch):
    monkeypatch.setattr(gpu_steps, "time", SimpleNamespace(perf_counter=iter([1.0, 10.0, 12.0, 14.0]).__next__))
    taken = step_time(setup, setup.work(setup.models(TINY, 16), 2, 3, 4))
    assert (taken.seconds, taken.syncs) == (2.0, 4)
    assert taken.stats.policy_forwards == 4


@pytest.mark.parametrize(("seconds", "passed"), [(3.0, True), (3.1, False)])
def test_steps_are_held_against_the_roofline(seconds, passed, setup, monkeypatch):
    monkeypatch.setattr(gpu_steps, "bandwidth", lambda _: 50)
    monkeypatch.setattr(gpu_steps, "bytes_read", lambda *_: 100)
    stats = DecodeStats(policy_forwards=8, graphed=6)
    monkeypatch.setattr(gpu_steps, "step_time", lambda *_: StepTime(seconds, 9, stats))
    by_rows = {figure.name: figure for figure in BY_NAME["steps"].measure(setup)}
    assert by_rows[STEP.name].passed is passed
    assert by_rows[STEP.name].value == seconds / 2
    assert "75% recorded" in by_rows[STEP.name].detail
    assert by_rows["step ÷ roofline, 1.5B, 8 rows"].passed is None


@pytest.mark.parametrize(("seconds", "passed"), [(3.0, True), (3.1, False)])
def test_compiled_steps_are_held_against_the_roofline_and_plain_ones(seconds, passed, setup, monkeypatch):
    monkeypatch.setattr(gpu_steps, "bandwidth", lambda _: 50)
    monkeypatch.setattr(gpu_steps, "bytes_read", lambda *_: 100)
    taken = {(): 6.0, (("torch_compile", True),): seconds}

    def timed(setup, task, **options):
        return StepTime(taken[tuple(options.items())], 9, DecodeStats(policy_forwards=8, graphed=6))

    monkeypatch.setattr(gpu_steps, "step_time", timed)
    held, beside = BY_NAME["compiled"].measure(setup)
    assert (held.value, held.passed) == (seconds / 2, passed)
    assert beside.value == 6.0 / seconds


@pytest.mark.slow
def test_steps_are_compiled_and_timed(setup):
    """Takes a C++ compiler and a minute."""
    held, beside = BY_NAME["compiled"].measure(setup)
    assert held.value > 0
    assert beside.value > 0


def test_numbers_that_are_none_are_counted(setup, monkeypatch):
    sample = Work.sample

    def spoilt(task, *arguments):
        samples = sample(task, *arguments)
        logprobs, entropies = samples.logprobs.clone(), samples.entropies.clone()
        logprobs[5, :2], entropies[0, 0] = torch.nan, torch.inf
        return replace(samples, logprobs=logprobs, entropies=entropies)

    monkeypatch.setattr(Work, "sample", spoilt)
    (figure,) = BY_NAME["numbers"].measure(setup)
    assert figure.value == 3
    assert figure.passed is False


def test_models_in_bfloat16_keep_the_angles_of_their_positions(setup):
    policy = setup.models(TINY, 16, torch.bfloat16).policy
    assert policy.lm_head.weight.dtype == torch.bfloat16
    assert policy.model.rotary_emb.inv_freq.dtype == torch.float32
