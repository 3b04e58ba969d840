"""What an expert that says its last token again may say."""

import pytest
import torch
from text_pairs import KINDS, TEXTS
from transformers import PreTrainedTokenizerFast

from mentor_pl.decoding.text.healing import Healing
from mentor_pl.models.text_tokenizer import CUT_OFF, TextTokenizer


@pytest.mark.parametrize(("kind", "unknown"), [*((kind, None) for kind in KINDS), ("words", "<unk>")])
def test_a_token_may_be_said_again_as_itself(kind, unknown):
    """Also where no letter is a token, and what stands for unknown words is special, and so no text."""
    made = PreTrainedTokenizerFast(tokenizer_object=KINDS[kind](), eos_token="<|end|>", unk_token=unknown)
    tokenizer = TextTokenizer(made, "expert")
    healing = Healing(tokenizer, torch.device("cpu"))
    ids = [i for text in TEXTS for i in tokenizer.tokens(text).ids if i != made.unk_token_id]
    behind = ids[0]
    for i in set(ids[1:]):
        covered = tokenizer.text([i], [behind])
        assert not covered or CUT_OFF in covered or healing.allowed(covered)[i], (covered, i)
