"""The overhead benchmark: parts that add up, its arithmetic by hand, and one step of each side."""

import json

import process
import pytest
import stopwatch
from overhead import figures_of
from overhead_report import draw, measured_table, per_token, ratio, records
from overhead_sides import Measured, quick_start, steps
from process import alone
from stopwatch import PARTS, Stopwatch
from two_processes import FORKING


class Time:
    """A clock that is told the time."""

    def __init__(self, monkeypatch):
        self.wall = self.processor = 0.0
        monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: self.wall)
        monkeypatch.setattr(stopwatch.time, "process_time", lambda: self.processor)

    def passes(self, wall, processor):
        self.wall += wall
        self.processor += processor


def test_a_part_within_a_part_counts_for_the_inner_one_alone(monkeypatch):
    time = Time(monkeypatch)
    watch = Stopwatch("cpu")
    time.passes(1, 0.5)
    with watch.part("update: forward, loss"):
        time.passes(2, 1)
        with watch.part("update: backward"):
            time.passes(4, 3)
        time.passes(8, 2)
    seconds = watch.take()
    assert seconds.wall == {"other": 1, "update: forward, loss": 10, "update: backward": 4}
    assert seconds.processor == {"other": 0.5, "update: forward, loss": 3, "update: backward": 3}
    assert not any(watch.take().wall.values())


def test_a_watched_function_that_fails_closes_its_part(monkeypatch):
    time = Time(monkeypatch)

    class Owner:
        def work(self, seconds):
            time.passes(seconds, seconds)
            raise KeyError(seconds)

    watch = Stopwatch("cpu")
    watch.watch(Owner, "work", "grading")
    with pytest.raises(KeyError):
        Owner().work(3)
    time.passes(1, 1)
    assert watch.take().wall == {"grading": 3, "other": 1}


def run(seconds, tokens=100.0, memory=2**20):
    """A process whose step took so long, three quarters of it decoding."""
    parts = {"policy decoding": 0.75 * seconds, "other": 0.25 * seconds}
    decode = {"mean w": 0.1, "replaced": 0.02, "expert_tokens": 0.5, "rolled_back": 0.01}
    decode |= {"lost, modelled": 0.02, "look-ahead": 4.0}
    return Measured(parts, parts, memory, tokens, {"policy decoding": 4e9}, decode)


RUNS = {"MENTOR": [run(3.0), run(5.0, 200.0), run(2.0)], "on-policy RL": [run(2.0), run(2.0), run(2.0)]}


def test_a_ratio_is_the_median_of_rounds():
    assert ratio(RUNS) == (1.5, 1.0, 2.5)
    assert per_token(RUNS) == 1.25  # 1.5, 1.25 of twice as many tokens, 1


def test_only_a_cpu_has_a_bar():
    assert figures_of("made to measure", RUNS, "cpu")[0].passed  # 1.5 is at the bar
    assert figures_of("quick start", {**RUNS, "MENTOR": [run(9.0)] * 3}, "cpu")[0].passed is False
    assert figures_of("quick start", RUNS, "cuda")[0].passed is None


def test_the_table_has_every_part_in_milliseconds():
    lines = measured_table(RUNS).splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2 : 2 + len(PARTS)]] == list(PARTS)
    assert lines[2] == "| policy decoding | 2,250.0 | 1,500.0 | 75% | 100% |"
    assert "| **a step** | **3,000** | **2,000** |  |  |" in lines


def test_bars_stand_on_one_step_of_on_policy_rl(tmp_path):
    sides = {"MENTOR": {"policy decoding": 3.0}, "on-policy RL": {"policy decoding": 1.5, "other": 0.5}}
    draw(tmp_path / "overhead.png", {"a case": sides})
    assert [path.name for path in tmp_path.iterdir()] == ["overhead.png"]
    assert (tmp_path / "overhead.png").read_bytes().startswith(b"\x89PNG")


def test_all_numbers_are_kept_a_line_for_each_process():
    text = records({"a case": RUNS}, settings={"cores": 2}, share=1 / 3)
    kept = json.loads(text)
    assert (kept["settings"], kept["share"]) == ({"cores": 2}, 0.33333)
    assert [(one["case"], one["side"], one["round"]) for one in kept["measured"]] == [
        ("a case", side, place) for side in RUNS for place in range(3)
    ]
    assert kept["measured"][1]["processor"] == {"policy decoding": 3.75, "other": 1.25}
    assert len(text.splitlines()) == len(kept["measured"]) + 6


def test_a_step_of_each_side_is_taken_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "get_context", lambda _: FORKING)  # which has everything imported
    case = quick_start(tmp_path)
    small = type(case)(case.name, {**case.options, "data.prompts_per_step": 2})
    guided, plain = (alone(steps, small, side, 0, 1, "cpu") for side in ("MENTOR", "on-policy RL"))
    assert set(guided.wall) == set(PARTS)
    for part in ("policy decoding", "expert verification", "prefill", "update: backward", "update: optimizer"):
        assert guided.processor[part] > 0, part
    assert plain.processor["expert verification"] == 0
    assert plain.flops["expert verification"] == 0
    assert 0 < guided.decode["mean w"] < 1
    assert guided.flops["update: backward"] == 2 * guided.flops["update: forward, loss"]
    assert json.dumps(guided.decode)
