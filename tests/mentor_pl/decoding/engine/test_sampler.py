"""What batch shapes depend on belongs to the run: measured timings are the sampler's state."""

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine import engine
from mentor_pl.decoding.engine.timings import ForwardTimings
from mentor_pl.decoding.params import SamplingParams

SAMPLING, PROMPTS = SamplingParams(max_new_tokens=6), [[0]] * 3
SLOW_CALLS, FAST_CALLS = ForwardTimings(1.0, 100.0, 0.0), ForwardTimings(1.0, 0.01, 0.0)


def stubbed(monkeypatch, timings):
    measured = []
    monkeypatch.setattr(engine, "remembered_timings", lambda *models: measured.append(models[2]) or timings)
    return measured


def test_timings_are_measured_once_for_each_number_of_rows(counting, keys, sample, gate_of, monkeypatch):
    measured, sampler, models = stubbed(monkeypatch, SLOW_CALLS), Coin(), counting([4])
    for rows in (3, 3, 4, 3):
        sample(sampler, models, [[0]] * rows, keys(rows), SAMPLING, gate_of(1.0))
    assert measured == [3, 4]


def test_a_restored_sampler_looks_as_far_ahead_as_the_one_that_was_saved(counting, keys, sample, gate_of, monkeypatch):
    """Whatever forwards take on the machine that goes on: K* of slow calls is 8, of fast ones 1."""
    stubbed(monkeypatch, SLOW_CALLS)
    saved, models = Coin(), counting([4])
    sample(saved, models, PROMPTS, keys(3), SAMPLING, gate_of(1.0))
    measured = stubbed(monkeypatch, FAST_CALLS)
    restored, fresh = Coin(), Coin()
    restored.load_state_dict(saved.state_dict())
    for sampler in (restored, fresh):
        sample(sampler, models, PROMPTS, keys(3), SAMPLING, gate_of(1.0))
    assert measured == [3]  # by the fresh one alone
    assert restored.schedule.call_in_steps == saved.schedule.call_in_steps == 100.0
    assert fresh.schedule.call_in_steps == 0.01
