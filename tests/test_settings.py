"""Every number that a class of this project takes as a setting has a range; what lies outside is refused by name.

The classes are found, not listed: one that is added is tried too.
"""

import inspect
import math
import pkgutil
import re
import typing
from importlib import import_module
from pathlib import Path

import pytest
from lightning.pytorch import Callback

import callbacks
import mentor_pl
from mentor_pl.algorithms.base import Algorithm
from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.algorithms.parts.gates import Gate
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.schedules import AlphaSchedule
from mentor_pl.decoding.engine.lookahead import LookaheadSchedule
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.models.lora import LoRA
from mentor_pl.problems.selection import Selection
from mentor_pl.rewards.base import Reward
from mentor_pl.rewards.format import FormatReward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.parallel import FSDP2Strategy
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.dynamic_sampling import DynamicSampling
from mentor_pl.training.module import MentorModule
from mentor_pl.training.pools import DifficultyPools

KINDS = (Algorithm, Blend, Gate, Term, AlphaSchedule, LookaheadSchedule, Sampler, Reward, Benchmark, Callback)
OTHERS = [
    SamplingParams, Selection, DynamicSampling, DifficultyPools, FSDP2Strategy, LoRA, MentorModule, RolloutDataModule,
]  # fmt: skip
# What a constructor cannot do without.
REQUIRED = {
    "policy": "mentor_pl/testbed/maze/finished/policy",
    "train": "train.jsonl",
    "name": "maze",
    "allow_execution": True,
    "rewards": [FormatReward()],
    "weights": [1.0],
    "values": [1.0],
    "starts": [0],
    "reward": FormatReward(),
    "max_tokens": 8,
    "buffer": 2,
    "benchmarks": [Benchmark("maze")],
    "monitor": "train/loss",
    "mode": "min",
}
COMMANDS = "mentor_pl.cli."  # whose classes no YAML names
INFINITE = {"max_grad_norm"}  # no clipping


def classes():
    for package in (mentor_pl, callbacks):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    found, todo = [*OTHERS], list(KINDS)
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        named = kind.__module__.startswith(("mentor_pl.", "callbacks.")) and not kind.__module__.startswith(COMMANDS)
        if named and not inspect.isabstract(kind):
            found.append(kind)
    return sorted(set(found), key=lambda kind: kind.__qualname__)


def bad_values():
    """(class, setting, value) of every number, or list of numbers, that a class takes."""
    for kind in classes():
        hints = typing.get_type_hints(kind.__init__)
        for name in inspect.signature(kind).parameters:
            hint = hints.get(name)
            inner = [hint, *typing.get_args(hint)]
            if int not in inner and float not in inner:
                continue
            values = [-1] if int in inner else [math.nan, *([] if name in INFINITE else [math.inf])]
            for value in values:
                whole = [value] if typing.get_origin(hint) in (list, tuple) else value
                yield pytest.param(kind, name, whole, id=f"{kind.__name__}-{name}-{value}")


@pytest.mark.parametrize(("kind", "name", "value"), list(bad_values()))
def test_a_number_outside_its_range_is_refused_by_name(kind, name, value, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    needed = {key: REQUIRED[key] for key in inspect.signature(kind).parameters if key in REQUIRED}
    with pytest.raises(UsageError) as refusal:
        kind(**{**needed, name: value})
    shown = str(value[0] if isinstance(value, list) else value)
    assert re.search(rf"{name}|{name.removesuffix('s')}", str(refusal.value))
    assert shown in str(refusal.value)
    assert ": give " in str(refusal.value)
