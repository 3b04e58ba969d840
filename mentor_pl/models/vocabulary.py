"""The ids that policy and expert have in common, and what ends a response: known before weights are loaded.

π_mix adds the two distributions id by id. Embeddings may be padded differently inside one family (Qwen2.5: 151,936 or
152,064 rows), so both models' logits are cut to the tokenizer's ids. An expert with ids of its own is asked for text
(`text_expert.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from mentor_pl.models.source import ModelSource
from mentor_pl.runtime.errors import UsageError


@dataclass(frozen=True)
class Vocabulary:
    """The ids both models share.

    Attributes:
        size: number of ids of the tokenizer, V.
        stop_ids: ids that end a response, whoever says them: in training, on benchmarks and in the exported folder.
        window: tokens, prompt and response together, that both models can attend to.
    """

    size: int
    stop_ids: tuple[int, ...]
    window: int


def shared_vocabulary(
    policy: ModelSource, expert: ModelSource | None, stop_tokens: Sequence[str] | None = None
) -> tuple[PreTrainedTokenizerBase, Vocabulary]:
    """The policy's tokenizer and the ids it shares with the expert.

    Args:
        stop_tokens: all tokens that end a response; by default those that end one for the policy or for the expert.

    Raises:
        UsageError: where a model cannot be read, the two disagree on an id, an embedding is smaller than the
            tokenizer, nothing ends a response, or `stop_tokens` are none or lack the policy's end of sequence.
    """
    tokenizer = policy.tokenizer()
    ids = tokenizer.get_vocab()
    size = max(ids.values()) + 1
    stops: set[int] = set()
    windows: list[int] = []
    for source in (policy, expert):
        if source is None:
            continue
        config = source.config()
        theirs = tokenizer if source is policy else source.tokenizer()
        if source is not policy:
            other = difference(policy, tokenizer, source, theirs)
            if other is not None:
                raise UsageError(f"{other}, but equal ids are needed here: take an expert of the same family")
        if config.vocab_size < size:
            raise UsageError(
                f"{source.role} '{source.path}' embeds {config.vocab_size} ids, but the tokenizer has {size}: "
                "resize the embedding or take the model's own tokenizer"
            )
        stops |= source.stop_ids(theirs, config)
        windows.append(getattr(config, "max_position_embeddings", None) or 2**31)
    stops = {stop for stop in stops if stop < size}
    if stop_tokens is not None:
        stops = _ids_of(stop_tokens, ids, tokenizer)
    if not stops:
        raise UsageError(
            f"{policy.role} '{policy.path}' has no end-of-sequence token, so no response could end: set eos_token in "
            "its tokenizer_config.json or eos_token_id in its generation_config.json"
        )
    return tokenizer, Vocabulary(size, tuple(sorted(stops)), min(windows))


def _ids_of(stop_tokens: Sequence[str], ids: dict[str, int], tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The ids of the stop tokens; the tokenizer's own must be there, since it goes into the exported folder."""
    for token in stop_tokens:
        if token not in ids:
            raise UsageError(
                f"model.stop_tokens has {token!r}, which is no token of the policy: give tokens as its tokenizer.json "
                "spells them"
            )
    if tokenizer.eos_token is not None and tokenizer.eos_token not in stop_tokens:
        raise UsageError(
            f"model.stop_tokens is {list(stop_tokens)}, without {tokenizer.eos_token!r}, which ends a text by the "
            "policy's tokenizer, and so wherever the policy is used: add it"
        )
    return {ids[token] for token in stop_tokens}


def difference(
    policy: ModelSource, ours: PreTrainedTokenizerBase, expert: ModelSource, theirs: PreTrainedTokenizerBase
) -> str | None:
    """Where the two disagree on an id, or what the expert says that the policy has no id for; None where they agree.

    Special tokens that no response holds, and ids that pad an embedding, may be more.
    """
    by_id, by_their_id = ({i: token for token, i in one.get_vocab().items()} for one in (ours, theirs))
    for i in sorted(by_id):
        if by_id[i] != by_their_id.get(i):
            other = f"{by_their_id[i]!r}" if i in by_their_id else "nothing"
            return (
                f"expert '{expert.path}' has another vocabulary than policy '{policy.path}': id {i} is {by_id[i]!r} to "
                f"the policy and {other} to the expert"
            )
    special = {i for i, token in theirs.added_tokens_decoder.items() if token.special}
    special -= expert.stop_ids(theirs, expert.config())
    more = sorted(by_their_id.keys() - by_id.keys() - special)
    if more:
        count = "a token" if len(more) == 1 else f"{len(more)} tokens"
        named = f"{by_their_id[more[0]]!r} (id {more[0]})"
        return f"expert '{expert.path}' has {count} that policy '{policy.path}' lacks, such as {named}"
    return None
