"""Replaced tokens that are scored again: against their rollouts, and against a plain forward of the last weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import Batches

from callbacks import AbsorbedTokens
from callbacks.absorbed_tokens import summary
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.gates import EntropyGate
from mentor_pl.records.absorbed import NAME, SCHEMA, Replaced, read_absorbed, scored_rows, write_absorbed
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.checkpoints import run_folder

ONE = Replaced(2, 0, 1, 3, 40, 5, 7, 8, "the", "we", (3, 4, 5), 1.0, -2.0, -0.5)


@pytest.fixture
def absorbed(run):
    """(job, rows, batches) of four steps, of which every second is looked at."""
    batches = Batches()
    callbacks = [AbsorbedTokens(every_n_steps=2, tokens=3, keep=4), batches]
    job = run(steps=4, algorithm=Mentor(2, 2, gate=EntropyGate(p=0.6)), callbacks=callbacks)
    job.fit()
    return job, read_absorbed(Path(run_folder(job.trainer))).to_pylist(), batches.rollouts


def test_tokens_are_scored_as_they_were_sampled_and_as_they_are_now(absorbed):
    job, rows, batches = absorbed
    assert [(row["step"], row["scored_at"], row["age"]) for row in rows] == [
        *[(2, 2, 1)] * 3,
        *[(2, 4, 3)],  # of the four that are kept
        *[(4, 4, 1)] * 3,
    ]
    policy, size = job.module.policy.eval(), job.module.vocabulary.size
    for row in rows:
        batch = batches[row["step"] - 1]
        place = (batch.group == row["group"]) & (batch.numbers == row["number"])
        (at,) = place.nonzero().squeeze(1).tolist()
        position, length = row["position"], int(batch.prompt_lengths[at])
        assert batch.replaced[at, position]
        assert (batch.response_ids[at, position], batch.drafts[at, position]) == (row["expert_id"], row["draft_id"])
        assert row["expert_then"] == pytest.approx(float(batch.logprobs[at, position]), abs=1e-4)
        assert row["problem"] == batch.problems[at]
        if row["scored_at"] == 4:
            context = torch.cat([batch.prompt_ids[at, :length], batch.response_ids[at, :position]])
            with torch.no_grad():
                logp = policy(input_ids=context[None]).logits[0, -1, :size].log_softmax(-1)
            assert row["expert_now"] == pytest.approx(float(logp[row["expert_id"]]), abs=1e-4)
            assert row["draft_now"] == pytest.approx(float(logp[row["draft_id"]]), abs=1e-4)
    folder = Path(run_folder(job.trainer))
    assert "absorbed/taken_over" in (folder / "metrics.csv").read_text().splitlines()[0]
    assert (folder / "absorbed.png").stat().st_size > 0
    assert (folder / "absorbed.svg").stat().st_size > 0


def test_what_is_logged_by_hand():
    """One token was taken over and another dropped."""
    other = replace(ONE, expert_then=-1.0, draft_then=-1.5)
    rows = scored_rows([ONE, other], [-0.25, -3.0], [-1.5, -0.5], scored_at=6)
    assert rows["age"].to_pylist() == [5, 5]
    told = summary(rows)
    assert told == pytest.approx(
        {"expert": -0.125, "draft": 0.0, "taken_over": 0.5, "taken_over_then": 0.5, "dropped": 0.5}
    )


def test_kept_tokens_survive_a_checkpoint(tmp_path):
    callback, again = AbsorbedTokens(), AbsorbedTokens()
    callback._kept = [ONE]
    torch.save(callback.state_dict(), tmp_path / "state.pt")
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert again._kept == [ONE]


def test_rows_of_steps_that_are_done_again_go(tmp_path):
    write_absorbed(tmp_path, scored_rows([ONE, ONE], [0, 0], [0, 0], scored_at=6))
    callback = AbsorbedTokens()
    callback._write(tmp_path, 5, scored_rows([ONE], [-1], [-1], scored_at=6))
    assert read_absorbed(tmp_path)["expert_now"].to_pylist() == [-1]
    callback._write(tmp_path, 5, None)
    assert read_absorbed(tmp_path).equals(SCHEMA.empty_table())


def test_a_file_that_is_none_of_ours_is_refused(tmp_path):
    (tmp_path / NAME).write_bytes(b"notes")
    with pytest.raises(UsageError, match=r"absorbed.parquet is no file of AbsorbedTokens"):
        read_absorbed(tmp_path)


def test_a_run_puts_a_damaged_file_aside_and_begins_another(tmp_path):
    (tmp_path / NAME).write_bytes(b"PAR1 and no more")
    with pytest.warns(UserWarning, match=r"is no file of AbsorbedTokens .* It is absorbed.damaged now"):
        AbsorbedTokens()._write(tmp_path, 5, scored_rows([ONE], [-1], [-1], scored_at=6))
    assert read_absorbed(tmp_path)["expert_now"].to_pylist() == [-1]
    assert (tmp_path / "absorbed.damaged").read_bytes() == b"PAR1 and no more"


def test_a_run_all_of_whose_scores_are_done_again_has_no_figure(run):
    job = run(steps=1, callbacks=[AbsorbedTokens(every_n_steps=2)])
    folder = Path(run_folder(job.trainer))
    write_absorbed(folder, scored_rows([ONE], [0], [0], scored_at=6))
    job.fit()
    assert len(read_absorbed(folder)) == 0
    assert not (folder / "absorbed.png").exists()


@pytest.mark.parametrize("settings", [{"every_n_steps": 0}, {"tokens": 0}, {"tokens": 8, "keep": 7}])
def test_numbers_that_count_nothing_are_refused(settings):
    with pytest.raises(UsageError, match="AbsorbedTokens"):
        AbsorbedTokens(**settings)
