"""The law of an expert that speaks text: on toys whose tokenizers differ, all responses come as often as enumerated.

The tests that break it prove that the joint test would see it.
"""

from collections import Counter

import pytest
import torch
from text_pairs import TOKENS, said, same_family

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.text import verifier
from mentor_pl.models.text_tokenizer import GrowingText, TextTokenizer

ROWS, PER_CALL = 1_000, 20_000
# α of each test, on fixed noise. Power: of the broken ones below, the expert that goes on from old tokens is a χ²
# distance of 8e-3 away on pairs, the one whose first token is cut 0.5, and noise of the draft's own 3e-2.
ALPHA = 1e-3
MORE, FEWER, BROKEN = 1_000_000, 10_000, 8_000


@pytest.fixture(scope="module")
def p_value(toy, joint, keys, gate_of, speaking, chi_square):
    """(number of samples) -> of Pearson's test of the toy's responses against their joint distribution."""

    def test(n):
        counts, responses = Counter(), list(joint)
        for call in range(0, n, PER_CALL):
            size = min(n, PER_CALL)
            prompts = [[0]] * size
            samples = speaking(
                Coin(FixedK(3), rows=ROWS),
                toy,
                prompts,
                prompts,
                keys(size, step=call),
                TOKENS,
                gate_of(2.0),
            )
            pairs = zip(samples.ids.tolist(), samples.lengths.tolist(), strict=True)
            counts.update(tuple(ids[:length]) for ids, length in pairs)
        if not set(counts) <= set(responses):
            return 0.0
        return chi_square(torch.tensor([counts[one] for one in responses]), torch.tensor(list(joint.values())))

    return test


def test_responses_come_as_often_as_enumerated(p_value):
    assert p_value(FEWER) > ALPHA


@pytest.mark.slow
def test_responses_come_as_often_as_enumerated_in_a_million(p_value):
    assert p_value(MORE) > ALPHA


# of the three the toy in which a word of the expert ends inside a token of the policy
@pytest.mark.parametrize("toy", ["pairs under characters"], indirect=True)
def test_the_test_catches_the_first_piece_of_the_first_token_taken(p_value, monkeypatch):
    right = TextTokenizer.first_token
    monkeypatch.setattr(TextTokenizer, "first_token", lambda self, text, whole: right(self, text, whole or bool(text)))
    assert p_value(BROKEN) < 1e-9


# and the one in which the expert's tokens of a text are not those of its parts
@pytest.mark.parametrize("toy", ["characters under pairs"], indirect=True)
def test_the_test_catches_an_expert_that_goes_on_from_the_tokens_it_has_read_before(p_value, monkeypatch):
    def tokenised(self, text):
        ids = self.tokens.ids if text.startswith(self.text) else []
        begin = len(self.text) if ids else 0
        self.tokens = type(self.tokens)(ids + self.tokenizer.tokens(text[begin:]).ids, [], [])
        self.text = text
        return self.tokens.ids

    monkeypatch.setattr(GrowingText, "tokenised", tokenised)
    assert p_value(BROKEN) < 1e-9


def test_the_test_catches_noise_that_is_the_same_at_every_place(p_value, monkeypatch):
    right = verifier.keys_within
    monkeypatch.setattr(verifier, "keys_within", lambda keys, places: right(keys, torch.zeros_like(places)))
    assert p_value(BROKEN) < 1e-9


def test_the_test_catches_a_guided_draft_that_stands(p_value, monkeypatch):
    monkeypatch.setattr(verifier.TextVerifier, "_begin", lambda *_: None)
    assert p_value(BROKEN) < 1e-9


def distance(models, text):
    """Total variation between π̃* and π* behind a text."""
    heard = [0, *models.text_expert.theirs.tokens(text).ids]
    table = models.expert.table.detach().double().softmax(-1)
    exact = table[min(len(heard), len(table)) - 1, heard[-1]]
    return float((said(models, text) - exact).abs().sum() / 2)


@pytest.mark.parametrize(
    ("kind", "says"), [("words", ["the", "sum", "of", "3"]), ("gpt2", [" the", " sum", " verify", " ="])], ids=str
)
@pytest.mark.parametrize("text", ["", " the", " so the sum"])
def test_an_expert_of_the_same_family_whose_tokens_are_those_of_its_text_has_its_own_law(
    tokenizer_of, kind, says, text
):
    assert distance(same_family(tokenizer_of(kind), says), text) < 1e-12


def test_tokens_that_its_text_does_not_have_make_the_laws_differ(tokenizer_of):
    tokenizer = tokenizer_of("gpt2")
    models = same_family(tokenizer, [" the", " sum", " verify"])
    for token in ("\u0120s", "um"):  # which make the text of " sum"
        models.expert.table.data[..., tokenizer.convert_tokens_to_ids(token)] = 1.0
    assert 0.01 < distance(models, " the") < 0.2
