"""What is said of steps that are not recorded, and of files that are no records."""

import pytest

from mentor_pl.records.reading import place_of, read_step, steps_of
from mentor_pl.records.schema import SCHEMA
from mentor_pl.records.writing import drop_behind, write_step
from mentor_pl.runtime.errors import UsageError


def test_steps_are_those_of_whole_files_in_order(tmp_path):
    assert steps_of(tmp_path) == []
    for step in (120, 3):
        write_step(tmp_path, step, SCHEMA.empty_table())
    (tmp_path / "rollouts/.step=000004.parquet.part").write_bytes(b"PAR1")
    assert steps_of(tmp_path) == [3, 120]
    assert read_step(tmp_path, 3).schema == SCHEMA


def test_a_step_without_a_record_is_named_with_those_that_have_one(tmp_path):
    with pytest.raises(UsageError, match=r"no record of step 2; it has none: train with callbacks.RolloutRecord"):
        read_step(tmp_path, 2)
    write_step(tmp_path, 3, SCHEMA.empty_table())
    with pytest.raises(UsageError, match=r"no record of step 2; it has steps 3$"):
        read_step(tmp_path, 2)


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more"])
def test_a_file_that_is_no_record_is_refused_in_one_line(tmp_path, content):
    place_of(tmp_path, 1).parent.mkdir()
    place_of(tmp_path, 1).write_bytes(content)
    with pytest.raises(UsageError, match=r"step=000001.parquet is no record of rollouts") as refused:
        read_step(tmp_path, 1)
    assert "\n" not in str(refused.value)


def test_a_file_of_other_columns_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    place_of(tmp_path, 1).parent.mkdir()
    with place_of(tmp_path, 1).open("wb") as file:
        pq.write_table(pa.table({"step": [1]}), file)
    with pytest.raises(UsageError, match="is no record of rollouts"):
        read_step(tmp_path, 1)


def test_records_behind_a_step_go_with_what_a_kill_left(tmp_path):
    for step in (1, 2, 3):
        write_step(tmp_path, step, SCHEMA.empty_table())
    unfinished = tmp_path / "rollouts/.step=000004.parquet.part"
    unfinished.write_bytes(b"PAR1")
    (tmp_path / "rollouts/notes.txt").write_text("mine")
    drop_behind(tmp_path, 1)
    assert sorted(path.name for path in (tmp_path / "rollouts").iterdir()) == ["notes.txt", "step=000001.parquet"]
