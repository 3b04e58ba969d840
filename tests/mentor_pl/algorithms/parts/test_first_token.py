"""The expert begins, and another gate goes on."""

import pytest
import torch

from mentor_pl.algorithms.parts.first_token import ExpertFirst
from mentor_pl.algorithms.parts.gates import ConstantGate, Drafted, EntropyGate
from mentor_pl.runtime.errors import UsageError


def test_the_first_tokens_are_the_expert_s_alone_and_later_ones_the_other_gate_s():
    drafts = Drafted(torch.tensor([0.0, 5.0, 5.0, 0.0]), torch.tensor([0, 1, 2, 3]), torch.arange(4))
    assert ExpertFirst(ConstantGate(0.25))(drafts).tolist() == [1, 0.25, 0.25, 0.25]
    assert ExpertFirst(ConstantGate(0.25), tokens=2)(drafts).tolist() == [1, 1, 0.25, 0.25]


def test_it_observes_and_survives_through_the_other_gate():
    gate, again = ExpertFirst(EntropyGate(p=0.5)), ExpertFirst(EntropyGate(p=0.5))
    gate.observe([torch.tensor([1.0, 2.0, 4.0])])
    assert gate.gamma == gate.gate.gamma == 2.0
    again.load_state_dict(gate.state_dict())
    assert again.gamma == 2.0


def test_it_learns_through_the_other_gate():
    class Learning(ConstantGate):
        def learn(self, rollouts):
            self.learned = rollouts

    other = Learning()
    ExpertFirst(other).learn("rollouts")
    assert other.learned == "rollouts"


def test_no_token_at_all_is_a_usage_error():
    with pytest.raises(UsageError, match="gate tokens is 0"):
        ExpertFirst(tokens=0)
