import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_pairs import KINDS, characters, pairs
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Metaspace
from transformers import PreTrainedTokenizerFast

from mentor_pl.models.text_tokenizer import CUT_OFF, GrowingText, TextTokenizer, common
from mentor_pl.runtime.errors import UsageError

WITH_PIECES = [kind for kind in KINDS if kind != "metaspace"]
# what tokenizers treat apart: letters, digits, marks, contractions, line ends, spaces, characters of many bytes
ALPHABET = "ab Zé1 29\n\r\t.,'’sdtlvremLL-(\\{}$=中😀\u0301\u00a0"
texts = st.lists(st.sampled_from([*ALPHABET, "<think>", "<thin", "k>", "L c", "3", "the", " sum"]), max_size=20).map(
    "".join
)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def tokenizer(kind, tokenizer_of):
    return TextTokenizer(tokenizer_of(kind), "policy")


@pytest.mark.parametrize("kind", WITH_PIECES, indirect=True)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(text=texts, more=texts)
def test_no_further_text_changes_a_first_token(tokenizer, text, more):
    first = tokenizer.first_token(text, whole=False)
    if first is not None:
        assert tokenizer.first_token(text + more, whole=True) == first


@pytest.mark.parametrize("kind", ["gpt2", "qwen2", "llama3"], indirect=True)
@pytest.mark.parametrize(
    ("text", "token"),
    [
        (" the", None),  # "thereby"
        (" the ", None),  # two spaces would be another piece
        (" the a", None),
        (" the an", " the"),
        ("'l", None),  # "'ll"
        ("  \n  ", None),  # white space is taken together
        ("", None),
    ],
)
def test_a_piece_is_closed_by_three_characters_that_are_not_all_white_space(tokenizer, text, token):
    first = tokenizer.first_token(text, whole=False)
    assert (None if first is None else tokenizer.text([first])) == token


@pytest.mark.parametrize("kind", ["metaspace"], indirect=True)
def test_without_pieces_the_white_space_behind_a_word_closes_it_or_sixteen_characters(tokenizer):
    assert not tokenizer.has_pieces
    assert tokenizer.first_token(" verify", whole=False) is None
    behind = tokenizer.tokens("we").ids
    first = tokenizer.first_token(" verify x", whole=False)
    assert " verify".startswith(tokenizer.text([first], behind))
    assert tokenizer.first_token("q" * 15, whole=False) is None
    assert tokenizer.first_token("q" * 16, whole=False) == tokenizer.first_token("q" * 40, whole=True)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(steps=st.lists(st.tuples(st.integers(0, 12), texts), max_size=8))
def test_a_text_that_grows_and_is_cut_has_the_tokens_of_the_whole_text(tokenizer, steps):
    growing, text = GrowingText(tokenizer), ""
    for cut, more in steps:
        text = text[: max(0, len(text) - cut)] + more
        assert growing.tokenised(text) == tokenizer.tokens(text).ids


@pytest.mark.parametrize(("text", "more"), [("<think", ">"), ("a the s", "um"), ("1 <thin", "k>x")])
def test_a_token_that_is_found_wherever_it_stands_may_take_what_stands_before(tokenizer_of, text, more):
    tokenizer = TextTokenizer(tokenizer_of("added"), "policy")
    whole = tokenizer.tokens(text + more).ids
    assert len(whole) < len(tokenizer.tokens(text).ids) + 1
    growing = GrowingText(tokenizer)
    growing.tokenised(text)
    assert growing.tokenised(text + more) == whole
    assert tokenizer.first_token(text, whole=False) in (None, whole[0])


def test_the_end_alone_is_tokenised_anew(tokenizer_of, monkeypatch):
    tokenizer = TextTokenizer(tokenizer_of("qwen2"), "policy")
    growing, text = GrowingText(tokenizer), "so the sum of 3 and 4 is 7 .\n" * 40
    growing.tokenised(text)
    read, tokens = [], tokenizer.tokens
    monkeypatch.setattr(tokenizer, "tokens", lambda some: read.append(some) or tokens(some))
    growing.tokenised(text + "we")
    growing.tokenised(text[:-3] + "then")
    assert all(len(some) < 12 for some in read)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_ids_told_in_parts_make_the_text_of_all(tokenizer, data):
    ids = data.draw(st.lists(st.integers(1, tokenizer.size - 1), min_size=1, max_size=12))
    whole = tokenizer.text(ids)
    for cut in range(1, len(ids)):
        first = tokenizer.text(ids[:cut])
        if not first.endswith(CUT_OFF) and ids[cut - 1] not in tokenizer.bytes:
            assert first + tokenizer.text(ids[cut:], ids[:cut]) == whole


def test_text_behind_text_gets_no_space_in_front(tokenizer_of):
    tokenizer = TextTokenizer(tokenizer_of("metaspace"), "policy")
    with_space, without = tokenizer.tokens(" we").ids, tokenizer.tokens("we").ids
    assert with_space != without
    behind = tokenizer.tokens("so").ids
    assert tokenizer.text(without, behind) == "we"
    assert tokenizer.text(with_space, behind) == " we"


def test_special_tokens_are_text_where_text_spells_them_and_none_where_they_are_asked_away(tokenizer_of):
    tokenizer = TextTokenizer(tokenizer_of("qwen2"), "policy")
    end = tokenizer_of("qwen2").eos_token_id
    ids = tokenizer.tokens("a<|end|>b").ids
    assert end not in ids
    assert tokenizer.text(ids) == "a<|end|>b"
    assert tokenizer.text([end], tokenizer.tokens("a").ids) == "<|end|>"
    assert tokenizer.text([end], tokenizer.tokens("a").ids, special=False) == ""


def test_toys_divide_texts_as_their_tests_assume():
    one, two = TextTokenizer(characters(), "policy"), TextTokenizer(pairs(), "expert")
    assert one.tokens("abba").ids == [0, 1, 1, 0]
    assert [two.text([i]) for i in two.tokens("abbab").ids] == ["ab", "ba", "b"]


def test_a_tokenizer_of_another_kind_is_refused():
    with pytest.raises(UsageError, match=r"the expert's tokenizer is a object without a tokenizer\.json"):
        TextTokenizer(object(), "expert")


@pytest.mark.parametrize(
    ("one", "other", "alike"), [("", "a", 0), ("abc", "abd", 2), ("abc", "ab", 2), ("ab", "ab", 2)]
)
def test_how_far_two_texts_are_alike(one, other, alike):
    assert common(one, other) == common(other, one) == alike


def test_the_alphabet_of_these_tests_has_what_tokenizers_treat_apart():
    assert {"Lu", "Ll", "Nd", "Zs", "Cc", "Mn", "So", "Lo"} <= set(map(unicodedata.category, ALPHABET))


@pytest.mark.parametrize("kind", ["o200k"], indirect=True)
@pytest.mark.parametrize("ending", ["'re", "'ll"])
def test_a_contraction_may_be_a_part_of_the_word_before_it(tokenizer, ending):
    for end in range(1, len(ending)):
        assert tokenizer.first_token(f" they{ending[:end]}", whole=False) is None
    whole = tokenizer.tokens(f" they{ending} so").ids[0]
    assert tokenizer.first_token(f" they{ending} so", whole=False) == whole


@pytest.mark.parametrize("kind", ["added"], indirect=True)
def test_white_space_before_a_token_that_is_found_wherever_it_stands_is_open(tokenizer):
    """Behind two spaces a word takes one, `<think>` none."""
    space, both = tokenizer.tokens("  so").ids[0], tokenizer.tokens("  <think>").ids[0]
    assert space != both
    assert tokenizer.first_token("  <thi", whole=False) is None
    assert tokenizer.first_token("  <think>", whole=False) in (None, both)
    assert tokenizer.first_token("  sort", whole=False) == space


@pytest.mark.parametrize("kind", ["metaspace"], indirect=True)
def test_characters_of_bytes_are_told_whole_however_many_stand_before(tokenizer):
    """Four tokens back is inside a character here, and a line end is a byte that belongs to the same run."""
    byte = {name: tokenizer.backend.token_to_id(f"<0x{name}>") for name in ("F0", "9F", "9A", "80", "0A")}
    rocket = [byte[name] for name in ("F0", "9F", "9A", "80")]
    behind = [*tokenizer.tokens(" we").ids, *rocket, byte["0A"]]
    assert tokenizer.text(behind[-5:]) == "🚀\n"
    assert tokenizer.text([byte["0A"]], behind) == "\n"
    assert tokenizer.text(rocket, behind) == "🚀"
    assert tokenizer.text(rocket[:2], behind).endswith(CUT_OFF)


def test_a_lead_that_grows_into_one_token_with_the_text_is_another_one():
    """A line end, which leads, and one that begins the text are one token here."""
    backend = Tokenizer(BPE({"▁": 0, "\n": 1, "\n\n": 2, "S": 3, ".": 4, "a": 5, "<end>": 6}, [("\n", "\n")]))
    backend.pre_tokenizer = Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer = TextTokenizer(PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>"), "policy")
    assert tokenizer.tokens("\nS").ids == [1, 3]
    assert tokenizer.tokens("\n\nS").ids == [2, 3]
    assert tokenizer.tokens("S").ids == [3]
