"""Who has which page, by hand and under many random orders."""

import random

import pytest
import torch

from mentor_pl.decoding.engine.pages import PageTable

CPU = torch.device("cpu")


@pytest.fixture
def pages():
    """Three slots of up to 10 places, in pages of 4; seven pages."""
    return PageTable(3, 10, 4, 7, CPU)


def test_pages_are_handed_out_as_a_row_grows(pages):
    assert pages.reserve(1, 4)
    assert pages.held == [[], [1], []]
    assert pages.reserve(1, 5)
    assert pages.reserve(0, 1)
    assert pages.held == [[3], [1, 2], []]
    assert pages.on_host.tolist() == [[3, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert pages.used == 3


def test_a_row_that_finds_too_few_pages_is_given_none(pages):
    assert pages.reserve(0, 10)
    assert pages.reserve(1, 10)
    assert not pages.reserve(2, 8)
    assert pages.held[2] == []
    assert pages.reserve(2, 4)


def test_full_pages_are_shared_and_free_again_once_nobody_holds_them(pages):
    pages.reserve(0, 9)
    pages.share(0, 1, 9)  # two full pages of 9 places
    assert pages.held[1] == [1, 2]
    pages.reserve(1, 9)
    assert pages.held[1] == [1, 2, 4]
    assert pages.apart(0, 1, 9) == [(3, 4, 1)]  # the last place is copied
    pages.release(0)
    assert pages.used == 3
    pages.release(1)
    assert pages.used == 0
    assert pages.on_host.tolist() == [[0] * 3] * 3


def test_a_row_keeps_the_pages_of_its_first_places(pages):
    pages.reserve(0, 10)
    pages.release(0, 5)
    assert pages.held[0] == [1, 2]
    assert pages.on_host[0].tolist() == [1, 2, 0]
    pages.release(0, 5)
    assert pages.held[0] == [1, 2]


def test_pages_move_with_their_row(pages):
    pages.reserve(2, 5)
    pages.move(2, 0)
    assert pages.held == [[1, 2], [], []]
    assert pages.on_host.tolist() == [[1, 2, 0], [0] * 3, [0] * 3]


def test_rows_that_are_pages_have_theirs_for_good():
    whole = PageTable(3, 10, 10, 0, CPU)
    assert whole.whole
    assert whole.on_host.tolist() == [[0], [1], [2]]
    assert whole.reserve(2, 10)
    whole.share(0, 1, 10)
    whole.release(0)
    whole.move(2, 0)
    assert whole.on_host.tolist() == [[0], [1], [2]]
    assert whole.apart(0, 2, 7) == [(0, 2, 7)]


@pytest.mark.parametrize(
    ("rows", "cache_tokens", "page_tokens", "slots", "count"),
    [
        (9, 1000, 0, 6, 6),  # six rollouts of 7 places
        (9, 34, 0, 4, 4),
        (9, 6, 0, 0, 0),
        (9, 1000, 4, 6, 13),  # two pages each, and page 0
        (9, 35, 4, 6, 9),  # eight pages are all there are; rows wait for them
        (9, 8, 4, 6, 3),
        (9, 7, 4, 0, 2),  # one page does not hold a rollout
        (2, 1000, 4, 2, 5),
        (9, 1000, 7, 6, 6),
    ],
)
def test_slots_and_pages_that_fit(rows, cache_tokens, page_tokens, slots, count):
    pages = PageTable.fitting(6, 7, rows, cache_tokens, page_tokens, CPU)
    assert (pages.slots, pages.count) == (slots, count)


def test_no_page_is_lost_or_held_by_two_rows_that_did_not_share_it():
    draw = random.Random(4)
    pages = PageTable(6, 40, 3, 50, CPU)
    for _ in range(3000):
        slot, other, places = draw.randrange(6), draw.randrange(6), draw.randrange(1, 41)
        act = draw.choice(["reserve", "release", "share", "move"])
        if act == "reserve":
            pages.reserve(slot, places)
        elif act == "release":
            pages.release(slot, draw.choice([0, places]))
        elif slot != other:
            pages.release(other)
            if act == "move":
                pages.move(slot, other)
            else:
                pages.share(slot, other, min(places, 3 * len(pages.held[slot])))
        held = [page for row in pages.held for page in row]
        assert sorted({*held, *pages.free}) == list(range(1, 51))
        assert not set(held) & set(pages.free)
        assert [held.count(page) for page in range(51)] == pages.references
        for row, table in zip(pages.held, pages.on_host.tolist(), strict=True):
            assert table == row + [0] * (14 - len(row))
