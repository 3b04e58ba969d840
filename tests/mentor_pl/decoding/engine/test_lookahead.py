"""When the expert is called, by hand; and K* against the minimum of the cost model that it approximates."""

import pytest
import torch

from mentor_pl.decoding.engine.lookahead import AcceptanceStats, AnyFlag, FixedK, LookaheadState, MarginalValue
from mentor_pl.decoding.engine.timings import ForwardTimings
from mentor_pl.runtime.errors import UsageError


def state(age, pending=(1, 0), drafting=(True, True), drafts=0, scored_positions=0, replaced=0):
    return LookaheadState(
        age, torch.tensor(pending), torch.tensor(drafting), AcceptanceStats(drafts, scored_positions, replaced)
    )


def costing(call_in_steps, expert_token=0.0):
    """ForwardTimings under which a call takes so many steps, what it reads set apart."""
    return lambda: ForwardTimings(policy_step=0.5, expert_call=0.5 * call_in_steps, expert_token=expert_token)


def unmeasured():
    raise AssertionError("nobody needs the timings")


def begun(schedule, call_in_steps, rows=8):
    schedule.begin(rows, costing(call_in_steps))
    return schedule


@pytest.mark.parametrize("k", [1, 3])
def test_fixed_k_calls_when_a_draft_has_waited_k_steps(k):
    schedule = FixedK(k)
    schedule.begin(8, unmeasured)
    assert [schedule.due(state(age)) for age in (1, 2, 3, 4)] == [age >= k for age in (1, 2, 3, 4)]
    assert (schedule.look_ahead, schedule.stride) == (k, k)


def test_any_flag_calls_at_the_first_step():
    schedule = AnyFlag()
    schedule.begin(8, unmeasured)
    assert schedule.due(state(1))
    assert (schedule.look_ahead, schedule.stride) == (1, 1)


def test_one_replaced_in_fifty_drafts_and_in_five_open_ones_is_assumed_before_anything_is_known():
    assert (AcceptanceStats().replaced_per_draft, AcceptanceStats().replaced_per_scored) == (1 / 50, 1 / 5)
    known = AcceptanceStats(drafts=175, scored_positions=17.5, replaced=9.5)
    assert (known.replaced_per_draft, known.replaced_per_scored) == (10 / 200, 10 / 20)
    assert AcceptanceStats(scored_positions=1, replaced=9).replaced_per_scored == 1  # a share, whatever was counted


def test_what_lies_256_drafts_back_counts_half():
    known = AcceptanceStats()
    known.add(drafts=256, scored_positions=10, replaced=4)
    known.add(drafts=256, scored_positions=10, replaced=2)
    assert known == AcceptanceStats(drafts=128 + 256, scored_positions=5 + 10, replaced=2 + 2)
    known.add(drafts=128, scored_positions=0, replaced=0)  # √½ of it is left
    assert known.scored_positions == pytest.approx(15 * 0.5**0.5)


@pytest.mark.parametrize(
    ("call_in_steps", "drafts", "replaced", "k"),
    [
        (1, 0, 0, 10),  # √(2 · 1 / .02)
        (1, 150, 9, 6),  # √(2 / .05) = 6.3
        (1, 750, 1, 16),  # √(2 / .0025) = 28, more than `max_steps`
        (0.25, 150, 99, 1),  # √(.5 / .5)
        (0.01, 150, 99, 1),  # √(.02 / .5) = .2, but one step it is at least
    ],
)
def test_k_comes_from_the_timings_and_from_the_running_rate_of_replacements(call_in_steps, drafts, replaced, k):
    schedule = begun(FixedK(max_steps=16), call_in_steps)
    known = {"drafts": drafts, "replaced": replaced}
    assert schedule.due(state(k, **known))
    assert schedule.stride == k
    assert k == 1 or not schedule.due(state(k - 1, **known))


def test_the_bound_on_k_is_the_look_ahead():
    assert FixedK(max_steps=5).look_ahead == 5
    assert begun(FixedK(max_steps=5), 1).best(0.02) == 5
    assert FixedK(k=7, max_steps=5).look_ahead == 7  # who gives K means it


@pytest.mark.parametrize("rows", [1, 2])
def test_one_or_two_rows_never_wait_and_measure_nothing(rows):
    schedule = FixedK()
    schedule.begin(rows, unmeasured)
    assert schedule.due(state(1))
    assert schedule.stride == 1


def test_a_new_call_forgets_the_last_ones_rows():
    schedule = FixedK(max_steps=16)
    schedule.begin(2, unmeasured)
    schedule.begin(3, costing(1))
    assert not schedule.due(state(9))
    assert schedule.due(state(10))


def seconds_per_token(k, r, step, call):
    """(K·step + call) / E(K), E(K) = 1 + (1 − r) + … + (1 − r)^(K−1)."""
    return (k * step + call) / sum((1 - r) ** i for i in range(k))


@pytest.mark.parametrize("r", [0.005, 0.01, 0.03, 0.06, 0.1])
@pytest.mark.parametrize("call_in_steps", [0.1, 0.5, 1, 2, 4])
@pytest.mark.parametrize("expert_token", [0.0, 0.02])
def test_k_star_is_the_minimum_of_the_cost_model_within_rounding(expert_token, call_in_steps, r):
    max_steps, rows = 48, 25  # a step of 25 rows costs .5, and to read what it drafted 0 or another .5
    step, call = 0.5 + rows * expert_token, 0.5 * call_in_steps
    timings = {k: seconds_per_token(k, r, step, call) for k in range(1, max_steps + 1)}
    schedule = FixedK(max_steps=max_steps)
    schedule.begin(rows, costing(call_in_steps, expert_token))
    best, chosen = min(timings, key=timings.get), schedule.best(r)
    assert timings[chosen] < 1.01 * timings[best]
    assert abs(chosen - best) <= 1 + best // 10


def test_marginal_value_calls_when_the_next_step_earns_less_than_the_cycle_has():
    schedule = begun(MarginalValue(), 2)
    known = {"scored_positions": 5, "replaced": 1}  # q = 2 / 10 = .2
    # two rows, the second one flagged a step later. Tokens of the next step against the cycle's tokens per step, the
    # call counted as two: 2 + … + / (2 + steps)
    assert not schedule.due(state(1, pending=(1, 0), **known))  # .8 + 1 = 1.8 > 2 / 3
    assert not schedule.due(state(2, pending=(2, 1), **known))  # .64 + .8 = 1.44 > 3.8 / 4
    assert not schedule.due(state(3, pending=(3, 2), **known))  # .512 + .64 = 1.152 > 5.24 / 5 = 1.048
    assert schedule.due(state(4, pending=(4, 3), **known))  # .4096 + .512 = .92 < 6.392 / 6 = 1.07
    # a new cycle starts from nothing
    assert not schedule.due(state(1, pending=(1, 1), **known))  # 1.6 > 2 / 3


def test_rows_that_cannot_go_on_add_nothing_to_the_next_step():
    known = {"scored_positions": 5, "replaced": 1}
    assert not begun(MarginalValue(), 2).due(state(1, pending=(1, 1, 1), drafting=(False, True, True), **known))
    assert begun(MarginalValue(), 2).due(state(1, pending=(1, 1, 1), drafting=(False, False, True), **known))  # .8 < 1


def test_marginal_value_counts_what_the_expert_reads_of_a_step_as_part_of_it():
    schedule = MarginalValue()
    schedule.begin(4, costing(4, expert_token=0.125))  # a call takes 2 seconds, a step .5 + 4 · .125: two steps again
    waiting = enumerate([(1, 0), (2, 1), (3, 2), (4, 3)], start=1)
    due = [schedule.due(state(age, pending, scored_positions=5, replaced=1)) for age, pending in waiting]
    assert due == [False] * 3 + [True]


def test_marginal_value_waits_longer_where_calls_are_dear():
    def age_when_due(call_in_steps):
        schedule = begun(MarginalValue(), call_in_steps)
        return next(age for age in range(1, 99) if schedule.due(state(age, pending=(age,), drafting=(True,))))

    # q = .2, a row: step n + 1 earns .8ⁿ, the cycle has earned 1 + .8 + … + .8ⁿ⁻¹ in c + n steps
    assert age_when_due(0.1) == 1  # .8 < 1 / 1.1 = .91
    assert age_when_due(1) == 3  # .8 > 1 / 2, .64 > 1.8 / 3 = .6, .512 < 2.44 / 4 = .61
    assert age_when_due(4) > 4


@pytest.mark.parametrize("schedule", [FixedK, MarginalValue])
@pytest.mark.parametrize("max_steps", [0, -1])
def test_a_bound_below_one_is_a_usage_error(schedule, max_steps):
    message = f"schedule max_steps is {max_steps}, but it counts draft steps: give at least 1"
    with pytest.raises(UsageError, match=message):
        schedule(max_steps=max_steps)


def test_a_k_below_one_is_a_usage_error():
    with pytest.raises(UsageError, match="schedule k is 0, but it counts draft steps: give at least 1"):
        FixedK(0)


def test_where_no_rollout_waits_the_row_that_loses_most_decides():
    schedule = FixedK()
    schedule.begin(16, costing(2.0))  # K* = √(4 / r)
    mean, slow = (
        AcceptanceStats(drafts=1e9, replaced=1e9 / 16),
        1 / 4,
    )  # K* is 8 for the mean of all rows, 4 for the slow one
    waits = LookaheadState(4, torch.tensor([1]), torch.tensor([True]), mean)
    nobody_waits = LookaheadState(4, torch.tensor([1]), torch.tensor([True]), mean, slowest=lambda: slow)
    assert (schedule.due(waits), schedule.due(nobody_waits)) == (False, True)


def test_k_is_worked_out_once_per_cycle():
    schedule = FixedK()
    schedule.begin(16, costing(2.0))  # K* = √(4 / r)
    often, seldom = AcceptanceStats(drafts=1e9, replaced=1e9 / 4), AcceptanceStats(drafts=1e9, replaced=1e9 / 16)

    def sync(age, acceptance):
        return schedule.due(LookaheadState(age, torch.tensor([1]), torch.tensor([True]), acceptance))

    assert [sync(1, seldom), sync(4, often), sync(8, often)] == [False, False, True]  # 8 steps, as set at the start
    assert [sync(2, often), sync(4, seldom)] == [False, True]  # 4 steps


def test_a_new_call_starts_from_what_is_assumed_and_not_from_where_the_last_one_stopped():
    schedule = begun(FixedK(), 0.25)  # K* = √(.5 / r)
    assert schedule.due(state(1, drafts=150, replaced=99))  # the last sync of the call, at r = ½
    assert schedule.stride == 1
    schedule.begin(8, costing(0.25))
    assert schedule.stride == 5  # r = 1/50; on a GPU the first sync comes after so many steps
    assert not schedule.due(state(5, drafts=750, replaced=1))  # 14 for r = 1/500, so `max_steps`
    assert schedule.stride == 8
