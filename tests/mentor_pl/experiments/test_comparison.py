import math

import pytest

from mentor_pl.experiments.comparison import Run, comparison_table, draw_comparison, mean_and_error, progress_table

RUNS = [
    Run("mentor", 2, 31.0, {"val/maze/avg@8": {0: 0.1, 20: 0.7}, "train/response_tokens": {1: 30.0, 2: 10.0}}),
    Run("mentor", 1, 29.0, {"val/maze/avg@8": {0: 0.1, 20: 0.5}, "train/response_tokens": {1: 20.0, 2: 60.0}}),
    Run("grpo", 1, 20.0, {"val/maze/avg@8": {0: 0.1, 20: 0.25}, "train/response_tokens": {1: 25.0}}),
]


def test_mean_and_standard_error_by_hand():
    # 1, 2, 6: mean 3, squared distances 4 + 1 + 9 = 14, variance 7, standard error √(7 / 3)
    assert mean_and_error([1.0, 2.0, 6.0]) == pytest.approx((3.0, math.sqrt(7 / 3)))
    mean, error = mean_and_error([4.0])
    assert mean == 4.0
    assert math.isnan(error)


def test_the_table_lists_every_seed_then_mean_and_error():
    lines = comparison_table(RUNS, ["val/maze/avg@8"]).splitlines()
    assert lines[0] == "| method | seed | val/maze/avg@8 | response tokens | seconds |"
    assert lines[2:5] == [
        "| mentor | 1 | 0.500 | 80 | 29 |",
        "| mentor | 2 | 0.700 | 40 | 31 |",
        "| **mentor** | mean ± s.e. | 0.600 ± 0.100 | 60 ± 20 | 30 ± 1.000 |",
    ]
    assert lines[5] == "| grpo | 1 | 0.250 | 25 | 20 |"


def test_the_table_by_step_has_what_all_runs_measured():
    lines = progress_table(RUNS[:2], ["val/maze/avg@8"]).splitlines()
    assert lines[0] == "| metric | method | step 0 | step 20 |"
    assert lines[2] == "| val/maze/avg@8 | mentor | 0.100 ± 0.000 | 0.600 ± 0.100 |"


def test_the_figure_has_a_panel_per_metric_and_a_line_per_method():
    panels = {"val/maze/avg@8": "Accuracy", "train/response_tokens": "Tokens", "not/logged": "Nothing"}
    figure = draw_comparison(RUNS, panels)
    accuracy, tokens, nothing = figure.axes[:3]
    assert [axes.get_title() for axes in (accuracy, tokens, nothing)] == ["Accuracy", "Tokens", "Nothing"]
    assert [list(line.get_ydata()) for line in accuracy.lines] == [
        pytest.approx([0.1, 0.6]),
        pytest.approx([0.1, 0.25]),
    ]
    assert not nothing.lines
