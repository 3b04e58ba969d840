"""What a guided token costs, counted by hand on the toys: characters, and pairs of them."""

import pytest
from text_pairs import characters, pairs, toy_pair

from mentor_pl.decoding.text.cost import Walk, walk
from mentor_pl.decoding.text.healing import Healing
from mentor_pl.decoding.text.saying import MOST_SAID
from mentor_pl.models.text_expert import TextExpert
from mentor_pl.models.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def singly():
    """An expert that says characters, under whom the policy says pairs."""
    return toy_pair(pairs(), characters()).text_expert


@pytest.fixture(scope="module")
def pairwise():
    """The other way round."""
    return toy_pair(characters(), pairs()).text_expert


def test_a_pair_is_fixed_by_three_characters_behind_it_or_by_the_end(singly):
    """At the first place a, b, a, b, a; at the second a, b, a, b and the end; at the third a, b and the end."""
    found = walk(singly, "ababab", [0], 9)
    assert found == Walk(ours=3, theirs=6, boundaries=2, apart=0, said=[5, 5, 3], again=[0, 0, 0])


def test_where_the_policy_stands_inside_a_token_of_the_expert_what_it_heard_is_read_again(pairwise):
    """ab|ba: behind `a` it hears a token a, behind `abb` a token b, which the whole text does not have.

    It says ab, ba; bb, a and the end; ba and the end; a and the end.
    """
    found = walk(pairwise, "abba", [0], 9)
    assert found == Walk(ours=4, theirs=2, boundaries=3, apart=2, said=[2, 3, 2, 2], again=[0, 1, 0, 1])


def test_healed_it_says_its_last_token_again(pairwise):
    """Behind `a` and `ab` it says ab, ba and the end."""
    assert walk(pairwise, "abba", [0], 9, Healing(pairwise.theirs)).said == [2, 3, 3, 2]


def test_some_places_at_equal_distances_are_looked_at_and_texts_are_summed(pairwise):
    some = walk(pairwise, "abba", [0], 2)
    assert (some.said, some.again) == ([2, 2], [0, 0])
    assert some + walk(pairwise, "", [0], 2) == some
    twice = some + some
    assert (twice.ours, twice.apart, twice.said) == (8, 4, [2, 2, 2, 2])


def test_places_inside_a_character_are_none(tokenizer_of):
    policy, expert = tokenizer_of("gpt2"), tokenizer_of("words")
    found = walk(TextExpert(expert, Vocabulary(len(expert), (0,), 512), policy), "ЖЖ", [0], 9)
    assert (found.ours, found.boundaries, len(found.said)) == (4, 1, 2)


def test_it_never_says_more_than_it_may(singly):
    long = TextExpert(singly.tokenizer, singly.vocabulary, singly.policy_tokenizer)
    long.ours.__dict__["has_pieces"], long.ours.characters = False, 40
    assert walk(long, "ab" * 20, [0], 1).said == [MOST_SAID]
