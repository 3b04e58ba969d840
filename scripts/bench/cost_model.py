"""What a step of MENTOR, and one of on-policy RL, takes at given shapes on given GPUs: a roofline, part by part.

A forward of T tokens, of which S are scored, that attends to n keys in all:

    FLOP     2 · body · T + 2 · head · S + 4 · layers · width · n          body: parameters but the two embeddings
    bytes    2 · (body + head) + c · n                                     c of keys and values per token
    seconds  max(FLOP / F, bytes / B) + t₀

    policy decoding       a forward over all rows per draft step; rows that have ended make room for those that wait
    expert verification   every K steps, of the rows with a guided token among K, 1 − (1 − f)^K; e tokens read and f
                          scored per token kept. A row keeps E(K) = (1 − (1 − r)^K) / r of K drafts, r = f · TV
    prefill               each prompt once per phase by the policy; once by the expert
    update, forward       every rollout and each prompt once, causal attention
    update, backward      twice that, and the forward again: gradient checkpointing
    update, optimizer     28 bytes per parameter of the shard: weights, gradients and two moments read, three written
    gathering             the sharded weights, once to decode; twice per micro-batch where computing does not hide it
    waiting               for the slowest rank: at the end of each phase of sampling, and of the update

MENTOR samples in two phases, since γ_p needs the policy rollouts' entropies. K is what `lookahead.FixedK` takes.
Not in it: grading (responses are graded while others are sampled), launches beyond t₀, and what kernels lose: F and B
are shares of the device's peak that are assumed. So figures are lower bounds, and ratios better than seconds.

Shapes: N rollouts of a rank and phase, t draft steps.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean

import numpy as np

from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.engine.timings import ForwardTimings

GATHERING, WAITING = "gathering weights", "waiting for the slowest rank"


@dataclass(frozen=True)
class Model:
    """A decoder.

    Attributes:
        body, head, parameters: parameters outside both embeddings, of the output embedding, and in all.
        layers: decoder layers.
        width, key_width: heads × their size; key heads × their size.
    """

    body: int
    head: int
    parameters: int
    layers: int
    width: int
    key_width: int

    @property
    def place(self) -> int:
        """Bytes of the keys and values of one token, bfloat16."""
        return 2 * 2 * self.layers * self.key_width

    def flops(self, tokens: float, scored: float, keys: float) -> float:
        """Of a forward."""
        return 2 * self.body * tokens + 2 * self.head * scored + 4 * self.layers * self.width * keys

    def bytes(self, keys: float) -> float:
        """That a forward reads."""
        return 2 * (self.body + self.head) + self.place * keys


@dataclass(frozen=True)
class Device:
    """A GPU.

    Attributes:
        name: of it.
        peak, bandwidth: FLOP in bfloat16 and bytes of memory per second.
        link: bytes per second to the others.
        compute_share, bandwidth_share: of the first two that is reached; assumed.
        start: t₀, seconds; assumed.
    """

    name: str = "A100-80GB"
    peak: float = 312e12
    bandwidth: float = 2.039e12
    link: float = 300e9
    compute_share: float = 0.5
    bandwidth_share: float = 0.8
    start: float = 2e-3

    def seconds(self, flops: float, read: float) -> float:
        """Of a forward, without t₀."""
        return max(flops / (self.peak * self.compute_share), read / (self.bandwidth * self.bandwidth_share))


@dataclass(frozen=True)
class Setting:
    """What a step is.

    Attributes:
        ranks: GPUs, over which the policy is sharded.
        prompts, group: of a step, over all ranks; rollouts of each.
        prompt_tokens: of each prompt.
        max_prompt_tokens, limit: longest prompt and response.
        mean, cut: tokens of a response on average, before the limit cuts; share that reaches the limit (log-normal).
        rows, cache_tokens: of the sampler.
        mini_batches, micro_batch_tokens: of the update.
        mixed: mixture rollouts of a group, under MENTOR.
        weight: mean w over their tokens, f.
        distance: TV(π*, π_θ) where the expert is asked; r = weight · distance.
        read: tokens that the expert reads per token kept, e.
        guided_steps: share of a run's steps that are guided; the paper's 120 of 200.
    """

    ranks: int = 8
    prompts: int = 128
    group: int = 8
    prompt_tokens: int = 256
    max_prompt_tokens: int = 1024
    limit: int = 8192
    mean: float = 1500
    cut: float = 0.01
    rows: int = 256
    cache_tokens: int = 2**18
    mini_batches: int = 2
    micro_batch_tokens: int = 16384
    mixed: int = 4
    weight: float = 0.1
    distance: float = 0.2
    read: float = 1.0
    guided_steps: float = 0.6

    def lengths(self) -> np.ndarray:
        """Of a step's rollouts, [ranks, N of all phases]: quantiles of the distribution, dealt at random."""
        z = NormalDist().inv_cdf
        sigma = z(1 - self.cut) - math.sqrt(z(1 - self.cut) ** 2 - 2 * math.log(self.limit / self.mean))
        mu = math.log(self.limit) - z(1 - self.cut) * sigma
        count = self.prompts * self.group
        drawn = [min(self.limit, math.exp(mu + sigma * z((i + 0.5) / count))) for i in range(count)]
        return np.random.default_rng(0).permutation(np.ceil(drawn)).reshape(self.ranks, -1)

    @property
    def slots(self) -> int:
        """Rollouts of a rank decoded at a time, at most."""
        return min(self.rows, self.cache_tokens // (self.max_prompt_tokens + self.limit))


@dataclass
class Cost:
    """Of a step on one rank: part -> seconds, and FLOP."""

    seconds: Counter[str] = field(default_factory=Counter)
    flops: Counter[str] = field(default_factory=Counter)

    def add(self, part: str, seconds: float, flops: float = 0.0) -> None:
        self.seconds[part] += seconds
        self.flops[part] += flops

    @property
    def total(self) -> float:
        return self.seconds.total()


def kept(drafts: int, rejected: float) -> float:
    """E(K), tokens kept of K drafts: (1 − (1 − r)^K) / r."""
    return (1 - (1 - rejected) ** drafts) / rejected if rejected else float(drafts)


def occupancy(steps: Sequence[float], slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows in use at each step [t], and their ages added up [t]: rollouts of so many steps [N] go through slots."""
    free = [0] * min(slots, len(steps))
    spans = []
    for count in steps:
        begin = heapq.heappop(free)
        spans.append((begin, begin + math.ceil(count)))
        heapq.heappush(free, spans[-1][1])
    begins, ends = (np.array(column) for column in zip(*spans, strict=True))
    rows, starts = np.zeros(ends.max() + 1), np.zeros(ends.max() + 1)
    for places, sign in ((begins, 1), (ends, -1)):
        np.add.at(rows, places, sign)
        np.add.at(starts, places, sign * begins)
    rows, starts = rows.cumsum()[:-1], starts.cumsum()[:-1]
    return rows, np.arange(len(rows)) * rows - starts


def look_ahead(policy: Model, expert: Model, setting: Setting, device: Device, rows: int) -> int:
    """K as the sampler chooses it, for so many rows."""
    keys = rows * (setting.prompt_tokens + setting.mean / 2)
    step = device.start + device.seconds(policy.flops(rows, rows, keys), policy.bytes(keys))
    timings = ForwardTimings(
        step, device.start + device.seconds(0, expert.bytes(0)), device.seconds(expert.flops(1, 0, 0), 0)
    )
    schedule = FixedK()
    schedule.begin(rows, lambda: timings)
    return schedule.best(max(1e-9, setting.weight * setting.distance))


def sampling(
    cost: Cost, lengths: np.ndarray, policy: Model, expert: Model | None, setting: Setting, device: Device
) -> None:
    """Add a phase of one rank: `lengths` [N] of its responses, mixed where there is an expert."""
    slots, drafts, share = min(setting.slots, len(lengths)), 1, 1.0
    if expert is not None:
        drafts = look_ahead(policy, expert, setting, device, slots)
        share = kept(drafts, setting.weight * setting.distance) / drafts
    rows, ages = occupancy(lengths / share, slots)
    keys = setting.prompt_tokens * rows + share * ages
    flops = policy.flops(rows, rows, keys)
    cost.add("policy decoding", _each(device, flops, policy.bytes(keys)), flops.sum())
    if expert is not None:
        rows, keys = rows[drafts - 1 :: drafts], keys[drafts - 1 :: drafts]
        asked = 1 - (1 - setting.weight) ** drafts
        tokens = drafts * share * rows
        flops = expert.flops(setting.read * tokens, setting.weight * tokens, setting.read * drafts * share * keys)
        happens = 1 - (1 - asked) ** rows
        cost.add("expert verification", _each(device, flops, expert.bytes(asked * keys), happens), flops.sum())
    prompts = len(lengths) / (setting.mixed if expert is not None else setting.group)
    for model in (policy, expert):
        if model is not None:
            read = model.flops(prompts * setting.prompt_tokens, 0, prompts * setting.prompt_tokens**2 / 2)
            cost.add("prefill", device.start + device.seconds(read, model.bytes(0)), read)


def _each(device: Device, flops: np.ndarray, read: np.ndarray, happens: np.ndarray | float = 1.0) -> float:
    """Seconds of forwards [t], each with its chance of taking place."""
    seconds = np.maximum(device.seconds(1, 0) * flops, device.seconds(0, 1) * read) + device.start
    return float((seconds * happens).sum())


def update(cost: Cost, lengths: np.ndarray, policy: Model, setting: Setting, device: Device) -> None:
    """Add the update of one rank on all its responses [N]; checkpointed activations, FSDP."""
    tokens = lengths.sum() + len(lengths) / setting.group * setting.prompt_tokens
    keys = ((lengths + setting.prompt_tokens) ** 2 / 2).sum()
    forward = policy.flops(tokens, lengths.sum(), keys)
    cost.add("update: forward, loss", device.seconds(forward, 0), forward)
    cost.add("update: backward", device.seconds(3 * forward, 0), 3 * forward)
    moved = 28 * policy.parameters / setting.ranks * setting.mini_batches
    cost.add("update: optimizer", device.seconds(0, moved))
    passes = max(setting.mini_batches, math.ceil(tokens / setting.micro_batch_tokens))
    shared = policy.parameters * (1 - 1 / setting.ranks) / device.link
    hidden = device.seconds(4 * forward, 0)
    # weights in bfloat16 before forward and backward, gradients in float32 after it
    cost.add(GATHERING, 2 * shared + max(0.0, passes * 8 * shared - hidden))


def step(
    policy: Model, expert: Model | None, setting: Setting, device: Device, *, two_phases: bool | None = None
) -> Cost:
    """A step of MENTOR, or without an expert of on-policy RL: the mean over ranks, and what they wait.

    Args:
        two_phases: whether a part of the rollouts is sampled after the others; by default where there is an expert.
    """
    ranks = [Cost() for _ in range(setting.ranks)]
    lengths, waited = setting.lengths(), 0.0
    first = lengths.shape[1] * (setting.group - setting.mixed) // setting.group
    if expert is not None if two_phases is None else two_phases:
        phases = [(lengths[:, :first], None), (lengths[:, first:], expert)]
    else:
        phases = [(lengths, expert)]
    for rows, model in phases:
        waited += _apart(ranks, rows, lambda cost, own: sampling(cost, own, policy, model, setting, device))  # noqa: B023
    waited += _apart(ranks, lengths, lambda cost, own: update(cost, own, policy, setting, device))
    mean = Cost()
    for part in ranks[0].seconds:
        mean.add(part, fmean(c.seconds[part] for c in ranks), fmean(c.flops[part] for c in ranks))
    mean.add(WAITING, waited)
    return mean


def _apart(ranks: Sequence[Cost], lengths: np.ndarray, work: Callable[[Cost, np.ndarray], None]) -> float:
    """Each rank's work on its own responses, added to its cost; returns what ranks wait for the slowest, on average."""
    spent = []
    for cost, own in zip(ranks, lengths, strict=True):
        before = cost.total
        work(cost, own)
        spent.append(cost.total - before)
    return max(spent) - fmean(spent)


def overhead(policy: Model, expert: Model, setting: Setting, device: Device) -> tuple[float, float]:
    """MENTOR's time ÷ on-policy RL's: of a guided step, and of a run."""
    ratio = step(policy, expert, setting, device).total / step(policy, None, setting, device).total
    return ratio, setting.guided_steps * ratio + 1 - setting.guided_steps


def rates(cost: Cost, setting: Setting) -> Mapping[str, float]:
    """Response tokens per second, all GPUs together: of sampling, and of the whole step."""
    parts = ("policy decoding", "expert verification", "prefill")
    tokens = float(setting.lengths().sum())
    return {"sampling": tokens / sum(cost.seconds[part] for part in parts), "step": tokens / cost.total}
