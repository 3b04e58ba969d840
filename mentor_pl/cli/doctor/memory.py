"""Memory by part against what the device has, and what to change where it does not fit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace

import torch

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.report import Finding, detail, ok, problem, size, warning
from mentor_pl.decoding.engine.cache_size import MAX_PLACES
from mentor_pl.decoding.engine.sampler import BatchedSampler
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.rewards.base import Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.machine import host_memory, resident
from mentor_pl.runtime.parallel import FSDP2Strategy
from mentor_pl.training.fitting import fits, fitting, fitting_cache, ranks_that_fit
from mentor_pl.training.memory import MemoryEstimate, Part, peak
from mentor_pl.training.plan import Plan, rounds_of

# of the memory that may be planned with: allocators keep what is freed, the C library's up to a third of what is used
_GPU_SHARE, _HOST_SHARE = 0.95, 0.75
_ASSUMED_PLACES = 2**18  # of caches that are as large as there is room for, where no memory is to be seen


def examine(configuration: Configuration) -> list[Finding]:
    """The parts, their sum, and the remedies."""
    plan, estimate = plan_of(configuration), estimate_of(configuration)
    if plan is None:
        return [warning(f"not estimated: {type(configuration.data.sampler).__name__} is no BatchedSampler")]
    if estimate is None:
        return [warning("not estimated: the models' configurations are needed")]
    if getattr(configuration.data.sampler, "cache_tokens", 0) is None and _memory(plan):  # as many as there is room for
        plan = fitting_cache(estimate, replace(plan, cache_tokens=MAX_PLACES), _room(plan))
    parts = estimate.parts(plan)
    findings = [_counted(estimate, plan)]
    findings += [detail(f"{part.name:<47}{size(part.bytes):>11}  {part.when}") for part in parts]
    return [*findings, *_verdict(configuration, estimate, plan, parts), *_on_host(configuration, estimate, plan)]


def plan_of(configuration: Configuration) -> Plan | None:
    """What of the settings decides; None for a sampler that is not on the engine."""
    data, trainer, model = configuration.data, configuration.trainer, configuration.arguments
    sampler = data.sampler
    if not isinstance(sampler, BatchedSampler):
        return None
    prompts = configuration.problems.prompts if configuration.problems else ()
    return Plan(
        ranks=trainer.world_size,
        sharded=isinstance(trainer.strategy, FSDP2Strategy),
        half=str(trainer.precision).startswith("bf16"),
        cuda=configuration.cuda,
        gradient_checkpointing=model["gradient_checkpointing"],
        micro_batch_tokens=model["micro_batch_tokens"],
        mini_batches=model["mini_batches"],
        prompts=-(-data.prompts_per_step // trainer.world_size),
        prompt_tokens=max((len(prompt.token_ids) for prompt in prompts), default=data.max_prompt_tokens),
        sampling=data.sampling,
        rows=sampler.rows,
        cache_tokens=sampler.cache_tokens or _ASSUMED_PLACES,
        page_tokens=sampler.page_tokens_on("cuda" if configuration.cuda else "cpu"),
        expert_placement=model["expert_placement"],
        optimizer_placement=model["optimizer_placement"],
        shard_size=getattr(trainer.strategy, "shard_size", None),
        expert_prompt_tokens=configuration.expert_prompt_tokens or data.max_prompt_tokens,
    )


def estimate_of(configuration: Configuration) -> MemoryEstimate | None:
    """An estimate for these models and this method; None where a configuration cannot be read."""
    algorithm, sampler, model = configuration.algorithm, configuration.data.sampler, configuration.arguments
    try:
        config = configuration.policy.config()
        if configuration.expert is not None:
            configuration.expert.config()
    except UsageError:  # told beside the models
        return None
    blend = algorithm.blend
    return MemoryEstimate(
        configuration.policy,
        configuration.expert,
        configuration.vocabulary or Vocabulary(config.vocab_size, (0,), 2**31),
        algorithm,
        model["optimizer"],
        sampler.guidance(blend) if blend is not None and isinstance(sampler, BatchedSampler) else None,
        rounds_of(algorithm, configuration.data.sampling.max_new_tokens, model["alpha"]),
        model["adapter"],
        configuration.text_expert.vocabulary if configuration.text_expert is not None else None,
    )


def _counted(estimate: MemoryEstimate, plan: Plan) -> Finding:
    own, few = f"policy of {estimate.policy.parameters:,} parameters", estimate.policy.trained_parameters
    own += f", of which {few:,} are trained" if few < estimate.policy.parameters else ""
    each = f"for each of {plan.ranks} processes" if plan.ranks > 1 else "for the one process"
    return ok(f"{own}, {estimate.group} rollouts a problem, {estimate.slots(plan)} decoded at a time; {each}:")


def _verdict(configuration: Configuration, estimate: MemoryEstimate, plan: Plan, parts: list[Part]) -> list[Finding]:
    """The sum against what there is."""
    base, need = 0 if plan.cuda else resident(), peak(parts)
    own = f" beside {size(base)} of Python and its libraries" if base else ""
    what = f"{size(need)} at the peak{own}"
    have = _memory(plan)
    if not have:
        return [
            warning(
                f"{what}; there is no GPU here to compare it with", "compare it with yours, and leave a twentieth free"
            )
        ]
    room = _room(plan)
    if need <= room:
        return [ok(f"{what}, of {size(have)} that a process has")]
    text, changed = f"{what}, but a process has {size(have)}", fitting(estimate, plan, room)
    if fits(estimate, changed, room):
        return [problem(text, f"it fits with {options(plan, changed, configuration)}")]
    ranks = ranks_that_fit(estimate, changed, room) if plan.cuda else None  # processes of a host share its memory
    if ranks:
        return [
            problem(
                text, f"shard it over {ranks} devices: --config configs/trainer/fsdp.yaml --trainer.devices={ranks}"
            )
        ]
    return [
        problem(text, "no setting of these makes it fit: lower data.sampling.max_new_tokens, or take smaller models")
    ]


def _memory(plan: Plan) -> int:
    """Bytes that a process has; 0 where nothing tells."""
    return gpu_memory() if plan.cuda else host_memory() // max(1, plan.ranks)


def _room(plan: Plan) -> float:
    """Bytes of them that may be planned with."""
    return _GPU_SHARE * _memory(plan) if plan.cuda else _HOST_SHARE * _memory(plan) - resident()


def options(plan: Plan, changed: Plan, configuration: Configuration) -> str:
    """What to add to the command line for a changed plan."""
    kind = type(configuration.data.sampler)
    spelled = {
        "gradient_checkpointing": "--model.gradient_checkpointing=true",
        "expert_placement": "--model.expert_placement=offloaded",
        "micro_batch_tokens": f"--model.micro_batch_tokens={changed.micro_batch_tokens}",
        "cache_tokens": f"--data.sampler={kind.__module__}.{kind.__qualname__} "
        f"--data.sampler.cache_tokens={changed.cache_tokens}",
    }
    return " ".join(text for name, text in spelled.items() if getattr(plan, name) != getattr(changed, name))


def _on_host(configuration: Configuration, estimate: MemoryEstimate, plan: Plan) -> Iterator[Finding]:
    """What the host's memory must hold beside: whole models while they are loaded, and graders."""
    have = host_memory()
    nodes = max(1, configuration.trainer.num_nodes)
    if plan.cuda and have:
        need = 4 * estimate.policy.parameters * (1 if plan.sharded else plan.ranks // nodes)
        who = "which one process reads for all" if plan.sharded else "for each process"
        text = f"loading takes {size(need)} of the host's memory, a policy in float32, {who}, of {size(have)}"
        remedy = "start fewer processes on a machine, or give it more memory"
        yield ok(text) if need < have else (warning if configuration.missing else problem)(text, remedy)
        if plan.expert_placement == "offloaded" and estimate.has_expert:
            kept = estimate.model("expert", plan.frozen_dtype).weight_bytes * plan.ranks // nodes
            text = f"the offloaded expert takes {size(kept)} of the host's memory, {size(have)}, whole for each process"
            yield ok(text) if kept < have else warning(text, "set model.expert_placement to sharded")
        states = estimate.states(plan.shards)
        if plan.optimizer_placement == "offloaded" and states:
            kept = states * plan.ranks // nodes
            text = f"the offloaded optimizer states take {size(kept)} of the host's memory, {size(have)}"
            yield ok(text) if kept < have else warning(text, "set model.optimizer_placement to device")
    for name, workers, each in graders(configuration.data.reward):
        total = workers * each * plan.ranks // nodes
        text = f"{name}: {workers} workers a process, {size(each)} each at most (memory_mb)"
        yield (
            ok(text)
            if total < have or not have
            else warning(
                f"{text}: {size(total)} of {size(have)} if all of them need it",
                "lower workers or memory_mb of the reward",
            )
        )


def graders(reward: Reward) -> Iterator[tuple[str, int, int]]:
    """Name, workers and bytes of each of the rewards within `reward` that were given such limits."""
    for inner in getattr(reward, "rewards", ()):
        yield from graders(inner)
    if reward.made_with is None:
        return
    given, named = reward.made_with
    bound = inspect.signature(type(reward).__init__).bind(reward, *given, **named)
    bound.apply_defaults()
    if {"workers", "memory_mb"} <= bound.arguments.keys():
        yield type(reward).__name__, bound.arguments["workers"], bound.arguments["memory_mb"] * 2**20


def gpu_memory() -> int:
    """Bytes of the smallest GPU; 0 where there is none."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return min((torch.cuda.get_device_properties(i).total_memory for i in range(count)), default=0)
