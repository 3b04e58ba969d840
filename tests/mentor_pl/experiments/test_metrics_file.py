import pytest

from mentor_pl.experiments.metrics_file import read_metrics
from mentor_pl.runtime.errors import UsageError


def test_rows_of_one_step_are_joined_and_empty_cells_left_out(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,a,b\n0,1.5,\n0,,2.5\n3,4,\n")
    assert read_metrics([tmp_path]) == {"a": {0: 1.5, 3: 4.0}, "b": {0: 2.5}}


def test_a_resumed_run_overrides_the_steps_it_repeats(tmp_path):
    for name, rows in {"first": "1,1\n2,2\n3,3\n", "second": "3,30\n4,40\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("step,a\n" + rows)
    assert read_metrics([tmp_path / "first", tmp_path / "second"]) == {"a": {1: 1, 2: 2, 3: 30, 4: 40}}


def test_a_folder_without_metrics_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"metrics\.csv: no such file"):
        read_metrics([tmp_path])
