"""Who has a slot and pages: rollouts are the same under any cache that holds one of them."""

import pytest
from engine_cases import SAMPLING, paged, ran

from mentor_pl.decoding.engine.engine import Engine
from mentor_pl.decoding.params import SamplingParams


@pytest.mark.parametrize("page_tokens", [1, 4, 7])
@pytest.mark.parametrize("share", [1.0, 0.6, 0.3, 0.0])
def test_a_smaller_cache_of_pages_finishes_the_same_rollouts(
    page_tokens, share, pair, prompts, keys, mode, whole, equal_samples
):
    """From the worst case down to one rollout's pages; whatever is preempted is read again and goes on."""
    longest, count = max(map(len, prompts)) + SAMPLING.max_new_tokens, len(prompts)
    engine = paged(pair, prompts, keys, mode, rows=count, page_tokens=page_tokens, share=share)
    samples = ran(engine)
    equal_samples(whole, samples)
    if share == 1:  # nothing lacks
        assert samples.stats.preempted == 0
    if (share, page_tokens) == (0.3, 1):  # rows grow into one another's way
        assert samples.stats.preempted > 0
    assert engine.pages.used == 0  # all pages are given back
    assert engine.pages.count - 1 <= max(share * count, 1) * -(-longest // page_tokens)


def test_pages_in_use_are_those_of_the_tokens_and_one_more_per_row(pair, prompts, keys, mode):
    engine = paged(pair, prompts, keys, mode, rows=len(prompts), page_tokens=4, share=1.0)
    table, draft, seen = engine.table, engine._draft, []

    def counted(steps):
        tokens = int((table.prompt + table.place)[: table.used].sum())
        seen.append(engine.pages.used * 4 - tokens <= 4 * table.used)
        draft(steps)

    engine._draft = counted
    ran(engine)
    assert len(seen) > 10
    assert all(seen)


def test_rows_of_one_prompt_share_the_pages_that_it_fills(pair, keys):
    # eight rows of 9 prompt tokens, 8 of them read: two pages for all, and one each for what follows
    sampling = SamplingParams(max_new_tokens=1)
    engine = Engine(pair, [[3] * 9] * 8, keys(8), sampling, None, rows=8, cache_tokens=99, page_tokens=4)
    used, draft = [], engine._draft
    engine._draft = lambda steps: (used.append(engine.pages.used), draft(steps))
    assert ran(engine).stats.prefill_tokens == 8
    assert used == [2 + 8]


def test_all_rows_begin_at_once_where_there_are_pages_for_all_at_their_longest(counting, keys):
    # 8 prompt tokens and 3 of response are 3 pages of 4, the last of them needed from the first token on
    prompts, sampling = [[row] * 8 for row in range(4)], SamplingParams(max_new_tokens=3)
    for cache_tokens, forwards in ((4 * 12, 3), (4 * 12 - 1, 6)):
        engine = Engine(
            counting([6], size=7), prompts, keys(4), sampling, None, rows=4, cache_tokens=cache_tokens, page_tokens=4
        )
        assert ran(engine).stats.policy_forwards == forwards


def test_the_newest_row_waits_where_pages_run_out_and_is_the_next_one_to_go_on(counting, keys):
    # rows of 2 prompt tokens and 6 of response in pages of 2: 4 pages each; six for two rows
    engine = Engine(
        counting([6], size=7), [[0, 0]] * 3, keys(3), SamplingParams(max_new_tokens=6), None,
        rows=2, cache_tokens=12, page_tokens=2,
    )  # fmt: skip
    order, preempt = [], engine.scheduler.preempt

    def noted():
        preempt()
        order.append((engine.scheduler.waiting[0], int(engine.scheduler.lengths[engine.scheduler.waiting[0]])))

    engine.scheduler.preempt = noted
    samples = ran(engine)
    assert samples.ids.tolist() == [[1, 2, 3, 4, 5, 6]] * 3
    assert order[0][0] == 1  # rollout 0 is older, and rollout 2 has not begun
    assert engine.scheduler.waiting == type(engine.scheduler.waiting)()


@pytest.mark.parametrize("page_tokens", [1, 4])
@pytest.mark.parametrize("widest", [True, False])
def test_steps_over_all_slots_between_syncs_in_too_few_pages_change_no_rollout(
    widest, page_tokens, pair, prompts, keys, mode, whole, equal_samples
):
    """As a recorded step has more slots than are in use, and as narrow as those in use allow: idle ones fit in it."""
    engine = paged(pair, prompts, keys, mode, rows=len(prompts), page_tokens=page_tokens, share=0.3)
    slots, length, step = engine.pages.slots, engine.pages.length, engine.drafts.step
    engine.on_gpu, engine.step = True, lambda rows, width: step(slots, length if widest else width)
    equal_samples(whole, ran(engine))
