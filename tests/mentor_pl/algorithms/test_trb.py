"""TRB's rows, budget, loss and settings."""

import pytest
import torch
from runs import Batches

from mentor_pl.algorithms.base import Step
from mentor_pl.algorithms.distillation import Distillation
from mentor_pl.algorithms.parts.losses.base import Need
from mentor_pl.algorithms.parts.schedules import Constant
from mentor_pl.algorithms.trb import TRB
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin, Prompt

PROMPTS = [Prompt(8, "eight", "8", (1, 2)), Prompt(3, "three", "3", (4,))]


@pytest.mark.parametrize(
    ("epsilon", "alpha", "budget", "origin"),
    [
        (0.2, 1.0, 0.2, Origin.MIXTURE),
        (0.2, 0.25, 0.05, Origin.MIXTURE),
        (0.2, 0.0, 0.0, Origin.POLICY),
        (0.0, 1.0, 0.0, Origin.POLICY),
    ],
)
def test_the_budget_is_alphas_share_and_without_one_the_policy_speaks_alone(epsilon, alpha, budget, origin):
    algorithm = TRB(2, epsilon=epsilon)
    (rows,) = algorithm.rounds(Step(PROMPTS, alpha))
    assert algorithm.blend.epsilon == pytest.approx(budget)
    assert [(row.prompt.index, row.number, row.origin) for row in rows] == [
        (index, number, origin) for index in (8, 3) for number in (0, 1)
    ]


def test_alpha_falls_linearly_by_default_and_by_another_schedule_if_told():
    algorithm = TRB()
    assert algorithm.uses_alpha
    assert [algorithm.schedule(step) for step in (0, 60, 120)] == [1.0, 0.5, 0.0]
    assert TRB(schedule=Constant(0.5)).schedule(200) == 0.5


def test_it_learns_from_the_reverse_divergence_and_no_reward():
    algorithm = TRB()
    assert algorithm.needs == {Need.REVERSE_KL}
    (term,) = algorithm.terms()
    assert term.name == "reverse_kl"
    assert not algorithm.blend.lazy

    class Rollouts:
        rewards = torch.tensor([0.0, 1.0])

    assert algorithm.advantages(Rollouts()).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("epsilon", "alpha"), [(0.0, 1.0), (0.1, 0.0)])
def test_without_a_budget_it_is_distillation_bit_for_bit(same_run, epsilon, alpha):
    assert same_run(TRB(4, epsilon=epsilon), Distillation(4), module_options={"alpha": alpha})


def test_a_budget_without_bounds_is_the_experts_own_rollouts(run):
    kept = Batches()
    run(steps=1, algorithm=TRB(4, epsilon=1e9), callbacks=[kept]).fit()
    (rollouts,) = kept.rollouts
    assert (rollouts.gate_weights[rollouts.mask] == 1).all()
    assert rollouts.replaced.any()


@pytest.mark.parametrize(("options", "name"), [({"group_size": 0}, "group_size"), ({"epsilon": -1.0}, "epsilon")])
def test_settings_out_of_range_are_usage_errors(options, name):
    with pytest.raises(UsageError, match=f"{name} is {options[name]}"):
        TRB(**options)
