"""What the expert has read: per rollout the tokens in its KV cache, which follow the text as it grows and is cut.

Where the text turns out to go another way than the cache, what is behind the place where they part is forgotten by
moving a length. Prompts share the pages that they fill. A rollout whose pages are needed by another one is forgotten as
a whole, and read again when it is next asked about: a smaller cache is slower, with the same rollouts.

Shapes: R rollouts in use at a time, B rollouts of a forward, V ids of the expert.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.models.text_tokenizer import GrowingText, TextTokenizer, common
from mentor_pl.runtime.errors import UsageError

PAGE_TOKENS = {"cuda": 256}  # places of a page; on other devices
OTHERWISE = 64


@dataclass
class Read:
    """One rollout.

    Attributes:
        prompt: the expert's tokens of its prompt.
        text: the response.
        slot: where its pages are.
        cached: tokens whose keys and values are in the cache.
    """

    prompt: Sequence[int]
    text: GrowingText
    slot: int
    cached: list[int] = field(default_factory=list)


def pages_for(rows: int, cache_tokens: int, window: int, likely: int, kind: str, device: torch.device) -> PageTable:
    """The pages of an expert's cache.

    Args:
        rows, cache_tokens, window, likely: as of `Reader`.
        kind: type of the device that reads them.
        device: that they are on.
    """
    size = PAGE_TOKENS.get(kind, OTHERWISE)
    pages = max(1, min(cache_tokens // size, rows * -(-likely // size)))
    length = max(min(window, pages * size), size + 1)  # so that a row is several pages
    return PageTable(rows, length, size, pages, device)


class Reader:
    """The expert and its cache.

    Args:
        model: the expert.
        tokenizer: its own.
        rows: R.
        cache_tokens: places of its cache, over all rollouts.
        window: tokens of a rollout, at most.
        likely: tokens of a rollout that memory is set aside for; longer ones take it from others.
        device: of the model.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: TextTokenizer,
        rows: int,
        cache_tokens: int,
        window: int,
        likely: int,
        device: torch.device,
    ) -> None:
        self.pages = pages_for(rows, cache_tokens, window, likely, device.type, device)
        self.runner, self.tokenizer = ModelRunner(model, self.pages), tokenizer
        self.room = (self.pages.count - 1) * self.pages.size
        self.reads: dict[int, Read] = {}
        self.free = list(range(rows))
        self.tokens = 0  # read so far

    def forget(self, rollouts: Sequence[int]) -> None:
        """These rollouts are asked about no more, or not soon."""
        for rollout in rollouts:
            if rollout in self.reads:
                slot = self.reads.pop(rollout).slot
                self.pages.release(slot)
                self.free.append(slot)

    def read(self, rollout: int, prompt: Sequence[int]) -> Read:
        """What has been read of a rollout; at first as much of its prompt as another one has read."""
        if rollout not in self.reads:
            read = Read(prompt, GrowingText(self.tokenizer), self.free.pop())
            other = next((one for one in self.reads.values() if one.prompt == prompt), None)
            if other is not None:
                # never its last token, which is fed again for the logits behind it
                whole = min(len(prompt) - 1, len(other.cached)) // self.pages.size * self.pages.size
                self.pages.share(other.slot, read.slot, whole)
                read.cached = list(prompt[:whole])
            self.reads[rollout] = read
        return self.reads[rollout]

    def reserve(self, read: Read, places: int, busy: Container[int]) -> bool:
        """See that a rollout has pages for so many tokens, if need be those of others that are not `busy`.

        Raises:
            UsageError: where all pages are too few.
        """
        if places > self.room:
            raise UsageError(
                f"the expert reads {places} tokens of one rollout, but its KV cache has {self.room}: raise "
                "cache_tokens or rows, or lower max_new_tokens"
            )
        del read.cached[places:]
        self.pages.release(read.slot, len(read.cached))
        while not self.pages.reserve(read.slot, places):
            idle = (rollout for rollout, one in self.reads.items() if one is not read and rollout not in busy)
            longest_idle = next(idle, None)
            if longest_idle is None:
                return False
            self.forget([longest_idle])
        return True

    def feed(self, reads: Sequence[Read], wanted: Sequence[Sequence[int]]) -> Tensor:
        """Have the cache hold `wanted[b]` of each rollout, which has pages for it; the logits behind, [B, V]."""
        self.pages.upload()
        starts = [min(common(read.cached, ids), len(ids) - 1) for read, ids in zip(reads, wanted, strict=True)]
        counts = torch.tensor([len(ids) - start for ids, start in zip(wanted, starts, strict=True)])
        tokens = [token for ids, start in zip(wanted, starts, strict=True) for token in ids[start:]]
        logits = self.runner.forward(
            torch.tensor(tokens, device=self.runner.device),
            torch.tensor([read.slot for read in reads]),
            torch.tensor(starts),
            counts,
            counts.cumsum(0) - 1,
        )
        for read, ids in zip(reads, wanted, strict=True):
            read.cached = list(ids)
        self.tokens += len(tokens)
        return logits
