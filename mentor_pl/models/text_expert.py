"""An expert of another family: policy and expert have no ids in common, but text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import PreTrainedTokenizerBase

from mentor_pl.models.source import ModelSource
from mentor_pl.models.text_tokenizer import TextTokenizer
from mentor_pl.models.vocabulary import Vocabulary, difference, shared_vocabulary


@dataclass(frozen=True)
class TextExpert:
    """What is known of an expert over ids of its own.

    Attributes:
        tokenizer: its own.
        vocabulary: its ids, its stop ids and its window.
        policy_tokenizer: the policy's.
        difference: where the two disagree on an id.
    """

    tokenizer: PreTrainedTokenizerBase
    vocabulary: Vocabulary
    policy_tokenizer: PreTrainedTokenizerBase
    difference: str = ""

    @cached_property
    def theirs(self) -> TextTokenizer:
        """Between its ids and text."""
        return TextTokenizer(self.tokenizer, "expert", self.vocabulary.stop_ids)

    @cached_property
    def ours(self) -> TextTokenizer:
        """Between the policy's ids and text."""
        return TextTokenizer(self.policy_tokenizer, "policy")


def text_expert(policy: ModelSource, expert: ModelSource | None) -> TextExpert | None:
    """What is known of an expert with ids of its own; None for one that shares the policy's.

    Raises:
        UsageError: where a tokenizer cannot be read, or is none that text can be read with.
    """
    if expert is None:
        return None
    ours, theirs = policy.tokenizer(), expert.tokenizer()
    other = difference(policy, ours, expert, theirs)
    if other is None:
        return None
    found = TextExpert(theirs, shared_vocabulary(expert, None)[1], ours, other)
    _ = found.ours, found.theirs  # which fail for tokenizers that text cannot be read with
    return found


def paired(
    policy: ModelSource, expert: ModelSource | None, stop_tokens: Sequence[str] | None = None
) -> tuple[PreTrainedTokenizerBase, Vocabulary, TextExpert | None]:
    """The policy's tokenizer, its ids as far as they are the expert's too, and the expert where it has its own.

    Args:
        stop_tokens: all tokens that end a response; by default those that end one for the policy, or for an expert with
            the same ids.

    Raises:
        UsageError: as `shared_vocabulary` and `text_expert`.
    """
    found = text_expert(policy, expert)
    return (*shared_vocabulary(policy, None if found is not None else expert, stop_tokens), found)
