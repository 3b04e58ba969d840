import pytest

from callbacks import AlphaDecay
from mentor_pl.algorithms.parts.schedules import Linear
from mentor_pl.types import Origin


@pytest.mark.parametrize("steps", [1, 4])
def test_each_steps_rollouts_see_the_schedules_alpha(run, steps):
    decay = AlphaDecay(Linear(start=1.0, steps=2))
    job = run(steps=steps, callbacks=[decay])
    seen = []
    produce = job.data._produce
    job.data._produce = lambda step: seen.append(produce(step)) or seen[-1]
    job.fit()
    assert [rollouts.alpha for rollouts in seen] == [1.0, 0.5, 0.0, 0.0][:steps]
    assert [bool((rollouts.origin == Origin.MIXTURE).any()) for rollouts in seen] == [True, True, False, False][:steps]
    assert {tuple(rollouts.group.bincount().tolist()) for rollouts in seen} == {(8,) * 4}


def test_resumes_where_it_stopped(run):
    decay = AlphaDecay(Linear(start=1.0, steps=4))
    decay.load_state_dict({"step": 3})
    job = run(steps=1)
    decay.on_train_start(job.trainer, job.module)
    assert job.module.alpha == 0.25
    assert decay.state_dict() == {"step": 3}
