"""What is kept of places that are decided again, or are no longer guided."""

import torch

from mentor_pl.decoding.engine.likeliest import Likeliest

LAW = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
GUIDED = torch.tensor([[True, False, False], [False, True, True]])


def test_the_last_decision_of_a_place_counts_and_only_where_it_is_guided_in_the_end():
    kept = Likeliest(2)
    kept.add(torch.tensor([1, 0]), torch.tensor([2, 1]), LAW, LAW, LAW)  # rolled back: (1, 2), and (0, 1) for good
    kept.add(torch.tensor([1, 0]), torch.tensor([1, 0]), LAW, LAW, LAW)
    kept.add(torch.tensor([1, 1]), torch.tensor([2, 7]), LAW.flip(0), LAW, LAW)  # (1, 7): behind the longest response
    found = kept.of(GUIDED)
    assert list(zip(found.rows.tolist(), found.positions.tolist(), strict=True)) == [(0, 0), (1, 1), (1, 2)]
    assert found.ids[:, 0].tolist() == [[0, 1], [2, 1], [0, 1]]
    assert torch.allclose(found.probabilities[:, 0], torch.tensor([[0.5, 0.3], [0.7, 0.2], [0.5, 0.3]]))
    assert found.ids[2, 1].tolist() == [2, 1]  # of π*, as it was then


def test_of_a_small_vocabulary_all_tokens_are_kept():
    kept = Likeliest(5)
    kept.add(torch.tensor([0]), torch.tensor([0]), *[LAW[:1]] * 3)
    assert kept.of(GUIDED).ids.tolist() == [[[2, 1, 0]] * 3]


def test_nothing_was_guided():
    assert Likeliest(2).of(GUIDED) is None
