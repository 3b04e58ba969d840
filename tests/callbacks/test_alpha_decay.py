import lightning.pytorch as L
import pytest

from callbacks import AlphaDecay
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.schedules import CutOff, Linear
from mentor_pl.algorithms.tgpo import TGPO
from mentor_pl.algorithms.trb import TRB
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


class Held(L.Callback):
    """Whether the expert is there when each step has been learned from, before α moves."""

    def __init__(self):
        self.there = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.there.append(pl_module.models.expert is not None)


@pytest.mark.parametrize("method", [Mentor, TGPO])  # asked while sampling, and while learning
def test_an_expert_that_does_not_come_back_is_freed_and_nothing_else_changes(run, equal_weights, caplog, method):
    def trained(schedule):
        held, decay = Held(), AlphaDecay(schedule)
        return held.there, run(steps=4, algorithm=method(), callbacks=[held, decay])

    class Silent(CutOff):
        def ended(self, step):
            return False

    kept, job = trained(Silent(steps=2))
    weights, counts = job.fit(), job.module.ledger.counts
    freed, other = trained(CutOff(steps=2))
    with caplog.at_level("INFO", logger="lightning.pytorch.utilities.rank_zero"):
        assert equal_weights(weights, other.fit())
    assert (kept, freed) == ([True] * 4, [True, True, False, False])
    assert counts.pop("expert_tokens") == other.module.ledger.counts.pop("expert_tokens") > 0
    assert counts == other.module.ledger.counts
    (line,) = [record.getMessage() for record in caplog.records if "freed" in record.getMessage()]
    assert line == "after 2 steps α is 0 for good: the expert is freed"


def test_an_expert_that_is_read_without_guidance_stays(run):
    held = Held()
    run(steps=2, algorithm=TRB(), callbacks=[held, AlphaDecay(CutOff(steps=1))]).fit()
    assert held.there == [True, True]
