"""The words of a task as an ordinary Hugging Face tokenizer: one token per word between white space.

Encoding adds nothing, decoding joins words with single spaces, so the text of a rollout is what the reward parses.
There is no chat template: the problem is the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

PAD: Final = "<pad>"
EOS: Final = "<eos>"
UNKNOWN: Final = "<unk>"
DRILL: Final = "drill"  # opens the prompt of a drill, which no problem contains
SPECIAL: Final = (PAD, EOS, UNKNOWN)  # the first ids
MAX_LENGTH: Final = 96  # tokens of the longest problem and solution together, with room to spare


def build_tokenizer(words: Sequence[str], phrases: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """The tokenizer of a task's models; `save_pretrained` writes it into a model folder. A word's place is its id.

    Args:
        words: without white space.
        phrases: texts that are one token each, wherever they stand; their ids follow those of the words.
    """
    ids = {word: index for index, word in enumerate([*SPECIAL, *words])}
    backend = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    backend.pre_tokenizer = WhitespaceSplit()
    backend.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
