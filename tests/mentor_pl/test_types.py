"""Which tokens the policy drew; what becomes of alternatives where rollouts are chosen, reordered and joined."""

from types import SimpleNamespace

import torch

from mentor_pl.types import Alternatives, Rollouts


def test_the_policy_drew_what_is_neither_given_nor_guided_nor_padding():
    mask, given, guided = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]).bool()
    assert Rollouts.drawn.fget(SimpleNamespace(mask=mask, given=given, guided=guided)).tolist() == [0, 0, 1, 0]


def kept(*places):
    """Alternatives at (row, position), whose ids tell them apart."""
    rows, positions = torch.tensor(places).unbind(1)
    ids = (10 * rows + positions)[:, None, None].expand(-1, 3, 2).int()
    return Alternatives(rows, positions, ids, ids / 100)


def listed(alternatives):
    return list(
        zip(
            alternatives.rows.tolist(), alternatives.positions.tolist(), alternatives.ids[:, 0, 0].tolist(), strict=True
        )
    )


def test_those_of_chosen_rollouts_are_numbered_by_their_new_order():
    alternatives = kept((0, 4), (1, 2), (1, 3), (3, 0))
    assert listed(alternatives.at(torch.tensor([3, 0, 2]))) == [(0, 0, 30), (1, 4, 4)]
    assert listed(alternatives.at(torch.tensor([1]))) == [(0, 2, 12), (0, 3, 13)]
    assert listed(alternatives.at(torch.tensor([2]))) == []


def test_those_of_several_batches_follow_one_another():
    whole = Alternatives.joined([(None, 2), (kept((0, 1)), 3), (kept((0, 5), (1, 6)), 2)])
    assert listed(whole) == [(2, 1, 1), (5, 5, 5), (6, 6, 16)]
    assert Alternatives.joined([(None, 2), (None, 1)]) is None
