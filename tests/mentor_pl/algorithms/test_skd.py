"""SKD's rows, loss and settings."""

import pytest
import torch

from mentor_pl.algorithms.base import Step
from mentor_pl.algorithms.distillation import Distillation
from mentor_pl.algorithms.parts.losses.base import Need
from mentor_pl.algorithms.parts.losses.divergence import Divergence
from mentor_pl.algorithms.parts.top_k_rescue import TopKRescue
from mentor_pl.algorithms.skd import SKD
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin, Prompt

PROMPTS = [Prompt(8, "eight", "8", (1, 2)), Prompt(3, "three", "3", (4,))]


def test_all_rows_are_of_the_blend_whatever_alpha():
    (rows,) = SKD(2, k=7).rounds(Step(PROMPTS, alpha=0.0))
    assert [(row.prompt.index, row.number, row.origin) for row in rows] == [
        (index, number, Origin.MIXTURE) for index in (8, 3) for number in (0, 1)
    ]
    blend = SKD(2, k=7).blend
    assert isinstance(blend, TopKRescue)
    assert (blend.k, blend.lazy) == (7, False)


def test_it_learns_from_the_forward_divergence_and_no_reward():
    algorithm = SKD()
    assert algorithm.needs == {Need.FORWARD_KL}
    assert algorithm.uses_expert
    (term,) = algorithm.terms()
    assert term.name == "forward_kl"
    assert not term.skips_zero_advantage

    class Rollouts:
        rewards = torch.tensor([0.0, 1.0])

    assert algorithm.advantages(Rollouts()).tolist() == [0.0, 0.0]


class Forward(Distillation):
    """Distillation on the policy's own rollouts with SKD's divergence."""

    def terms(self):
        return [Divergence("forward")]


def test_with_the_whole_vocabulary_in_k_it_is_forward_distillation_bit_for_bit(same_run):
    assert same_run(SKD(4, k=10**6), Forward(4))
    assert not same_run(SKD(4, k=1), Forward(4))


@pytest.mark.parametrize(("options", "name"), [({"group_size": 0}, "group_size"), ({"k": 0}, "k")])
def test_settings_out_of_range_are_usage_errors(options, name):
    with pytest.raises(UsageError, match=f"{name} is 0"):
        SKD(**options)
