import csv
import os
import resource

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from mentor_pl.runtime.metrics_writer import MetricsWriter, keep_rows


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.fixture
def writer(tmp_path):
    writer = MetricsWriter(tmp_path, None)
    for step in (1, 2, 3):
        writer.log_metrics({"loss": torch.tensor(step / 2)}, step)
        writer.save()
    return writer


def test_rows_are_added_and_a_new_column_keeps_those_before(tmp_path, writer):
    writer.log_metrics({"val": 1.0}, 3)
    writer.save()
    assert rows(tmp_path) == [
        {"step": "1", "loss": "0.5"},
        {"step": "2", "loss": "1.0"},
        {"step": "3", "loss": "1.5", "val": "1.0"},
    ]


def test_a_step_told_of_in_parts_is_one_row(tmp_path, writer):
    for step, name in ((4, "loss"), (4, "val"), (5, "loss"), (5, "val"), (5, "loss"), (6, "val")):
        writer.log_metrics({name: step}, step)
        writer.save()
    writer.log_metrics({"loss": 6}, 6)
    writer.log_metrics({"loss": 7}, 7)
    writer.log_metrics({"val": 7}, 7)
    writer.save()
    both = [{"step": str(step), "loss": str(step), "val": str(step)} for step in (4, 5, 6, 7)]
    assert rows(tmp_path)[3:] == both
    assert [row["step"] for row in rows(tmp_path)[:3]] == ["1", "2", "3"]


def test_a_run_that_goes_on_adds_to_the_row_of_its_checkpoint(tmp_path, writer):
    again = MetricsWriter(tmp_path, last_step=2)
    for name, step in (("val", 2), ("loss", 3)):
        again.log_metrics({name: 9.0}, step)
        again.save()
    assert rows(tmp_path)[1:] == [{"step": "2", "loss": "1.0", "val": "9.0"}, {"step": "3", "loss": "9.0"}]


def test_a_run_that_goes_on_keeps_rows_up_to_its_checkpoint(tmp_path, writer):
    again = MetricsWriter(tmp_path, last_step=2)
    again.log_metrics({"loss": 9.0}, 3)
    again.save()
    assert [row["loss"] for row in rows(tmp_path)] == ["0.5", "1.0", "9.0"]


def test_a_new_run_begins_a_new_file(tmp_path, writer):
    again = MetricsWriter(tmp_path, last_step=None)
    again.log_metrics({"other": 1.0}, 1)
    again.save()
    assert rows(tmp_path) == [{"step": "1", "other": "1.0"}]


def test_a_row_that_a_kill_has_cut_is_dropped(tmp_path, writer):
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("2.5")
    again = MetricsWriter(tmp_path, last_step=9)
    again.log_metrics({"loss": 2.0}, 4)
    again.save()
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("step", [3, 4], ids=["the last row again", "a further row"])
@pytest.mark.parametrize("new_column", [False, True])
def test_a_full_disk_loses_no_row(tmp_path, writer, new_column, step):
    before = (tmp_path / "metrics.csv").read_bytes()
    writer.log_metrics({"loss": 2.125} | ({"val": 1.0} if new_column else {}), step)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 1, limits[1]))  # a byte fits, and the next one does not
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "metrics.csv").read_bytes() == before
    writer.log_metrics({"loss": 2.5}, 5)
    writer.save()
    expected = ["0.5", "1.0", "2.125", "2.5"] if step == 3 else ["0.5", "1.0", "1.5", "2.125", "2.5"]
    assert [row["loss"] for row in rows(tmp_path)] == expected


def test_a_file_that_was_deleted_is_not_begun_anew(tmp_path, writer):
    os.remove(tmp_path / "metrics.csv")
    writer.log_metrics({"loss": 2.0}, 4)
    with pytest.raises(FileNotFoundError):
        writer.save()


def test_a_csv_logger_writes_through_it(tmp_path, writer):
    logger = CSVLogger(tmp_path.parent, name=tmp_path.name, version="")
    keep_rows(logger, 2)
    logger.log_metrics({"loss": 7.0}, step=3)
    logger.log_hyperparams({"lr": 1})
    logger.save()
    assert [row["loss"] for row in rows(tmp_path)] == ["0.5", "1.0", "7.0"]
