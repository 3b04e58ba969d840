"""Toy pairs whose law can be enumerated, and tiny models of two families."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from text_pairs import TOKENS, characters, pairs, said, toy_pair, words_and_merges
from torch import Tensor

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, Samples
from mentor_pl.models.loading import Models
from mentor_pl.types import ExpertPrompt

TOYS: dict[str, Callable[[Callable[[str], Any]], Models]] = {
    "characters under pairs": lambda _: toy_pair(characters(), pairs()),
    "pairs under characters": lambda _: toy_pair(pairs(), characters()),
    "300 merges under words": words_and_merges,
}


@pytest.fixture(scope="module", params=TOYS)
def toy(request: pytest.FixtureRequest, tokenizer_of: Callable[[str], Any]) -> Models:
    return TOYS[request.param](tokenizer_of)


@pytest.fixture(scope="module")
def joint(toy: Models) -> dict[tuple[int, ...], float]:
    """Response of up to 4 tokens -> its probability where w = min(1, H / 2)."""
    assert toy.text_expert is not None
    table, stop = toy.policy.table.detach().double().softmax(-1), toy.vocabulary.stop_ids[0]
    found: dict[tuple[int, ...], float] = {}
    memory: dict[str, Tensor] = {}

    def extend(response: tuple[int, ...], probability: float) -> None:
        if len(response) == TOKENS or stop in response:
            found[response] = probability
            return
        policy = table[len(response), response[-1] if response else 0]
        text = toy.text_expert.ours.text(response, [0])
        if text not in memory:
            memory[text] = said(toy, text)
        w = min(1.0, float(torch.special.entr(policy).sum()) / 2)
        for token, chance in enumerate(((1 - w) * policy + w * memory[text]).tolist()):
            if chance:
                extend((*response, token), probability * chance)

    extend((), 1.0)
    assert sum(found.values()) == pytest.approx(1)
    return found


@pytest.fixture(scope="session")
def speaking(sample: Callable[..., Samples]) -> Callable[..., Samples]:
    """(sampler, models, prompts, expert prompts, keys, tokens, gate, …) -> samples."""

    def run(
        sampler: Sampler,
        models: Models,
        prompts: Sequence[Sequence[int]],
        expert_prompts: Sequence[Sequence[int]],
        keys: Tensor,
        tokens: int,
        law: Any,
        **options: Any,
    ) -> Samples:
        told = [ExpertPrompt(tuple(ids)) for ids in expert_prompts]
        return sample(
            sampler, models, prompts, keys, SamplingParams(max_new_tokens=tokens), law, expert_prompts=told, **options
        )

    return run
