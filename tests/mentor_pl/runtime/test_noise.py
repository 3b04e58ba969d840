"""Keyed noise: uniform, independent wherever keys differ, and the same numbers for ever.

Statistical tests run on fixed keys, so they are deterministic; α = 1e-4 each is how often another choice of keys would
fail by chance.
"""

import math

import pytest
import torch

from mentor_pl.runtime import noise
from mentor_pl.runtime.noise import COIN, DRAFT, RESIDUAL, draft_and_coin, exponential, rollout_keys, uniform

ALPHA = 1e-4
N = 2**17
STREAMS = {"draft": DRAFT, "coin": COIN, "residual": RESIDUAL}


def keys(seed=7, step=3, first_prompt=0, first_rollout=0):
    """N keys: 8 rollouts of each of N / 8 prompts."""
    rows = torch.arange(N)
    return rollout_keys(seed, step, rows // 8 + first_prompt, rows % 8 + first_rollout)


def at(position):
    return torch.full((N,), position)


def kolmogorov_p(sample):
    """p-value of the Kolmogorov–Smirnov test against the uniform distribution, by the asymptotic series."""
    ordered = sample.double().sort().values
    n = len(ordered)
    ranks = torch.arange(n + 1, dtype=torch.float64) / n
    distance = torch.maximum((ranks[1:] - ordered).max(), (ordered - ranks[:-1]).max())
    terms = torch.arange(1, 101, dtype=torch.float64)
    series = (-1.0) ** (terms - 1) * (-2 * terms.square() * n * distance.square()).exp()
    return float((2 * series.sum()).clamp(0, 1))


def of_ids_up_to(size, k, positions, stream):
    """The uniform numbers that the exponential noise of `size` ids is made of."""
    return -torch.expm1(-exponential(k, positions, stream, size))


def sample_of(kind, stream):
    """N numbers of one stream along one axis of the key."""
    if kind == "rollouts":
        return uniform(keys(), at(0), stream)
    if kind == "positions":
        return uniform(keys()[:1].expand(N), torch.arange(N), stream)
    if kind == "ids":
        return of_ids_up_to(N, keys()[:1], at(0)[:1], stream).squeeze(0)
    return uniform(torch.arange(N), at(0), stream)  # raw neighbouring keys


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("kind", ["rollouts", "positions", "ids", "raw keys"])
def test_noise_is_uniform_along_every_axis(kind, stream, chi_square):
    # Power: Kolmogorov's critical distance at N = 2¹⁷ and α is 2.2 / √N = .006, so a distribution function that is off
    # by .01 anywhere is caught; χ² over 256 cells catches an rms error of 4 % in the cells' probabilities.
    sample = sample_of(kind, stream)
    assert kolmogorov_p(sample) > ALPHA
    counts = torch.histc(sample, 256, 0, 1)
    assert chi_square(counts, torch.full((256,), 1 / 256)) > ALPHA


@pytest.mark.parametrize("bit", [0, 8, 20])
def test_low_bits_are_fair_coins(bit):
    bits = (uniform(keys(), at(0), COIN).double() * 2**24).long() >> bit & 1
    # of N fair coins, 4 standard deviations are 2 √N
    assert abs(int(bits.sum()) - N / 2) < 2 * N**0.5


def draft(key, position=0):
    return uniform(key, at(position), DRAFT)


def of_id(token, stream):
    return of_ids_up_to(token + 1, keys(), at(0), stream)[:, token]


def of_ids(step):
    """Noise of 64 ids beside that of the 64 that lie `step` further, for N / 64 rollouts."""
    table = of_ids_up_to(64 + step, keys()[: N // 64], at(5)[: N // 64], DRAFT)
    return table[:, :64].flatten(), table[:, step:].flatten()


LOW, HIGH = torch.arange(N) // 362, torch.arange(N) % 362 + 1000  # two parts of a key that can be swapped

# name -> two columns [N] of noise that differ in one part of the key
PAIRS = {
    "draft and coin": lambda: (draft(keys()), uniform(keys(), at(0), COIN)),
    "coin and residual": lambda: (uniform(keys(), at(0), COIN), uniform(keys(), at(0), RESIDUAL)),
    "coin and an id's draft": lambda: (uniform(keys(), at(0), COIN), of_id(0, DRAFT)),
    "coin and an id's residual": lambda: (uniform(keys(), at(0), COIN), of_id(0, RESIDUAL)),
    "draft and residual of an id": lambda: (of_id(1, DRAFT), of_id(1, RESIDUAL)),
    "positions": lambda: (draft(keys(), 0), draft(keys(), 1)),
    "distant positions": lambda: (draft(keys(), 0), draft(keys(), 4096)),
    "rollouts": lambda: (draft(keys()), draft(keys(first_rollout=1))),
    "prompts": lambda: (draft(keys()), draft(keys(first_prompt=1))),
    "steps": lambda: (draft(keys()), draft(keys(step=4))),
    "seeds": lambda: (draft(keys()), draft(keys(seed=8))),
    "step and seed swapped": lambda: (draft(keys(seed=7, step=3)), draft(keys(seed=3, step=7))),
    "prompt and rollout swapped": lambda: (
        draft(rollout_keys(7, 3, LOW, HIGH)),
        draft(rollout_keys(7, 3, HIGH, LOW)),
    ),
    "rollout and position swapped": lambda: (
        uniform(rollout_keys(7, 3, LOW, LOW), HIGH, DRAFT),
        uniform(rollout_keys(7, 3, LOW, HIGH), LOW, DRAFT),
    ),
    "key and position swapped": lambda: (uniform(LOW, HIGH, DRAFT), uniform(HIGH, LOW, DRAFT)),
    "neighbouring keys": lambda: (draft(torch.arange(N)), draft(torch.arange(1, N + 1))),
    "keys that differ in the sign": lambda: (draft(torch.arange(N)), draft(torch.arange(N) - 2**63)),
    "ids of one number": lambda: (of_id(2, DRAFT), of_id(3, DRAFT)),
    "ids of neighbouring numbers": lambda: (of_id(1, DRAFT), of_id(2, DRAFT)),
    "neighbouring ids": lambda: of_ids(1),
    "distant ids": lambda: of_ids(1000),
}


def grid(one, other):
    """Counts over 16 × 16 cells of the unit square."""
    return torch.bincount((one * 16).long().clamp(max=15) * 16 + (other * 16).long().clamp(max=15), minlength=256)


@pytest.mark.parametrize("name", PAIRS)
def test_noise_is_independent_between(name, chi_square):
    # Power: over 16 × 16 cells and 2¹⁷ pairs a mean square contingency of .0014 is caught with probability .99: a
    # correlation of .04, or one pair in a hundred that is equal.
    assert chi_square(grid(*PAIRS[name]()), torch.full((256,), 1 / 256)) > ALPHA


def test_the_independence_test_notices_that_one_pair_in_eighty_is_equal(chi_square):
    one, other = PAIRS["positions"]()
    broken = torch.where(PAIRS["seeds"]()[1] < 1 / 80, one, other)
    assert chi_square(grid(one, broken), torch.full((256,), 1 / 256)) < ALPHA


def test_no_two_rollouts_share_a_key():
    assert len(torch.cat([keys(), keys(seed=8), keys(step=4)]).unique()) == 3 * N


def test_noise_lies_above_zero_and_up_to_one(monkeypatch):
    one = torch.tensor([1])
    for name in ("_mix", "_mix_in_place"):
        monkeypatch.setattr(noise, name, torch.zeros_like)  # the smallest that the bits can say
    assert uniform(one, one, DRAFT).item() == 2.0**-33
    assert exponential(one, one, DRAFT, 3).tolist() == [[2.0**-32] * 3]
    for name in ("_mix", "_mix_in_place"):
        monkeypatch.setattr(noise, name, lambda x: torch.full_like(x, -1))  # and the greatest
    assert uniform(one, one, DRAFT).item() == 1.0
    assert exponential(one, one, DRAFT, 3).tolist() == [[float("inf")] * 3]


def test_exponential_noise_has_the_exponential_distribution():
    sample = exponential(keys()[:128], at(2)[:128], RESIDUAL, N // 128).flatten()
    assert kolmogorov_p(1 - (-sample).exp()) > ALPHA
    assert sample.dtype == torch.float32


def test_a_row_gets_the_same_noise_in_any_batch():
    k, positions = keys()[:50], torch.arange(50) % 7
    whole = exponential(k, positions, DRAFT, 40)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(exponential(k[order], positions[order], DRAFT, 40), whole[order])
    alone = torch.cat([exponential(k[i : i + 1], positions[i : i + 1], DRAFT, 40) for i in range(50)])
    assert torch.equal(alone, whole)
    prompts, rollouts = torch.arange(50) // 5, torch.arange(50) % 5
    assert torch.equal(
        rollout_keys(1, 2, prompts, rollouts)[order], rollout_keys(1, 2, prompts[order], rollouts[order])
    )


def test_an_ids_noise_does_not_depend_on_the_size_of_the_vocabulary():
    k, places = keys()[:8], at(1)[:8]
    for size in (9, 10):
        assert torch.equal(exponential(k, places, DRAFT, size), exponential(k, places, DRAFT, 1000)[:, :size])


# SplitMix64 once more, on Python's own integers: a reference that shares nothing with the tensors.
def reference_mix(x):
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) % 2**64
    return x ^ x >> 31


def reference_fold(key, value):
    return reference_mix(key ^ reference_mix((value + 0x9E3779B97F4A7C15) % 2**64))


def reference_noise(seed, step, prompt, rollout, position, stream, token=None):
    """The uniform number of a decision, or the exponential one of an id."""
    key = 0
    for value in (seed, step, prompt, rollout):
        key = reference_fold(key, value)
    key = reference_mix((key + (4 * position + stream) * 0x9E3779B97F4A7C15) % 2**64)
    if token is None:
        return ((key >> 32) + 0.5) / 2**32
    pair = reference_mix((key + (token // 2 + 1) * 0x9E3779B97F4A7C15) % 2**64)
    half = (pair >> 32 if token % 2 else pair) % 2**31
    return -math.log1p(-(half + 0.5) / 2**31)


def test_noise_equals_splitmix_on_python_integers():
    prompts, rollouts, positions = torch.tensor([0, 5, 151664]), torch.tensor([0, 3, 7]), torch.tensor([0, 11, 8191])
    k = rollout_keys(2**40 + 1, 199, prompts, rollouts)
    for stream in STREAMS.values():
        rows = list(zip(prompts.tolist(), rollouts.tolist(), positions.tolist(), strict=True))
        expected = [reference_noise(2**40 + 1, 199, *row, stream) for row in rows]
        assert uniform(k, positions, stream).tolist() == pytest.approx(expected, rel=1e-6)
        expected = [[reference_noise(2**40 + 1, 199, *row, stream, token) for token in range(5)] for row in rows]
        assert exponential(k, positions, stream, 5).tolist() == [pytest.approx(row, rel=1e-6) for row in expected]


def test_the_stream_never_changes():
    # Golden numbers. A change here changes every run there ever was: no seed gives its old rollouts again.
    k = rollout_keys(42, 3, torch.tensor([7]), torch.tensor([1]))
    assert k.item() == -8257440703363254752
    got = [uniform(k, torch.tensor([5]), stream).item() for stream in (DRAFT, COIN, RESIDUAL)]
    assert got == pytest.approx([0.8369808793, 0.6074018478, 0.1256294549], rel=1e-6)
    ids = exponential(k, torch.tensor([5]), DRAFT, 3).squeeze(0).tolist()
    assert ids == pytest.approx([0.721824825, 0.176449984, 0.194206953], rel=1e-6)


def test_draft_and_coin_are_the_numbers_of_their_streams():
    some, positions = keys()[:50], torch.arange(50)
    draft, coin = draft_and_coin(some, positions, 33)
    assert torch.equal(draft, exponential(some, positions, DRAFT, 33))
    assert torch.equal(coin, uniform(some, positions, COIN))
