"""What one replaced token was worth: where the responses begin, what is counted, what cannot be forked."""

from pathlib import Path

import pyarrow.compute as pc
import pytest
from small_fit import error

from mentor_pl.cli.fork import fork as module
from mentor_pl.cli.main import main
from mentor_pl.records.forks import read_forks
from mentor_pl.records.reading import read_step
from mentor_pl.records.writing import write_step


@pytest.fixture
def replaced(recorded_copy):
    """(row, place, token): a replaced token of step 3, and the row that it is in."""
    for place, row in enumerate(read_step(recorded_copy, 3).to_pylist()):
        if any(row["replaced"]):
            return row, place, row["replaced"].index(True)
    raise AssertionError("the expert replaced nothing")


@pytest.fixture
def forked(recorded_copy):
    """(rollout, token, more of the command line) -> the status of a fork at step 3."""

    def fork(place, token, *words):
        return main(["fork", str(recorded_copy), "--step", "3", "--rollout", str(place), "--token", str(token), *words])

    return fork


def test_responses_go_on_behind_either_token_from_the_weights_that_sampled(replaced, forked, monkeypatch, capfd):
    row, place, token = replaced
    seen = []

    def scripted(models, problems, rows, n, *_):
        seen.extend([(one.context, one.given) for one in rows])
        assert n == 4
        return [1, 3]

    monkeypatch.setattr(module, "successes", scripted)
    assert forked(place, token, "--k", "4") == 0
    begin = tuple(row["ids"][:token])
    assert seen == [
        (tuple(row["prompt_ids"]), (*begin, row["drafts"][token])),
        (tuple(row["prompt_ids"]), (*begin, row["ids"][token])),
    ]
    said = capfd.readouterr().out
    assert "weights of checkpoint step=2.ckpt, those that sampled it; 4 responses of each" in said
    draft, expert, difference = said.splitlines()[-3:]
    assert "1 of 4 succeed  0.25 [0.05, 0.70]" in draft  # Wilson's intervals, by hand
    assert "3 of 4 succeed  0.75 [0.30, 0.95]" in expert
    assert difference.strip() == "difference +0.50 [-0.14, +0.79]"


def test_what_was_found_is_kept_in_the_run(replaced, forked, recorded_copy, monkeypatch):
    row, place, token = replaced
    monkeypatch.setattr(module, "successes", lambda *_: [1, 3])
    for seed in ("0", "7"):
        assert forked(place, token, "--k", "4", "--seed", seed) == 0
    first, second = read_forks(recorded_copy)
    assert (first.step, first.rollout, first.token, first.k, first.seed, second.seed) == (3, place, token, 4, 0, 7)
    assert (first.rank, first.group, first.number, first.problem) == (0, row["group"], row["number"], row["problem"])
    assert (first.draft_id, first.expert_id) == (row["drafts"][token], row["ids"][token])
    assert (first.expert_piece, first.sampled_by) == (row["pieces"][token], row["weights"])
    assert (first.weights, first.learned) == ("checkpoint step=2.ckpt", 2)
    assert (first.draft_succeeded, first.expert_succeeded, first.difference) == (1, 3, 0.5)
    rounded = [round(value, 2) for value in (first.draft_low, first.draft_high, first.expert_low, first.expert_high)]
    assert rounded == [0.05, 0.7, 0.3, 0.95]
    assert [round(value, 2) for value in (first.difference_low, first.difference_high)] == [-0.14, 0.79]


def test_what_cannot_be_kept_is_told_first(replaced, forked, recorded_copy, monkeypatch, capfd):
    _, place, token = replaced
    monkeypatch.setattr(module, "successes", lambda *_: [1, 3])
    (recorded_copy / "forks.jsonl").mkdir()
    assert forked(place, token, "--k", "4") == 2
    said = capfd.readouterr()
    assert "3 of 4 succeed" in said.out
    assert "forks.jsonl: what was found cannot be kept" in said.err


def test_a_fork_of_the_testbed_grades_what_it_samples(replaced, forked, capfd):
    _, place, token = replaced
    assert forked(place, token, "--k", "3") == 0
    assert capfd.readouterr().out.count("of 3 succeed") == 2


def test_weights_of_an_earlier_step_are_named_as_such(recorded_copy, monkeypatch, capfd):
    monkeypatch.setattr(module, "successes", lambda *_: [0, 0])
    (recorded_copy / "checkpoints/step=2.ckpt").unlink()
    for place, row in enumerate(read_step(recorded_copy, 3).to_pylist()):
        if any(row["replaced"]):
            words = ["fork", str(recorded_copy), "--step", "3", "--rollout", str(place)]
            assert main([*words, "--token", str(row["replaced"].index(True))]) == 0
            break
    assert "weights of the run's start, 2 steps before those that did" in capfd.readouterr().out


def test_what_cannot_be_forked_is_said_in_one_line(replaced, forked, recorded_copy, capfd):
    row, place, token = replaced
    other = row["replaced"].index(False)
    plain = next(i for i, one in enumerate(read_step(recorded_copy, 3).to_pylist()) if one["origin"] == "policy")
    for words, line in (
        ((place, other), f"token {other} of rollout {place} of step 3 was not replaced; replaced are {token}"),
        ((plain, 0), f"none of its tokens was: take a rollout of {place}"),
        ((9999, 0), "rollout 9999 of step 3: the record has rollouts 0 to 15"),
    ):
        assert forked(*words) == 2
        assert line in error(capfd)
    rows = read_step(recorded_copy, 3)
    write_step(recorded_copy, 3, rows.filter(pc.equal(rows["origin"], "policy")))
    assert forked(0, 0) == 2
    assert "the step has no token that was: take one of a method that guides" in error(capfd)
    assert main(["fork", "nowhere", "--step", "3", "--rollout", "0", "--token", "0"]) == 2
    assert "there is no folder 'nowhere'" in error(capfd)


def test_a_problem_that_the_data_no_longer_have_is_named(
    replaced, forked, three_recorded, monkeypatch, tmp_path, capfd
):
    row, place, token = replaced
    train = Path("data/testbed/train.jsonl")
    before = train.read_text()
    try:
        train.write_text("".join(reversed(before.splitlines(keepends=True))))
        if row["problem"] * 2 + 1 == len(before.splitlines()):
            pytest.skip("the problem in the middle stays where it is")
        assert forked(place, token) == 2
    finally:
        train.write_text(before)
    assert f"no longer has problem {row['problem']} as the rollout's prompt words it" in error(capfd)
