import pytest
import torch

from mentor_pl.training.groups import have_signal


class Batch:
    group = torch.tensor([4, 4, 6, 6])  # the numbers of groups that were left
    train_mask = torch.tensor([[True, True], [True, False], [True, True], [True, False]])


@pytest.mark.parametrize(
    ("advantages", "expected"),
    [
        ([0.0, 0.0, 1.0, -1.0], [False, True]),
        ([[0.0, 0.0], [0.0, 5.0], [0.0, 0.0], [0.0, 0.0]], [False, False]),  # the 5 stands where nothing is trained
        ([[0.0, 0.1], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [True, False]),
    ],
)
def test_a_group_has_signal_where_a_trained_token_has_an_advantage(advantages, expected):
    assert have_signal(Batch, torch.tensor(advantages)).tolist() == expected
