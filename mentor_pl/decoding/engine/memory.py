"""What decoding will hold, found by decoding one step on tensors without memory.

Shapes: R slots, L places of a slot, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mentor_pl.decoding.engine.attention_metadata import Varlen
from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.kv_cache import cached_attention
from mentor_pl.decoding.engine.model_runner import CHUNK_TOKENS, SPAN_TOKENS, ModelRunner
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.decoding.engine.verify import DECIDED_ELEMENTS
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.text.reader import pages_for
from mentor_pl.decoding.text.saying import likely_tokens
from mentor_pl.models.dry_run import DryModel, tensor_bytes
from mentor_pl.models.vocabulary import Vocabulary

_CPU = torch.device("cpu")
_DECIDING = 6 * 4  # bytes per element while drafts are decided: both distributions, their residual, noise, in float32


@dataclass(frozen=True)
class DecodingBytes:
    """Bytes of one call of the engine.

    Attributes:
        policy_cache, expert_cache: of keys and values.
        buffers: of what is kept of each token, and of the policy's logits at pending drafts.
        work: peak of one forward, and of the expert's distributions.
    """

    policy_cache: int
    expert_cache: int
    buffers: int
    work: int


@dataclass(frozen=True)
class OwnIds:
    """What of an expert with ids of its own decides.

    Attributes:
        vocabulary: its ids and its window.
        prompt_tokens: of the longest prompt by its tokenizer.
        cache_tokens: as of the sampler.
        kind: type of the device.
    """

    vocabulary: Vocabulary
    prompt_tokens: int
    cache_tokens: int
    kind: str

    def pages(self, rows: int, max_new_tokens: int) -> PageTable:
        """Of its cache, beside so many rows of the policy."""
        window = self.vocabulary.window
        likely = likely_tokens(self.prompt_tokens, max_new_tokens, window)
        return pages_for(rows, self.cache_tokens, window, likely, self.kind, _CPU)


def decoding_bytes(
    policy: DryModel,
    expert: DryModel | None,
    autocast: bool,
    *,
    pages: PageTable,
    rollouts: int,
    prompt_tokens: int,
    sampling: SamplingParams,
    vocabulary: Vocabulary,
    guidance: Guidance | None,
    own: OwnIds | None = None,
) -> DecodingBytes:
    """Of a call with `rollouts` in `pages`, prompts of `prompt_tokens` and responses as long as they may be.

    Args:
        policy, expert: the models, the expert where there is `guidance`.
        pages: on the CPU.
        autocast: in bfloat16.
        own: of an expert with ids of its own.
    """
    slots = pages.slots
    keys = torch.zeros(rollouts, dtype=torch.int64)
    with torch.no_grad(), policy.running(autocast) as live, cached_attention(policy.model):
        runner = ModelRunner(policy.model.eval(), pages)
        drafts = Drafts(runner, keys.clone(), keys >= 0, sampling, vocabulary, guidance)
        drafts.step(slots, pages.length)
        cache = tensor_bytes([*runner.cache.keys, *runner.cache.values])
        buffers, work = live.now - cache, live.peak - live.now
    work = max(work, _read(policy, autocast, pages, prompt_tokens)[1])
    if expert is None or guidance is None:
        return DecodingBytes(cache, 0, buffers, work)
    if own is None:
        expert_cache, expert_work = _read(expert, autocast, pages, prompt_tokens)
        wanted = slots * guidance.schedule.look_ahead * vocabulary.size  # elements of logits, if all drafts wait
        decided = min(wanted, DECIDED_ELEMENTS)
    else:
        expert_cache, expert_work = _read(
            expert, autocast, own.pages(slots, sampling.max_new_tokens), own.prompt_tokens
        )
        wanted = decided = slots * own.vocabulary.size  # each row says a token
    expert_work = max(expert_work, expert.element_size * wanted + _DECIDING * decided)
    return DecodingBytes(cache, expert_cache, buffers, max(work, expert_work))


def _read(model: DryModel, autocast: bool, pages: PageTable, prompt_tokens: int) -> tuple[int, int]:
    """Bytes of the cache, and the peak beside it of a forward that reads prompts into it, as many as share one."""
    count = min(SPAN_TOKENS, prompt_tokens)
    some = torch.arange(max(1, min(pages.slots, CHUNK_TOKENS // count)))
    spans = Varlen(some, torch.zeros_like(some), torch.full_like(some, count), pages)  # on the host: not fake
    with torch.no_grad(), model.running(autocast) as live, cached_attention(model.model):
        runner = ModelRunner(model.model.eval(), pages)
        runner.read(torch.zeros(len(some) * count, dtype=torch.int64), spans, torch.zeros(1, dtype=torch.int64))
        cache = tensor_bytes([*runner.cache.keys, *runner.cache.values])
        return cache, live.peak - cache
