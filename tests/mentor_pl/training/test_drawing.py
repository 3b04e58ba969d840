"""Which problems a step is about."""

import pytest

from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.drawing import Further, prompts_of_step
from mentor_pl.types import Prompt


def test_an_epoch_shows_every_problem_once_and_the_rest_waits():
    epoch = [prompts_of_step(step, problems=11, per_step=3, seed=5) for step in range(3)]
    shown = [place for batch in epoch for place in batch]
    assert len(shown) == len(set(shown)) == 9  # 11 problems fill three batches of three
    assert set(shown) <= set(range(11))


def test_epochs_and_seeds_have_orders_of_their_own():
    def order(seed, epoch):
        return [p for step in range(4 * epoch, 4 * epoch + 4) for p in prompts_of_step(step, 40, 10, seed)]

    assert order(5, 0) == order(5, 0)
    assert len({tuple(order(seed, epoch)) for seed in (5, 6) for epoch in (0, 1)}) == 4


def test_what_is_left_runs_out_without_an_error_where_that_is_allowed():
    prompts = [Prompt(i, "p", "a", (1,)) for i in range(6)]
    further = Further(prompts, [0, 3], seed=1, step=2, rank=0, ranks=1)
    first = further(1) + further.up_to(2)
    assert len(further.up_to(5)) == 1
    assert further.up_to(5) == []
    assert not {0, 3} & {prompt.index for prompt in first}
    with pytest.raises(UsageError, match=r"step 2: the algorithm draws more problems than data\.train has left"):
        further(1)
