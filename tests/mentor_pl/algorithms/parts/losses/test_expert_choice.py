"""TGPO's term on numbers worked out by hand."""

from dataclasses import replace

import pytest
import torch

from mentor_pl.algorithms.parts.losses.base import Need
from mentor_pl.algorithms.parts.losses.expert_choice import ExpertChoice


def test_the_likelihood_of_the_expert_s_choices_counts_by_alpha_on_trained_tokens(loss_inputs):
    choices = torch.tensor([[0.5, 0.25], [0.125, 1e-9]]).log().requires_grad_()
    batch = loss_inputs([[0.5, 0.5], [0.5, 0.5]], mask=[[1, 1], [1, 0]])
    batch = replace(batch, choice_logprobs=choices)
    term = ExpertChoice(0.02)
    total = term(batch).total
    total.backward()
    # −(ln ½ + ln ¼ + ln ⅛) = 6 ln 2, of three tokens
    assert total.item() == pytest.approx(6 * 0.6931472, abs=1e-5)
    assert choices.grad.tolist() == [[-1, -1], [-1, 0]]
    assert (term.weight(batch).item(), term.coefficient, term.skips_zero_advantage) == (3, 0.02, False)
    assert [term.strength(alpha) for alpha in (1.0, 0.25, 0.0)] == [0.02, 0.005, 0.0]
    assert term.needs == {Need.CHOICE_LOGPROBS}
