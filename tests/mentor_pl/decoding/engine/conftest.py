"""What the engine's tests share: a pair of tiny models per family, prompts for it, other stop ids, a wary gate."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from torch import Tensor

from mentor_pl.algorithms.parts.gates import Gate
from mentor_pl.models.loading import Models

TEXTS = ("find the value of x", "we try", "wait , let us verify the product", "the answer is")


@pytest.fixture(scope="session")
def with_stops() -> Callable[[Models, Iterable[int]], Models]:
    """(models, stop ids) -> the same models, which end a response there."""
    return lambda models, stop_ids: replace(models, vocabulary=replace(models.vocabulary, stop_ids=tuple(stop_ids)))


@pytest.fixture(scope="module", params=["qwen2", "sliding"])
def pair(
    request: pytest.FixtureRequest,
    family: Callable[[str], Models],
    with_stops: Callable[[Models, Iterable[int]], Models],
) -> Models:
    """Policy and expert; one id in eleven ends a response, so that lengths differ."""
    return with_stops(family(request.param), range(0, 320, 11))


@pytest.fixture(scope="module")
def prompts(pair: Models) -> list[list[int]]:
    """2 rollouts to each of 4 prompts."""
    return [pair.tokenizer(text)["input_ids"] for text in TEXTS for _ in range(2)]


class Uncertain(Gate):
    """Guides whatever the policy is not certain of."""

    def __call__(self, drafts) -> Tensor:
        return (drafts.entropies > 0.1).float()


@pytest.fixture(scope="session")
def uncertain() -> Gate:
    return Uncertain()
