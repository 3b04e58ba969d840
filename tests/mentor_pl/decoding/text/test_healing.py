"""What an expert that says its last token again may say."""

import pytest
from text_pairs import KINDS, TEXTS, spelled
from transformers import PreTrainedTokenizerFast

from mentor_pl.decoding.text.healing import Healing
from mentor_pl.models.text_tokenizer import CUT_OFF, TextTokenizer


@pytest.mark.parametrize(("kind", "unknown"), [*((kind, None) for kind in KINDS), ("words", "<unk>")])
def test_a_token_may_be_said_again_as_itself(kind, unknown):
    """Also where no letter is a token, and what stands for unknown words is special, and so no text."""
    made = PreTrainedTokenizerFast(tokenizer_object=KINDS[kind](), eos_token="<|end|>", unk_token=unknown)
    tokenizer = TextTokenizer(made, "expert")
    healing = Healing(tokenizer)
    ids = [i for text in TEXTS for i in tokenizer.tokens(text).ids if i != made.unk_token_id]
    behind = ids[0]
    for i in set(ids[1:]):
        covered = tokenizer.text([i], [behind])
        assert not covered or CUT_OFF in covered or healing.allowed(covered)[i], (covered, i)


def test_a_part_is_no_way_where_nothing_says_the_rest():
    """Of `abc` the `a` cannot be said alone, since no token is, or begins with, `bc` or `b`."""
    tokenizer = TextTokenizer(spelled(["a", "c", "ab", "abc", "abcd", "d"], piece=".+"), "expert")
    allowed = Healing(tokenizer).allowed("abc").nonzero().flatten().tolist()
    assert allowed == [2, 3, 4]


def test_a_token_that_is_a_part_of_a_character_is_not_said_again():
    """Another part would make another character of it, which the response does not hold."""
    tokenizer = TextTokenizer(PreTrainedTokenizerFast(tokenizer_object=KINDS["gpt2"](), eos_token="<|end|>"), "expert")
    letter, character = tokenizer.tokens("a").ids, tokenizer.tokens("龍").ids
    assert len(character) == 3
    for parts in (1, 2, 3):
        heard = [*letter, *character[:parts]]
        assert Healing(tokenizer).gone_back(heard) == (heard, "")
    assert Healing(tokenizer).gone_back([*letter, *character, *letter]) == ([*letter, *character], "a")


def test_a_special_token_is_not_said_again():
    """It has no text that others could say: allowed would be none, and the draw one from nothing."""
    made = PreTrainedTokenizerFast(tokenizer_object=KINDS["words"](), eos_token="<|end|>", unk_token="<unk>")
    heard = made("we never verify", add_special_tokens=False)["input_ids"][:2]
    assert heard[1] == made.unk_token_id
    assert Healing(TextTokenizer(made, "expert")).gone_back(heard) == (heard, "")


def test_a_stop_token_says_no_text_again():
    """Drawn in the place of a text that it begins with, it would end the turn."""
    spelling = spelled(["<", "<|im_end|>", "a"], piece=".+")
    plain, ending = (Healing(TextTokenizer(spelling, "expert", stop_ids)) for stop_ids in ((), (1,)))
    assert plain.allowed("<").tolist()[:2] == [True, True]
    assert ending.allowed("<").tolist()[:2] == [True, False]
    assert plain.gone_back([2, 1]) == ([2], "<|im_end|>")
    assert ending.gone_back([2, 1]) == ([2, 1], "")
