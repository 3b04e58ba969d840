"""From the models of a call to an expert that speaks text beside its drafts, and what cannot be had of one."""

from __future__ import annotations

from collections.abc import Sequence

from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.text.reader import Reader
from mentor_pl.decoding.text.saying import MOST_SAID, likely_tokens
from mentor_pl.decoding.text.verifier import TextVerifier
from mentor_pl.models.loading import Models
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import ExpertPrompt


def check_guidance(guidance: Guidance) -> None:
    """Refuse what asks for the expert's probabilities.

    Raises:
        UsageError: for it.
    """
    if not guidance.blend.lazy or guidance.every:
        raise UsageError(
            f"{type(guidance.blend).__name__} or the sampler asks for the expert's probabilities, but it has ids of "
            "its own, so its draws alone can be had: take the sampler mentor_pl.decoding.coin.Coin and a gate that the "
            "policy alone tells, such as EntropyGate, or an expert of the policy's family"
        )


def text_verifier(
    models: Models,
    drafts: Drafts,
    guidance: Guidance,
    prompts: Sequence[Sequence[int]],
    expert_prompts: Sequence[ExpertPrompt],
    cache_tokens: int,
    heal: bool,
) -> TextVerifier:
    """The expert of `models`, which has ids of its own, beside the drafts of the rollouts to `prompts` [N].

    Args:
        expert_prompts: [N] what it reads in their place.
        cache_tokens: places of its KV cache.
        heal: whether it goes back before its last token.

    Raises:
        UsageError: for a blend that asks for its probabilities, for prompts that it was not given or cannot read whole,
            and for a cache that one of them fills.
    """
    expert = models.text_expert
    assert expert is not None
    check_guidance(guidance)
    if len(expert_prompts) != len(prompts):
        raise UsageError(
            f"{len(expert_prompts)} prompts of the expert's for {len(prompts)} rollouts, but it has a tokenizer of its "
            "own: give each rollout an ExpertPrompt"
        )
    longest, window = max(len(prompt.ids) for prompt in expert_prompts), expert.vocabulary.window
    if longest + MOST_SAID > window:
        raise UsageError(
            f"a prompt has {longest} tokens by the expert's tokenizer, and it says up to {MOST_SAID} more, but it "
            f"attends to {window} at most: leave out long prompts"
        )
    reader = Reader(
        models.expert,
        expert.theirs,
        drafts.runner.pages.slots,
        cache_tokens,
        window,
        likely_tokens(longest, drafts.sampling.max_new_tokens, window),
        models.device,
    )
    own, stops = models.tokenizer.eos_token_id, models.vocabulary.stop_ids
    stop = own if own in stops else stops[0]
    return TextVerifier(drafts, guidance, reader, expert, expert.ours, stop, prompts, expert_prompts, heal)
