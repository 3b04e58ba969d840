"""Which problems a step is about."""

from mentor_pl.training.drawing import prompts_of_step


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
