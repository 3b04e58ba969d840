r"""The testbed's vocabulary as an ordinary Hugging Face tokenizer: one token per word between white space.

Encoding adds nothing, decoding joins words with single spaces, so the text of a rollout is what the reward parses.
There is no chat template: the problem is the prompt.
"""

from __future__ import annotations

from typing import Final

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from mentor_pl.rewards.maze import CELLS, MOVES, OFF
from mentor_pl.testbed.problems import DRILL

PAD: Final = "<pad>"
EOS: Final = "<eos>"
UNKNOWN: Final = "<unk>"
_MARKS: Final = (
    "blocked",
    "goal",
    "start",
    DRILL,
    "<think>",
    "</think>",
    "try",
    "check",
    "yes",
    "no",
    r"\boxed{",
    "}",
)
VOCABULARY: Final = (PAD, EOS, UNKNOWN, *_MARKS, *MOVES, OFF, *CELLS)  # a word's place is its id
MAX_LENGTH: Final = 96  # tokens of the longest problem and solution together, with room to spare


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of both models; `save_pretrained` writes it into a model folder."""
    backend = Tokenizer(WordLevel({word: index for index, word in enumerate(VOCABULARY)}, unk_token=UNKNOWN))
    backend.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
