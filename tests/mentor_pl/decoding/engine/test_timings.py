"""ForwardTimings are measured once per machine and pair of models, and remembered whatever has become of the file."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mentor_pl.decoding.engine import timings
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.decoding.engine.timings import PLAIN, Execution, ForwardTimings, measure_timings, remembered_timings

CPU = torch.device("cpu")
FIRST, SECOND = ForwardTimings(1.0, 2.0, 3.0), ForwardTimings(4.0, 5.0, 6.0)


class Slow(nn.Module):
    """A model of one weight whose forwards take `call` seconds and `token` more for every token, by a clock of ours."""

    def __init__(self, clock, call=0.0, token=0.0, size=1):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size))
        self.clock, self.call, self.token = clock, call, token

    def forward(self, input_ids, **_):
        self.clock.now += self.call + self.token * input_ids.numel()
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 1))


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(timings, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where timings are kept, a folder that is not there yet."""
    monkeypatch.setenv("MENTOR_CACHE", str(tmp_path / "new" / "cache"))
    return tmp_path / "new" / "cache"


@pytest.fixture
def measured(monkeypatch):
    """Every measurement that is made; the first one gives FIRST, all later ones SECOND."""
    made = []

    def measure(*arguments):
        made.append(arguments)
        return FIRST if len(made) == 1 else SECOND

    monkeypatch.setattr(timings, "measure_timings", measure)
    return made


def pair(size=1):
    return Slow(None, size=size), Slow(None, size=2)


def test_a_call_is_split_into_what_grows_with_its_tokens_and_what_does_not(clock):
    # a step feeds 4 rows: 1 + 4 · .25; chunks of 4 and 36 tokens take 5 + .4 and 5 + 3.6
    got = measure_timings(Slow(clock, 1.0, 0.25), Slow(clock, 5.0, 0.1), 4, CPU)
    assert (got.policy_step, got.expert_call, got.expert_token) == pytest.approx((2.0, 5.0, 0.1))


def test_a_call_never_seems_free_however_the_clock_wavers(clock):
    got = measure_timings(Slow(clock, 1.0), Slow(clock, 0.0, 0.1), 4, CPU)
    assert got.expert_call == pytest.approx(0.04)  # a tenth of the smaller chunk's .4
    # the larger chunk seems to take less than the smaller: no time per token, and all of it the call's
    got = measure_timings(Slow(clock, 1.0), Slow(clock, 5.0, -0.1), 4, CPU)
    assert (got.expert_call, got.expert_token) == pytest.approx((4.6, 0.0))


@pytest.mark.parametrize(("page_tokens", "places", "pages"), [(16, 64, 4), (48, 96, 2)])
def test_rows_in_pages_are_measured_in_pages_and_steps_that_are_replayed_by_replaying(
    page_tokens, places, pages, clock, monkeypatch
):
    seen, replayed = [], []

    class Graphs:
        def __init__(self, step, slots, length):
            self.step = step

        def __call__(self, rows, width):
            replayed.append((rows, width))
            self.step(rows, width)

    monkeypatch.setattr(timings, "Replayed", Graphs)
    monkeypatch.setattr(timings, "PageTable", lambda *options: seen.append(PageTable(*options)) or seen[-1])
    got = measure_timings(Slow(clock, 1.0, 0.25), Slow(clock, 5.0, 0.1), 4, CPU, Execution(page_tokens, True))
    assert got.policy_step == pytest.approx(2.0)
    assert replayed
    assert set(replayed) == {(4, places)}
    assert seen[0].size == page_tokens
    assert [len(row) for row in seen[0].held] == [pages] * 4


def test_timings_are_measured_once_and_then_read(folder, measured, caplog):
    caplog.set_level("INFO")
    policy, expert = pair()
    assert remembered_timings(policy, expert, 8, CPU) == FIRST
    assert measured == [(policy, expert, 8, CPU, PLAIN)]
    assert remembered_timings(*pair(), 8, CPU) == FIRST  # other models of the same shapes
    assert len(measured) == 1
    (told,) = [record.getMessage() for record in caplog.records]  # before the wait, and once
    assert told.startswith("measuring how long policy and expert take at 8 rows, once for these models")
    (file,) = folder.iterdir()
    assert json.loads(file.read_text()) == {"policy_step": 1.0, "expert_call": 2.0, "expert_token": 3.0}


def test_other_rows_shapes_types_and_roles_have_timings_of_their_own(folder, measured):
    policy, expert = pair()
    cases = [
        (policy, expert, 8),
        (policy, expert, 9),
        (pair(size=3)[0], expert, 8),
        (expert, policy, 8),
        (pair()[0].to(torch.bfloat16), expert, 8),
    ]
    for case in cases:
        remembered_timings(*case, CPU)
    assert len(measured) == len(list(folder.iterdir())) == len(cases)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"policy_step": 1.0}'], ids=str)
def test_a_spoilt_file_is_as_good_as_none(content, folder, measured):
    remembered_timings(*pair(), 8, CPU)
    (file,) = folder.iterdir()
    file.write_bytes(content)
    assert remembered_timings(*pair(), 8, CPU) == SECOND


def test_a_file_that_cannot_be_read_is_as_good_as_none(folder, measured):
    remembered_timings(*pair(), 8, CPU)
    (file,) = folder.iterdir()
    file.unlink()
    file.mkdir()
    assert remembered_timings(*pair(), 8, CPU) == SECOND


def test_where_nothing_can_be_written_every_run_measures(tmp_path, monkeypatch, measured):
    (tmp_path / "taken").write_text("a file where the folder should be")
    monkeypatch.setenv("MENTOR_CACHE", str(tmp_path / "taken"))
    assert [remembered_timings(*pair(), 8, CPU) for _ in range(2)] == [FIRST, SECOND]


@pytest.mark.parametrize("how", [Execution(16), Execution(cuda_graphs=True), Execution(torch_compile=True)], ids=str)
def test_what_runs_otherwise_is_timed_by_itself(how, folder, measured):
    assert remembered_timings(*pair(), 8, CPU) == FIRST
    assert remembered_timings(*pair(), 8, CPU, how) == SECOND


def test_of_processes_that_measure_at_once_the_first_ones_word_holds(folder, monkeypatch):
    def measure(*_):
        if not folder.exists():  # while we measure, another process has measured and written
            monkeypatch.setattr(timings, "measure_timings", lambda *_: SECOND)
            remembered_timings(*pair(), 8, CPU)
        return FIRST

    monkeypatch.setattr(timings, "measure_timings", measure)
    assert remembered_timings(*pair(), 8, CPU) == SECOND
    assert remembered_timings(*pair(), 8, CPU) == SECOND
    assert len(list(folder.iterdir())) == 1  # no drafts are left behind


def test_without_a_folder_of_its_own_the_users_cache_is_taken(monkeypatch, tmp_path, measured):
    monkeypatch.delenv("MENTOR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    remembered_timings(*pair(), 8, CPU)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    remembered_timings(*pair(), 8, CPU)
    found = {str(file.parent.relative_to(tmp_path)) for file in tmp_path.rglob("timings-*.json")}
    assert found == {"xdg/mentor_pl", "home/.cache/mentor_pl"}


@pytest.mark.parametrize(
    "spoilt", ['{"policy_step": NaN, "expert_call": 1, "expert_token": 1}', "[1]", "{}", '{"policy_step": 0}']
)
def test_a_file_of_numbers_that_cannot_be_timings_is_replaced(spoilt, folder, monkeypatch):
    monkeypatch.setattr(timings, "measure_timings", lambda *_: FIRST)
    remembered_timings(*pair(), 8, CPU)
    (file,) = folder.iterdir()
    file.write_text(spoilt, encoding="utf-8")
    assert remembered_timings(*pair(), 8, CPU) == FIRST
    monkeypatch.setattr(timings, "measure_timings", lambda *_: SECOND)
    assert remembered_timings(*pair(), 8, CPU) == FIRST
