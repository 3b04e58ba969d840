"""What a run leaves of its rollouts: read back it is what the update learned from, however the run ended."""

from dataclasses import fields
from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from runs import Batches
from torch import Tensor

from callbacks import RolloutRecord
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.gates import EntropyGate
from mentor_pl.models.fingerprint import fingerprint
from mentor_pl.records.reading import place_of, read_step, steps_of
from mentor_pl.records.rollouts import rollouts_of
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.whole_files import unfinished_of
from mentor_pl.training.checkpoints import RunCheckpoints, run_folder
from mentor_pl.types import Alternatives

COSTS = {"seconds", "decoding", "counts"}  # of the step, which a record does not have


class Outputs(L.Callback):
    """Keeps what callbacks are handed of each step."""

    def __init__(self):
        self.advantages, self.weights = [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.weights.append(fingerprint(pl_module.policy))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.advantages.append(outputs["advantages"])


def mentor():
    return Mentor(2, 2, gate=EntropyGate(p=0.6))


@pytest.fixture(scope="module")
def options():
    return {"steps": 3, "data_options": {"prompts_per_step": 2}}


@pytest.fixture
def recorded(run, options):
    """(folder, batches, outputs) of a run of three steps with a record of each."""

    def train(**settings):
        batches, outputs = Batches(), Outputs()
        job = run(algorithm=mentor(), callbacks=[RolloutRecord(**settings), batches, outputs], **options)
        job.fit()
        return Path(run_folder(job.trainer)), batches.rollouts, outputs

    return train


def same(one, other):
    """Whether two values of rollouts' fields are one."""
    if isinstance(one, Tensor):
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and torch.equal(one.nan_to_num(7), other.nan_to_num(7))
        )
    if isinstance(one, Alternatives):
        return all(map(same, vars(one).values(), vars(other).values()))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    return one == other


def test_what_is_read_back_is_what_was_learned_from(recorded):
    folder, batches, outputs = recorded()
    assert steps_of(folder) == [1, 2, 3]
    for step, batch in enumerate(batches, start=1):
        table = read_step(folder, step)
        back = rollouts_of(table)
        for one in fields(back):
            if one.name not in COSTS:
                assert same(getattr(batch, one.name), getattr(back, one.name)), one.name
        assert batch.alternatives is not None
        assert batch.replaced.any()
        rows = table.to_pylist()
        assert {row["weights"] for row in rows} == {outputs.weights[step - 1]}
        assert len(set(outputs.weights)) == 3
        for row, expected in zip(rows, outputs.advantages[step - 1], strict=True):
            assert row["advantages"] == pytest.approx([float(expected)] * row["length"])
            assert (row["step"], row["alpha"], row["gamma"]) == (step, batch.alpha, batch.gamma)
            if row["origin"] == "mixture":
                assert row["guided"] == [v <= w for v, w in zip(row["coins"], row["gate_weights"], strict=True)]
            else:
                assert row["coins"] == []
            assert "".join(row["pieces"]) != ""
            assert row["answer"] == "the"
            assert row["prompt"].split()[-3:] == row["problem_text"].split()


def test_every_second_step_without_alternatives_and_only_the_first_groups(recorded):
    folder, batches, _ = recorded(every_n_steps=2, alternatives=0, limit=5)
    assert steps_of(folder) == [2]
    assert all(batch.alternatives is None for batch in batches)
    table = read_step(folder, 2)
    assert table["alternatives"].to_pylist() == [[]] * 4  # one group of four, since two would be eight
    assert (
        table["ids"].to_pylist()
        == [
            ids[:length]
            for ids, length in zip(batches[1].response_ids.tolist(), batches[1].response_lengths.tolist(), strict=True)
        ][:4]
    )
    with pytest.raises(UsageError, match=r"record of step 2 has 4 rollouts of process 0 .* not 8"):
        rollouts_of(table)


def test_recording_changes_nothing(run, options, equal_weights):
    plain, with_records = (
        run(algorithm=mentor(), callbacks=callbacks, **options).fit() for callbacks in ([], [RolloutRecord()])
    )
    assert equal_weights(plain, with_records)


def test_datasets_reads_a_record(recorded, tmp_path):
    from datasets import load_dataset

    folder, batches, _ = recorded(every_n_steps=3)
    data = load_dataset(
        "parquet", data_files=str(place_of(folder, 3)), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(data) == len(batches[2])
    assert data[1]["ids"] == batches[2].response_ids[1, : data[1]["length"]].tolist()
    with_some = next(row for row in data if row["alternatives"])
    assert with_some["alternatives"][0]["expert_pieces"]


def test_a_killed_run_leaves_whole_records_and_goes_on_over_them(run, options, monkeypatch):
    """Killed while the record of step 3 is written, with a checkpoint after step 1: steps 2 and 3 are done again."""
    from mentor_pl.records import writing

    def cut_short(rows, file, **_):
        file.write(b"PAR1 and no more")
        raise KeyboardInterrupt

    class Kill(L.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if batch.step == 2:
                monkeypatch.setattr(writing.pq, "write_table", cut_short)

    options = options | {"trainer_options": {"enable_checkpointing": True}}
    checkpoints = RunCheckpoints(every_n_steps=1, keep=9)
    killed = run(algorithm=mentor(), callbacks=[RolloutRecord(), Kill(), checkpoints], **options)
    with pytest.raises(BaseException):  # noqa: B017 (Lightning leaves by one of its own)
        killed.fit()
    monkeypatch.undo()
    folder = Path(run_folder(killed.trainer))
    assert steps_of(folder) == [1, 2]
    assert len(list((folder / "rollouts").iterdir())) == 2  # what was cut short is gone
    unfinished_of(folder / "rollouts/step=000003.parquet").write_bytes(b"PAR1")  # but a SIGKILL leaves it there
    before = read_step(folder, 2)
    (folder / "rollouts/step=000009.parquet").write_bytes(b"of another run")

    resumed = run(algorithm=mentor(), callbacks=[RolloutRecord(), RunCheckpoints()], **options)
    resumed.trainer.loggers[0]._version = killed.trainer.loggers[0].version
    resumed.fit(ckpt_path=str(folder / "checkpoints/step=1.ckpt"))
    assert sorted(path.name for path in (folder / "rollouts").iterdir()) == [
        f"step=00000{n}.parquet" for n in (1, 2, 3)
    ]
    assert read_step(folder, 2).equals(before)


def test_a_disk_that_is_full_is_named_once_and_the_run_goes_on(run, options, monkeypatch, recwarn):
    from mentor_pl.records import writing

    def full(rows, file, **_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.pq, "write_table", full)
    job = run(algorithm=mentor(), callbacks=[RolloutRecord()], **options)
    job.fit()
    assert job.module.steps_done == 3
    said = [str(one.message) for one in recwarn if "RolloutRecord" in str(one.message)]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert list((Path(run_folder(job.trainer)) / "rollouts").iterdir()) == []


@pytest.mark.parametrize("settings", [{"every_n_steps": 0}, {"alternatives": -1}, {"limit": 0}])
def test_numbers_that_count_nothing_are_refused(settings):
    with pytest.raises(UsageError, match="RolloutRecord"):
        RolloutRecord(**settings)
