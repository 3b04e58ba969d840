"""Prompts that rollouts share: read once, copied to others, kept where they lie."""

from types import SimpleNamespace

import pytest
import torch

from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.decoding.engine.prefix_cache import Prefixes

# prompts a, a, b, c, a of 3, 3, 2, 4 and 3 tokens
PROMPTS = [[1, 2, 3], [1, 2, 3], [1, 2], [4, 5, 6, 7], [1, 2, 3]]


class Notes:
    """A runner that notes what it was asked."""

    def __init__(self):
        self.read, self.copied = {}, []
        self.cache = SimpleNamespace(copy=lambda *what: self.copied.append(what))

    def prefill(self, prompts, slots):
        self.read |= dict(zip(slots, prompts, strict=True))


@pytest.fixture
def prefixes():
    return Prefixes(PROMPTS, PageTable(3, 9, 9, 0, torch.device("cpu")))


def test_a_prompt_is_read_once_but_its_last_token_and_copied(prefixes):
    runners = [Notes(), Notes()]
    assert prefixes.fill({0: 0, 1: 1, 2: 2}, runners) == [3, 3]  # 2 + 1 tokens by each runner
    for runner in runners:
        assert runner.read == {0: [1, 2], 2: [1]}
        assert runner.copied == [(0, [1], 2)]


def test_a_rollout_gets_the_slot_that_holds_its_prompt(prefixes):
    prefixes.fill({0: 2, 1: 0, 2: 3}, [Notes()])
    assert prefixes.assignment([0, 1], [3, 4]) == {1: 4, 0: 3}
    assert prefixes.assignment([0, 1, 2], [4]) == {1: 4}


def test_rollouts_of_one_prompt_get_a_slot_each(prefixes):
    prefixes.fill({0: 0, 1: 1, 2: 2}, [Notes()])
    assert prefixes.assignment([0, 1, 2], [1, 4]) == {0: 1, 1: 4}


def test_what_lies_in_its_slot_or_in_one_that_stays_is_not_read_again(prefixes):
    prefixes.fill({0: 0, 1: 2, 2: 3}, [Notes()])
    runner = Notes()
    assert prefixes.fill({0: 1, 1: 3}, [runner]) == [0]  # a lies in slot 0, c in slot 2
    assert (runner.read, runner.copied) == ({}, [(2, [1], 3)])


def test_a_prompt_that_is_overwritten_is_no_source(prefixes):
    prefixes.fill({0: 0, 1: 2, 2: 3}, [Notes()])
    runner = Notes()
    assert prefixes.fill({0: 2, 1: 4}, [runner]) == [3]  # both a and b change their slots
    assert runner.read == {0: [1], 1: [1, 2]}


def test_a_runner_that_comes_later_reads_what_the_rows_in_use_share(prefixes):
    prefixes.fill({0: 0, 1: 3, 2: 1}, [Notes()])
    later = Notes()
    assert prefixes.catch_up(later, [0, 3, 1]) == 5
    assert later.read == {0: [1, 2], 1: [4, 5, 6]}
    assert later.copied == [(0, [2], 2)]
