"""The tokens with the highest entropy."""

import pytest
import torch

from mentor_pl.algorithms.parts.token_masks import top_entropy

ENTROPIES = torch.tensor([[0.1, 0.9, 0.5, 9.0], [0.3, 0.2, 0.8, 0.4]])
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]).bool()  # 7 tokens: .1 .2 .3 .4 .5 .8 .9


@pytest.mark.parametrize(
    ("share", "least"),
    [(1.0, 0.0), (0.5, 0.4), (1 / 3, 0.5), (0.2, 0.8), (0.01, 0.9)],  # e.g. place ⅔ · 6 = 4: .5, and what is above it
)
def test_a_share_of_all_tokens_of_the_step_whatever_their_rollout(share, least):
    assert torch.equal(top_entropy(ENTROPIES, MASK, share), MASK & (least <= ENTROPIES))


def test_a_share_of_nothing_is_nothing_and_no_tokens_are_no_error():
    assert not top_entropy(ENTROPIES, MASK, 0.0).any()
    assert not top_entropy(ENTROPIES, MASK & False, 0.5).any()
    assert top_entropy(torch.zeros(0, 0), torch.zeros(0, 0).bool(), 0.5).shape == (0, 0)


def test_equal_entropies_are_all_in():
    assert top_entropy(torch.ones(1, 4), torch.ones(1, 4).bool(), 0.25).all()
