"""The memory of one rank that a run will need, by part.

    peak = what stays + max(decoding, update)

Weights, gradients, optimizer states and KV caches are exact. Activations are those of the largest micro-batch, all its
prompts and responses at their longest. Both are found by running the code on tensors without memory (`DryModel`).

Shapes: N rollouts of a rank, T response tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mentor_pl.algorithms.base import Algorithm, Graded, Need
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.memory import DecodingBytes, decoding_bytes
from mentor_pl.decoding.engine.slots import slots_for
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.dry_run import DryModel, tensor_bytes
from mentor_pl.models.lm_head import buffer_bytes
from mentor_pl.models.loading import ModelSource, Vocabulary
from mentor_pl.training.batching import micro_batches
from mentor_pl.types import Origin, Prompt

ROUNDS = 8  # of an algorithm that are looked at: those that draw anew until rewards suit them may never end
CUDA_BYTES = 2**30  # of CUDA's context and libraries: an assumption


@dataclass(frozen=True)
class Plan:
    """What of the settings decides how much memory a rank needs.

    Attributes:
        ranks: processes.
        sharded: whether the policy is sharded over them.
        half: bf16-mixed.
        cuda: on a GPU.
        gradient_checkpointing, micro_batch_tokens, mini_batches: as of `MentorModule`.
        prompts: of a rank and step.
        prompt_tokens: of the longest prompt.
        sampling: temperature, filters, maximum length.
        rows, cache_tokens: of the sampler.
    """

    ranks: int
    sharded: bool
    half: bool
    cuda: bool
    gradient_checkpointing: bool
    micro_batch_tokens: int
    mini_batches: int
    prompts: int
    prompt_tokens: int
    sampling: SamplingParams
    rows: int
    cache_tokens: int


@dataclass(frozen=True)
class Part:
    """A part of the memory: when it is held (`always`, `decoding` or `update`), and bytes."""

    name: str
    when: str
    bytes: int


def peak(parts: Sequence[Part]) -> int:
    """Bytes held at the worst moment."""
    held = {when: sum(part.bytes for part in parts if part.when == when) for when in ("always", "decoding", "update")}
    return held["always"] + max(held["decoding"], held["update"])


def rounds_of(algorithm: Algorithm, prompts: Sequence[Prompt], alpha: float) -> list[tuple[int, int]]:
    """Rows of the policy and of the mixture in each round, by asking the algorithm; rewards are 0 and 1 in turn."""
    rounds = algorithm.rounds(prompts, alpha, lambda count: [prompts[0]] * count)
    counts: list[tuple[int, int]] = []
    rows = next(rounds, [])
    while rows and len(counts) < ROUNDS:
        mixed = sum(row.origin == Origin.MIXTURE for row in rows)
        counts.append((len(rows) - mixed, mixed))
        rewards = torch.arange(len(rows)).remainder(2).float()
        graded = Graded(rows, torch.ones(len(rows), dtype=torch.int64), torch.ones(len(rows)), lambda r=rewards: r)  # type: ignore[misc]
        try:
            rows = rounds.send(graded)
        except StopIteration:
            break
    return counts


def optimizer_bytes(optimizer: Callable[[Any], Optimizer], shapes: Sequence[torch.Size]) -> int | None:
    """Bytes of the states after a step on parameters of these shapes; None for an optimizer that reads its numbers."""
    parameters = [torch.nn.Parameter(torch.empty(shape, device="meta")) for shape in shapes]
    made = optimizer(parameters)
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    try:
        made.step()
    except Exception:  # whatever it does to find that these tensors hold nothing
        return None
    return tensor_bytes(v for state in made.state.values() for v in state.values() if isinstance(v, Tensor))


class MemoryEstimate:
    """Estimates for one pair of models and one method, under any plan; no weights are loaded.

    Args:
        policy, expert: where the models come from; the expert where the algorithm asks one.
        vocabulary: V and the stop ids.
        algorithm: the method.
        optimizer: from parameters to an optimizer.
        guidance: how the sampler executes the algorithm's blend.
        rounds: from `rounds_of`, for one prompt.
    """

    def __init__(
        self,
        policy: ModelSource,
        expert: ModelSource | None,
        vocabulary: Vocabulary,
        algorithm: Algorithm,
        optimizer: Callable[[Any], Optimizer],
        guidance: Guidance | None,
        rounds: Sequence[tuple[int, int]],
    ) -> None:
        self.vocabulary, self.algorithm, self.optimizer = vocabulary, algorithm, optimizer
        self.guidance, self.rounds = guidance, rounds
        self.model = cache(lambda role, dtype: DryModel(expert if role == "expert" and expert else policy, dtype))
        self.has_expert = expert is not None
        self.activations = cache(self._activations)
        self.decoding = cache(self._decoding)
        self.states = cache(lambda ranks: optimizer_bytes(optimizer, self.policy.shard_shapes(ranks)))

    @property
    def policy(self) -> DryModel:
        """As it is trained: in float32."""
        return self.model("policy", torch.float32)

    @property
    def group(self) -> int:
        """Rollouts of a prompt."""
        return sum(own + mixed for own, mixed in self.rounds)

    def parts(self, plan: Plan) -> list[Part]:
        """What a rank holds, and when."""
        return list(chain(self._static(plan), self._while_decoding(plan), self._while_updating(plan)))

    def _static(self, plan: Plan) -> Iterator[Part]:
        shapes = self.policy.shard_shapes(plan.ranks if plan.sharded else 1)
        yield Part("policy weights, float32", "always", 4 * sum(map(torch.Size.numel, shapes)) + self._buffers())
        states = self.states(plan.ranks if plan.sharded else 1)
        if states is None:
            yield Part("optimizer states (not known; AdamW's)", "always", 8 * sum(map(torch.Size.numel, shapes)))
        else:
            yield Part("optimizer states", "always", states)
        dtype = torch.bfloat16 if plan.half else torch.float32
        kind = str(dtype).removeprefix("torch.")
        if self.has_expert:
            yield Part(f"expert weights, {kind}", "always", self.model("expert", dtype).weight_bytes)
        if Need.REFERENCE_LOGPROBS in self.algorithm.needs:
            yield Part(f"reference weights, {kind}", "always", self.model("policy", dtype).weight_bytes)
        if plan.cuda:
            yield Part("CUDA's context and libraries (assumed)", "always", CUDA_BYTES)

    def _buffers(self) -> int:
        return tensor_bytes(self.policy.model.buffers())

    def _while_decoding(self, plan: Plan) -> Iterator[Part]:
        if plan.sharded:
            size = 2 if plan.half else 4
            yield Part("policy weights, gathered to decode", "decoding", size * self.policy.parameters)
        calls = [self.decoding(self._computing(plan), plan.half, *call) for call in self._calls(plan)]
        if calls:
            worst = max(calls, key=lambda call: sum(vars(call).values()))
            yield Part("KV cache of the policy", "decoding", worst.policy_cache)
            if worst.expert_cache:
                yield Part("KV cache of the expert", "decoding", worst.expert_cache)
            yield Part("tokens sampled, logits of pending drafts", "decoding", worst.buffers)
            yield Part("work of a forward", "decoding", worst.work)

    def _calls(self, plan: Plan) -> Iterator[tuple[int, int, int, SamplingParams, bool]]:
        """Slots, rollouts, prompt tokens, sampling and whether mixed, of each call of the engine."""
        longest = plan.prompt_tokens + plan.sampling.max_new_tokens
        for per_prompt, mixed in chain.from_iterable(((own, False), (mixed, True)) for own, mixed in self.rounds):
            rollouts = plan.prompts * per_prompt
            slots = slots_for(rollouts, longest, plan.rows, plan.cache_tokens)
            if slots:
                yield slots, rollouts, plan.prompt_tokens, plan.sampling, mixed

    def slots(self, plan: Plan) -> int:
        """Rollouts decoded at a time, at most; 0 where the cache has no place for one."""
        return max((call[0] for call in self._calls(plan)), default=0)

    def _decoding(
        self, dtype: torch.dtype, half: bool, slots: int, rollouts: int, prompt_tokens: int, sampling: SamplingParams,
        mixed: bool,
    ) -> DecodingBytes:  # fmt: skip
        return decoding_bytes(
            self.model("policy", dtype),
            self.model("expert", torch.bfloat16 if half else torch.float32) if mixed and self.has_expert else None,
            half,
            slots=slots,
            rollouts=rollouts,
            prompt_tokens=prompt_tokens,
            sampling=sampling,
            vocabulary=self.vocabulary,
            guidance=self.guidance if mixed else None,
        )

    def _while_updating(self, plan: Plan) -> Iterator[Part]:
        shapes = self.policy.shard_shapes(plan.ranks if plan.sharded else 1)
        local = 4 * sum(map(torch.Size.numel, shapes))
        yield Part("gradients, float32", "update", local)
        if plan.sharded:
            layer, root = self.policy.largest_layer()
            size = 2 if plan.half else 4
            yield Part("layers gathered, their gradients", "update", 2 * size * (root + 2 * layer))
        micro_batch, dtype = self.micro_batch(plan), self._computing(plan)
        activations = self.activations(dtype, plan.half, plan.gradient_checkpointing, *micro_batch)
        prompts, responses, group = micro_batch
        tokens = sum(responses) + plan.prompt_tokens * len(set(group))
        head = buffer_bytes(
            sum(responses), self.vocabulary.size, self.policy.model.get_output_embeddings().weight.shape[1]
        )
        # a GPU's optimizers step all parameters at once, with a temporary copy; by then activations are gone
        step = local if plan.cuda else 0
        what = f"activations, {len(prompts)} rollouts of {tokens:,} tokens"
        yield Part(what, "update", max(activations - head, step - head, 0))
        yield Part("lm_head, a chunk of logits", "update", head)

    def micro_batch(self, plan: Plan) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The first of a mini-batch whose rollouts are all as long as may be: prompts, responses and groups."""
        group = torch.arange(max(1, plan.prompts // plan.mini_batches)).repeat_interleave(self.group)
        prompt, response = (
            torch.full_like(group, plan.prompt_tokens),
            torch.full_like(group, plan.sampling.max_new_tokens),
        )
        rows = micro_batches(prompt, response, group, plan.micro_batch_tokens, torch.arange(len(group)))[0]
        columns = (tuple(column[rows].tolist()) for column in (prompt, response, group))
        return next(columns), next(columns), next(columns)

    def _activations(self, dtype: torch.dtype, half: bool, checkpointing: bool, *micro_batch: Sequence[int]) -> int:
        policy = self.model("policy", dtype)
        return policy.update_bytes(
            *micro_batch, vocab_size=self.vocabulary.size, autocast=half, checkpointing=checkpointing
        )

    @staticmethod
    def _computing(plan: Plan) -> torch.dtype:
        """Of the policy's parameters in a forward: FSDP2 gathers them in bfloat16."""
        return torch.bfloat16 if plan.half and plan.sharded else torch.float32
