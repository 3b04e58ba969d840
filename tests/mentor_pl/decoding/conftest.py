"""What the decoding tests share: noise keys, gates, toy models, one pair of tiny models per family, comparisons."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from mentor_pl.algorithms.parts.blends import Blend, GatedMixture
from mentor_pl.algorithms.parts.gates import EntropyGate, Gate
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, Samples, decoding
from mentor_pl.models.loading import Models
from mentor_pl.runtime.noise import rollout_keys

TEXTS = (
    "find the value of x",
    "we try",
    "wait , let us verify the product and the sum of 3 and 4",
    "the answer is",
    "<think> if x = 2 then",
)
FAMILIES = ["qwen2", "llama", "qwen3", "sliding"]
PER_CALL, END = 100_000, 4  # rollouts of the toy; the id that ends them


@pytest.fixture(scope="session")
def keys() -> Callable[..., Tensor]:
    """(n, seed=…, step=…) -> noise keys [n] of n prompts with one rollout each."""

    def make(n: int, seed: int = 11, step: int = 0) -> Tensor:
        return rollout_keys(seed, step, torch.arange(n), torch.zeros(n, dtype=torch.int64))

    return make


@pytest.fixture(scope="session")
def gate_of() -> Callable[[float], EntropyGate]:
    """γ_p -> an entropy gate that has it."""

    def make(gamma: float) -> EntropyGate:
        gate = EntropyGate()
        gate.observe([torch.tensor([gamma])])
        return gate

    return make


@pytest.fixture(scope="session")
def sample() -> Callable[..., Samples]:
    """(sampler, models, prompts, keys, sampling, gate or blend, limits=…, on_end=…) -> samples in eval mode."""

    def run(
        sampler: Sampler,
        models: Models,
        prompts: Sequence[Sequence[int]],
        keys: Tensor,
        sampling: SamplingParams,
        law: Gate | Blend | None = None,
        **options: Any,
    ) -> Samples:
        with decoding(models.policy):
            blend = GatedMixture(law) if isinstance(law, Gate) else law
            return sampler(models, prompts, keys, sampling, blend, **options)

    return run


@pytest.fixture(scope="session")
def counting(lookup_models: Callable[..., Models]) -> Callable[..., Models]:
    """(stop_ids, size=5) -> policy and expert that both count: 1 follows 0, 2 follows 1, and 0 follows size − 1."""

    def make(stop_ids: Sequence[int], size: int = 5) -> Models:
        table = torch.full((1, size, size), -50.0) + 100 * torch.eye(size).roll(1, 1)
        return lookup_models(table, table, stop_ids=stop_ids)

    return make


@pytest.fixture(scope="session")
def scripted(lookup_models: Callable[..., Models]) -> Callable[..., Models]:
    """(policy's tokens, expert's tokens, stop_ids) -> models that say the t-th of them whatever came before.

    They speak 8 ids, to prompts of one token. A tuple in place of a token makes its members equally likely.
    """

    def table(tokens: Sequence[int | tuple[int, ...]]) -> Tensor:
        logits = torch.full((len(tokens), 8, 8), -50.0)
        for place, token in enumerate(tokens):
            logits[place, :, list(token) if isinstance(token, tuple) else [token]] = 50
        return logits

    def make(policy: Sequence[Any], expert: Sequence[Any], stop_ids: Sequence[int] = (7,)) -> Models:
        return lookup_models(table(policy), table(expert), stop_ids=stop_ids)

    return make


@pytest.fixture(scope="session")
def family(request: pytest.FixtureRequest, build_models: Callable[..., Models]) -> Callable[[str], Models]:
    """Name of a family -> its tiny policy and expert, made once; about a thirtieth of all ids end a response.

    `qwen2` and `llama` have two query heads to a key head, `qwen3` has four in the policy, and `sliding` has layers
    that see 6 or 9 tokens. The stop ids hold the padding id 0.
    """
    made: dict[str, Models] = {}

    def get(name: str) -> Models:
        if name not in made:
            policy = request.getfixturevalue(f"{name}_folder")
            expert = request.getfixturevalue(f"{name}_expert_folder")
            made[name] = build_models(policy, expert, stop_ids=range(0, 40 if name == "llama" else 320, 29))
        return made[name]

    return get


@pytest.fixture(scope="session")
def toy(lookup_models: Callable[..., Models]) -> Models:
    """Policy and expert over t0 … t3 and <eos> (4), whose distributions depend on the place and on the last token."""
    generator = torch.Generator().manual_seed(3)
    return lookup_models(*(torch.randn(3, 5, 5, generator=generator) * 1.2 for _ in range(2)))


def shaped(logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Temperature and filters one token at a time, in float64: V logits -> V probabilities."""
    p = (logits.detach().double() / temperature).softmax(-1)
    ranked = sorted(range(len(p)), key=lambda token: -p[token])[: top_k or None]
    total, mass, kept = sum(float(p[token]) for token in ranked), 0.0, []
    for token in ranked:
        if mass < top_p * total:
            kept.append(token)
        mass += float(p[token])
    chosen = torch.zeros_like(p)
    chosen[kept] = p[kept]
    return chosen / chosen.sum()


@pytest.fixture(scope="session")
def joint_of(toy: Models) -> Callable[..., Tensor]:
    """(law, **shape) -> probability of every response of the toy of up to 3 tokens, [125].

    Each token is drawn from the law of (π_θ [5], π* [5]), in float64, behind those before it.
    """

    def joint(law: Callable[[Tensor, Tensor], Tensor], **shape: Any) -> Tensor:
        probabilities = torch.zeros(5, 5, 5, dtype=torch.float64)

        def extend(response: tuple[int, ...], probability: float) -> None:
            if len(response) == 3 or END in response:
                padded = (*response, 0, 0)[:3]
                probabilities[padded] += probability
                return
            place, last = len(response), response[-1] if response else 0  # the prompt is the token 0
            p, q = (shaped(model.table[place, last], **shape) for model in (toy.policy, toy.expert))
            for token, chance in enumerate(law(p, q).tolist()):
                extend((*response, token), probability * chance)

        extend((), 1.0)
        assert float(probabilities.sum()) == pytest.approx(1)
        return probabilities.flatten()

    return joint


@pytest.fixture(scope="session")
def counts_of(toy: Models, keys: Callable[..., Tensor], sample: Callable[..., Samples]) -> Callable[..., Tensor]:
    """(sampler, number of samples, gate or blend, **shape) -> how often every response of the toy came, [125]."""

    def count(sampler: Sampler, n: int, law: Gate | Blend | None, **shape: Any) -> Tensor:
        counts = torch.zeros(125, dtype=torch.int64)
        size = min(n, PER_CALL)
        for call in range(n // size):
            draws = SamplingParams(max_new_tokens=3, **shape)
            ids = sample(sampler, toy, [[0]] * size, keys(size, step=call), draws, law).ids
            counts += torch.bincount((ids * torch.tensor([25, 5, 1])).sum(-1), minlength=125)
        return counts

    return count


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest, family: Callable[[str], Models]) -> Models:
    """Policy and expert of one family."""
    return family(request.param)


@pytest.fixture(scope="module")
def rollouts(pair: Models, keys: Callable[..., Tensor]) -> tuple[list[list[int]], Tensor]:
    """8 rollouts to each of 5 prompts, of different lengths: prompts [40], keys [40]."""
    prompts = [pair.tokenizer(text)["input_ids"] for text in TEXTS for _ in range(8)]
    assert len({len(prompt) for prompt in prompts}) >= 4
    return prompts, keys(len(prompts))


@pytest.fixture(scope="session")
def equal_samples() -> Callable[..., None]:
    """(one, other, rows of one, up to …) asserts the same tokens and flags; numbers may differ by rounding."""

    def check(one: Samples, other: Samples, rows: Any = slice(None), tolerance: float = 1e-4) -> None:
        for name, values in vars(one).items():
            if not isinstance(values, Tensor):
                continue
            if values.dtype == torch.float32:
                assert torch.allclose(values[rows], getattr(other, name), rtol=0, atol=tolerance), name
            else:
                assert torch.equal(values[rows], getattr(other, name)), name

    return check
