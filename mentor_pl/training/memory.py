"""The memory of one rank that a run will need, by part.

    peak = what stays + max(decoding, scoring, update)

Weights, gradients, optimizer states and KV caches are exact. Activations are those of the largest micro-batch, all its
prompts and responses at their longest. Both are found by running the code on tensors without memory (`DryModel`).

Shapes: N rollouts of a rank, T response tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.algorithms.parts.losses.base import Need
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.memory import DecodingBytes, OwnIds, decoding_bytes
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.dry_run import DryModel, tensor_bytes
from mentor_pl.models.lm_head import buffer_bytes
from mentor_pl.models.lora import LoRA
from mentor_pl.models.packed_weights import packed_bytes
from mentor_pl.models.source import ModelSource
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.training.plan import Plan, RoundRows

PHASES = ("decoding", "scoring", "update")
CUDA_BYTES = 2**30  # of CUDA's context and libraries: an assumption
_CPU = torch.device("cpu")
_DIVERGENCES = frozenset({Need.REVERSE_KL, Need.FORWARD_KL})


@dataclass(frozen=True)
class Part:
    """A part of the memory: when it is held (`always`, or in one of `PHASES`), and bytes."""

    name: str
    when: str
    bytes: int


def peak(parts: Sequence[Part]) -> int:
    """Bytes held at the worst moment."""
    held = {when: sum(part.bytes for part in parts if part.when == when) for when in ("always", *PHASES)}
    return held["always"] + max(held[phase] for phase in PHASES)


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
        rounds: from `rounds_of`.
        adapter: to be trained in place of the policy's weights.
        expert_ids: of an expert that has its own.
    """

    def __init__(
        self,
        policy: ModelSource,
        expert: ModelSource | None,
        vocabulary: Vocabulary,
        algorithm: Algorithm,
        optimizer: Callable[[Any], Optimizer],
        guidance: Guidance | None,
        rounds: Sequence[RoundRows],
        adapter: LoRA | None = None,
        expert_ids: Vocabulary | None = None,
    ) -> None:
        self.vocabulary, self.algorithm, self.optimizer = vocabulary, algorithm, optimizer
        self.expert_ids = expert_ids
        self.guidance, self.rounds = guidance, rounds
        sources = {"policy": (policy, adapter), "reference": (policy, None), "expert": (expert or policy, None)}
        self.model = cache(lambda role, dtype: DryModel(sources[role][0], dtype, sources[role][1]))
        self.has_expert = expert is not None
        self.hint = max((one.hint for one in rounds), default=0)
        self.activations, self.reading = cache(self._activations), cache(self._reading)
        self.decoding = cache(self._decoding)
        self.states = cache(lambda ranks: optimizer_bytes(optimizer, self.policy.shard_shapes(ranks, trained=True)))

    @property
    def policy(self) -> DryModel:
        """As it is trained: in float32."""
        return self.model("policy", torch.float32)

    @property
    def group(self) -> int:
        """Rollouts of a prompt that are learned from; one at least."""
        return max(1, sum(one.trained for one in self.rounds))

    def parts(self, plan: Plan, phases: Sequence[str] = PHASES) -> list[Part]:
        """What a rank holds, and when: always, and in some phases."""
        plan = self._hinted(plan)
        found = dict(zip(PHASES, (self._while_decoding, self._while_scoring, self._while_updating), strict=True))
        held = chain(self._static(plan), *(found[phase](plan) for phase in phases))
        return [part for part in held if part.when in ("always", *phases)]

    def _hinted(self, plan: Plan) -> Plan:
        """With the longest contexts that the method makes of prompts, as long as a response has room behind them."""
        room = self.vocabulary.window - plan.sampling.max_new_tokens
        return replace(plan, prompt_tokens=max(plan.prompt_tokens, min(plan.prompt_tokens + self.hint, room)))

    def _static(self, plan: Plan) -> Iterator[Part]:
        policy, states = self._elements(plan), self.states(plan.shards)
        held = "update" if plan.optimizer_placement == "offloaded" else "always"
        yield Part("policy weights, float32", "always", 4 * policy + tensor_bytes(self.policy.model.buffers()))
        if states is None:
            yield Part("optimizer states (not known; AdamW's)", held, 8 * self._elements(plan, trained=True))
        else:
            yield Part("optimizer states", held, states)
        kind = str(plan.frozen_dtype).removeprefix("torch.")
        if self.has_expert and plan.expert_placement == "replicated":
            yield Part(f"expert weights, {kind}", "always", self.model("expert", plan.frozen_dtype).weight_bytes)
        elif self.has_expert and plan.expert_placement == "sharded":
            part = -(-self.model("expert", plan.frozen_dtype).weight_bytes // plan.ranks)
            yield Part(f"expert weights, {kind}, a part", "always", part)
        if self.algorithm.uses_reference:
            yield Part(f"reference weights, {kind}", "always", self.model("reference", plan.frozen_dtype).weight_bytes)
        if plan.cuda:
            yield Part("CUDA's context and libraries (assumed)", "always", CUDA_BYTES)

    def _elements(self, plan: Plan, *, trained: bool = False) -> int:
        """Of the policy's parameters on this rank, or of those that are trained."""
        return sum(map(torch.Size.numel, self.policy.shard_shapes(plan.shards, trained=trained)))

    def _expert_in_use(self, plan: Plan, phase: str) -> Iterator[Part]:
        if self.has_expert and plan.expert_placement != "replicated":
            yield Part("expert weights, whole", phase, self.model("expert", plan.frozen_dtype).weight_bytes)

    def _while_decoding(self, plan: Plan) -> Iterator[Part]:
        yield from self._gathered(plan, "decoding")
        yield from self._expert_in_use(plan, "decoding")
        how, own = (plan.forward_dtype, plan.half, plan.prompt_tokens, plan.sampling), self._own_ids(plan)
        calls = [self.decoding(*how, *call, own) for call in self._calls(plan)]
        if calls:
            worst = max(calls, key=lambda call: sum(vars(call).values()))
            yield Part("KV cache of the policy", "decoding", worst.policy_cache)
            if worst.expert_cache:
                yield Part("KV cache of the expert", "decoding", worst.expert_cache)
            yield from self._packed(plan, worst.expert_cache > 0)
            yield Part("tokens sampled, logits of pending drafts", "decoding", worst.buffers)
            yield Part("work of a forward", "decoding", worst.work)

    def _packed(self, plan: Plan, mixed: bool) -> Iterator[Part]:
        """Copies of weights in the layout that a CPU's kernels read."""
        if not (plan.cuda or plan.half):
            sources = [("policy", plan.forward_dtype), *[("expert", plan.frozen_dtype)] * mixed]
            copies = sum(packed_bytes(self.model(role, dtype).model) for role, dtype in sources)
            if copies:
                yield Part("weights packed for the CPU's kernels", "decoding", copies)

    def _own_ids(self, plan: Plan) -> OwnIds | None:
        if self.expert_ids is None:
            return None
        return OwnIds(self.expert_ids, plan.expert_prompt_tokens, plan.cache_tokens, "cuda" if plan.cuda else "cpu")

    def _calls(self, plan: Plan) -> Iterator[tuple[tuple[int, int, int, int], int, bool]]:
        """Arguments of its pages, rollouts and whether mixed, of each call of the engine."""
        apart = self.algorithm.drafter == "initial"
        kinds = [((one.policy, 0), (0, one.mixed)) if apart else ((one.policy, one.mixed),) for one in self.rounds]
        counts = [(policy + mixed, mixed > 0) for policy, mixed in chain.from_iterable(kinds)]
        for per_prompt, mixed in counts:
            rollouts = plan.prompts * per_prompt
            pages = PageTable.fitting(rollouts, plan.longest, *plan.cache, _CPU)
            if pages.slots:
                yield (pages.slots, pages.length, pages.size, 0 if pages.whole else pages.count - 1), rollouts, mixed

    def slots(self, plan: Plan) -> int:
        """Rollouts decoded at a time, at most; 0 where the cache has no place for one, or none is sampled."""
        return max((pages[0] for pages, *_ in self._calls(self._hinted(plan))), default=0)

    def _decoding(
        self,
        dtype: torch.dtype,
        half: bool,
        prompt_tokens: int,
        sampling: SamplingParams,
        pages: tuple[int, int, int, int],
        rollouts: int,
        mixed: bool,
        own: OwnIds | None,
    ) -> DecodingBytes:
        return decoding_bytes(
            self.model("policy", dtype),
            self.model("expert", torch.bfloat16 if half else torch.float32) if mixed and self.has_expert else None,
            half,
            pages=PageTable(*pages, _CPU),
            rollouts=rollouts,
            prompt_tokens=prompt_tokens,
            sampling=sampling,
            vocabulary=self.vocabulary,
            guidance=self.guidance if mixed else None,
            own=own,
        )

    def _gathered(self, plan: Plan, phase: str) -> Iterator[Part]:
        if plan.sharded:
            whole = plan.forward_dtype.itemsize * self.policy.parameters
            yield Part("policy weights, gathered to decode", phase, whole)

    def _while_scoring(self, plan: Plan) -> Iterator[Part]:
        """Whatever reads whole responses before the update, the largest of them."""
        algorithm = self.algorithm
        wanted = [
            ("policy", plan.forward_dtype, algorithm.uses_traces or algorithm.drafter != "policy"),
            ("expert", plan.frozen_dtype, Need.EXPERT_LOGPROBS in algorithm.needs),
            ("reference", plan.frozen_dtype, Need.REFERENCE_LOGPROBS in algorithm.needs),
        ]
        rows = replace(plan, mini_batches=1).micro_batch(self.group)
        work = [self.reading(role, dtype, plan.half, *rows) for role, dtype, needed in wanted if needed]
        if work:
            yield from self._gathered(plan, "scoring")
            yield from self._expert_in_use(plan, "scoring")
            yield Part("work of a pass over responses", "scoring", max(work))

    def _reading(self, role: str, dtype: torch.dtype, half: bool, *micro_batch: Sequence[int]) -> int:
        model, size = self.model(role, dtype), self.vocabulary.size
        return model.reading_bytes(*micro_batch, vocab_size=size, autocast=half)

    def _while_updating(self, plan: Plan) -> Iterator[Part]:
        local = 4 * self._elements(plan, trained=True)
        yield Part("gradients, float32", "update", local)
        if plan.sharded:
            both = (self.policy.largest_layer(trained=trained) for trained in (False, True))
            gathered = sum(root + 2 * layer for layer, root in both)  # the next is gathered while one computes
            yield Part("layers gathered, their gradients", "update", plan.forward_dtype.itemsize * gathered)
        prompts, responses, group = plan.micro_batch(self.group)
        needs = self.algorithm.needs
        divergent, rows = bool(needs & _DIVERGENCES), (prompts, responses, group)
        held = self.activations(plan.forward_dtype, plan.half, plan.gradient_checkpointing, divergent, *rows)
        if divergent or Need.CHOICE_LOGPROBS in needs:  # the expert reads first, and is done when the policy begins
            yield from self._expert_in_use(plan, "update")
            held = max(held, self.reading("expert", plan.frozen_dtype, plan.half, *rows))
        head = buffer_bytes(sum(responses), self.vocabulary.size, self.policy.head_shape[1], expert=divergent)
        # a GPU's optimizers step all parameters at once, with a temporary copy; by then activations are gone
        step = local if plan.cuda else 0
        tokens = sum(responses) + plan.prompt_tokens * len(set(group))
        what = f"activations, {len(prompts)} rollouts of {tokens:,} tokens"
        yield Part(what, "update", max(held - head, step - head, 0))
        yield Part("lm_head, a chunk of logits" + ", the expert's beside" * divergent, "update", head)

    def _activations(
        self, dtype: torch.dtype, half: bool, checkpointing: bool, divergent: bool, *micro_batch: Sequence[int]
    ) -> int:
        size, policy = self.vocabulary.size, self.model("policy", dtype)
        expert = self.model("expert", torch.bfloat16 if half else torch.float32) if divergent else None
        return policy.update_bytes(
            *micro_batch, vocab_size=size, autocast=half, checkpointing=checkpointing, expert=expert
        )
