"""The words of a task as an ordinary Hugging Face tokenizer: one token per word between white space.

Encoding adds nothing, decoding joins words with single spaces, so the text of a rollout is what the reward parses.
There is no chat template: the problem is the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split, WhitespaceSplit
from transformers import PreTrainedTokenizerFast

PAD: Final = "<pad>"
EOS: Final = "<eos>"
UNKNOWN: Final = "<unk>"
DRILL: Final = "drill"  # opens the prompt of a drill, which no problem contains
SPECIAL: Final = (PAD, EOS, UNKNOWN)  # the first ids
MAX_LENGTH: Final = 96  # tokens of the longest problem and solution together, with room to spare


def build_pieces_tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """Another tokenizer of the same texts: digits are tokens of their own, and a space belongs to what follows it.

    Args:
        words: of the texts, without white space.
    """
    pieces = {piece for word in words for piece in re.findall(r"\d|[^\d]+", word)}
    spaced = {f" {piece}" for piece in pieces if not piece.isdigit()}
    ids = {piece: index for index, piece in enumerate([*SPECIAL, *sorted(pieces | spaced)])}
    backend = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    backend.pre_tokenizer = Split(Regex(r"\d| ?[^\d\s]+"), "isolated")
    backend.decoder = Fuse()
    return _fast(backend)


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
    return _fast(backend)


def _fast(backend: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
