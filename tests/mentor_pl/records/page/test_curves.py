from __future__ import annotations

import pytest

from mentor_pl.records.page import curves
from mentor_pl.records.page.curves import curves_of
from mentor_pl.runtime.errors import UsageError

LOGGED = """step,train/on_policy/reward,train/mixed/reward,val/maze/avg@8,train/loss,train/gamma
1,0.1,,0.05,3,inf
2,0.25,0.5,,2,1.5
3,0.3,0.6"""


def test_each_kind_is_a_line_of_its_picture_and_what_is_cut_or_no_number_is_left_out(tmp_path) -> None:
    (tmp_path / "metrics.csv").write_text(LOGGED)
    assert curves_of(tmp_path) == [
        {"title": "reward", "lines": [
            {"name": "policy", "steps": [1, 2], "values": [0.1, 0.25]},
            {"name": "mixture", "steps": [2], "values": [0.5]}]},
        {"title": "accuracy", "lines": [{"name": "held out (maze)", "steps": [1], "values": [0.05]}]},
        {"title": "γ_p", "lines": [{"name": "γ_p", "steps": [2], "values": [1.5]}]},
    ]  # fmt: skip


def test_a_long_run_is_thinned_with_its_first_and_last_step(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(curves, "POINTS", 3)
    lines = [f"{step},{step / 10}" for step in range(1, 8)]
    (tmp_path / "metrics.csv").write_text("step,train/gamma\n" + "\n".join(lines))
    (picture,) = curves_of(tmp_path)
    assert picture["lines"] == [{"name": "γ_p", "steps": [1, 4, 7], "values": [0.1, 0.4, 0.7]}]


def test_a_run_without_metrics_has_no_curves_and_a_file_that_is_none_is_refused(tmp_path) -> None:
    assert curves_of(tmp_path) == []
    (tmp_path / "metrics.csv").write_text("step,train/gamma\nfive,1\n")
    with pytest.raises(
        UsageError, match=r"metrics.csv is no table of metrics \(invalid literal .*'five'\): move it away"
    ):
        curves_of(tmp_path)
