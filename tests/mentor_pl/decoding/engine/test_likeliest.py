"""What is kept of places that are decided again, or are no longer guided."""

import torch

from mentor_pl.decoding.engine.likeliest import Likeliest

LAW = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
GUIDED = torch.tensor([[True, False, False], [False, True, True]])


def mixture(p, q, weights):
    return (1 - weights[:, None]) * p + weights[:, None] * q


def add(kept, places, policy=LAW, expert=LAW, guided=(True, True), weight=1.0):
    rows, positions = torch.tensor(places).unbind(1)
    kept.add(torch.tensor(guided), rows, positions, policy.log(), expert.log(), torch.full((len(rows),), weight))


def test_the_last_decision_of_a_place_counts_and_only_where_it_is_guided_in_the_end():
    kept = Likeliest(2, mixture)
    add(kept, [(1, 2), (0, 1)])  # rolled back: (1, 2), and (0, 1) for good
    add(kept, [(1, 1), (0, 0)])
    add(kept, [(1, 2), (1, 7)], LAW.flip(0), LAW)  # (1, 7): behind the longest response
    found = kept.of(GUIDED)
    assert list(zip(found.rows.tolist(), found.positions.tolist(), strict=True)) == [(0, 0), (1, 1), (1, 2)]
    assert found.ids[:, 0].tolist() == [[0, 1], [2, 1], [0, 1]]
    assert torch.allclose(found.probabilities[:, 0], torch.tensor([[0.5, 0.3], [0.7, 0.2], [0.5, 0.3]]))
    assert found.ids[2, 1].tolist() == [2, 1]  # of π*, as it was then


def test_of_drafts_that_answer_the_guided_ones_are_kept_with_their_mixture():
    kept = Likeliest(1, mixture)
    add(kept, [(0, 0), (1, 1)], LAW, LAW.flip(0), guided=(False, True), weight=0.25)
    found = kept.of(GUIDED)
    assert (found.rows.tolist(), found.positions.tolist()) == ([1], [1])
    assert found.ids.tolist() == [[[0], [2], [0]]]
    expected = torch.tensor([[[0.5], [0.7], [0.75 * 0.5 + 0.25 * 0.1]]])
    assert torch.allclose(found.probabilities, expected)


def test_of_a_small_vocabulary_all_tokens_are_kept():
    kept = Likeliest(5, mixture)
    add(kept, [(0, 0)], LAW[:1], LAW[:1], guided=(True,))
    assert kept.of(GUIDED).ids.tolist() == [[[2, 1, 0]] * 3]


def test_nothing_was_guided():
    assert Likeliest(2, mixture).of(GUIDED) is None
