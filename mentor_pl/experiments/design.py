"""What an experiment is, fixed before it is run: methods × settings × seeds, an outcome, and when its claims hold.

    cell        one run: (method, setting, seed); a setting has one value of each grid
    summary     last  mean of the last n evaluations
                area  area under the curve of all evaluations (trapezoids) ÷ the steps between first and last
    claim       method beats `against` by more than `threshold` in `outcome`, in each setting
    holds               Holm-adjusted one-sided p of  d > threshold  is ≤ level     d = difference, paired by seed
    does not hold       Holm-adjusted one-sided p of  d < threshold  is ≤ level
    cannot be told      neither

The hash is that of the design with all defaults and with the contents of the configurations it names: comments, order
of keys and white space do not change it, a value does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from mentor_pl.experiments.typed import read_yaml, typed
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check, check_seed

ALL = "all"  # the setting of a design without grids
OWN = ("seed_everything", "data.steps", "trainer.logger", "resume", "ckpt_path", "config")  # what each cell sets itself
_NAME = re.compile(r"\w[\w.+-]*")

Overrides = Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """What is put over the base: configurations, then single settings by their dotted key."""

    configs: tuple[str, ...] = ()
    overrides: Overrides = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """One value of a grid."""

    label: str
    overrides: Overrides = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """A metric of the run and how its evaluations become one number.

    Attributes:
        metric: as logged, such as val/maze/avg@8.
        summary: last or area.
        last: how many evaluations `last` is the mean of.
    """

    metric: str
    summary: Literal["last", "area"] = "last"
    last: int = 3

    @property
    def name(self) -> str:
        """In words."""
        how = f"mean of the last {self.last} evaluations" if self.summary == "last" else "mean height of the curve"
        return f"{self.metric}, {how}"


@dataclass(frozen=True)
class Comparison:
    """A claim: `method` beats `against` by more than `threshold`.

    Attributes:
        method: the one that is claimed to be better.
        against: the other; by default the design's baseline.
        direction: whether better is greater or less.
        threshold: the smallest difference that would count, in units of the outcome.
    """

    method: str
    against: str | None = None
    direction: Literal["greater", "less"] = "greater"
    threshold: float = 0.0


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        arguments: of `mentor fit`, all but those that say where the run lies.
        identity: hash of these arguments and of the configurations they name.
    """

    method: str
    setting: str
    seed: int
    arguments: tuple[str, ...]
    identity: str

    @property
    def name(self) -> str:
        """Also the folder, below that of all cells."""
        return f"{self.method}/{self.setting}/seed{self.seed}"


@dataclass(frozen=True)
class Design:
    """An experiment.

    Attributes:
        question: what it is to answer, in a sentence.
        base: configurations under every method's.
        methods: name -> what it puts over the base.
        seeds: of `seed_everything`; the runs of one seed are compared with one another.
        steps: batches of rollouts of every run, its `data.steps`.
        primary: the outcome that the claims are about.
        baseline: the method that the others are compared with.
        comparisons: the claims; by default that each method beats the baseline.
        settings: grid -> its values; every method is run with each combination.
        overrides: settings of every run.
        secondary: metrics that are reported beside, summarised as the primary outcome is; nothing is tested on them.
        level: of the tests, after Holm's correction over all claims of the design.

    Raises:
        UsageError: for what does not go together.
    """

    question: str
    base: tuple[str, ...]
    methods: Mapping[str, Method]
    seeds: tuple[int, ...]
    steps: int
    primary: Outcome
    baseline: str
    comparisons: tuple[Comparison, ...] = ()
    settings: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)
    overrides: Overrides = field(default_factory=dict)
    secondary: tuple[str, ...] = ()
    level: float = 0.05
    contents: Mapping[str, Any] = field(init=False, repr=False)  # configuration -> its settings

    def __post_init__(self) -> None:
        check("steps", self.steps, at_least=1, because="it counts batches of rollouts")
        check("level", self.level, above=0, below=1, because="it is a probability")
        check("primary.last", self.primary.last, at_least=1, because="it counts evaluations")
        for seed in self.seeds:
            check_seed("seeds", seed)
        _check_distinct("seeds", self.seeds)
        _check_names("methods", tuple(self.methods))
        for grid, choices in self.settings.items():
            _check_names(f"settings.{grid}", tuple(choice.label for choice in choices))
        self._check_comparisons()
        self._check_overrides()
        configs = dict.fromkeys([*self.base, *(one for method in self.methods.values() for one in method.configs)])
        object.__setattr__(self, "contents", {name: read_yaml(Path(name)) for name in configs})
        if not self.comparisons:
            others = tuple(Comparison(name, self.baseline) for name in self.methods if name != self.baseline)
            object.__setattr__(self, "comparisons", others)

    def _check_comparisons(self) -> None:
        known = f"methods are {', '.join(self.methods)}"
        if self.baseline not in self.methods:
            raise UsageError(f"baseline is {self.baseline!r}, but {known}: name one of them")
        for place, one in enumerate(self.comparisons):
            pair = {"method": one.method, "against": self.against(one)}
            for name, method in pair.items():
                if method not in self.methods:
                    raise UsageError(f"comparisons[{place}].{name} is {method!r}, but {known}: name one of them")
            if pair["method"] == pair["against"]:
                raise UsageError(f"comparisons[{place}] sets {one.method!r} against itself: give another `against`")
            check(f"comparisons[{place}].threshold", one.threshold, at_least=0, otherwise="and turn `direction`")
        _check_distinct("comparisons", self.comparisons, empty=True)

    def _check_overrides(self) -> None:
        groups = {"overrides": self.overrides}
        groups |= {f"methods.{name}.overrides": method.overrides for name, method in self.methods.items()}
        for grid, choices in self.settings.items():
            groups |= {f"settings.{grid} {one.label}: overrides": one.overrides for one in choices}
        for place, keys in groups.items():
            for key in keys:
                if any(key == own or key.startswith(f"{own}.") for own in OWN):
                    rule = "every cell has its own: give `seeds` and `steps`"
                    raise UsageError(f"{place} sets {key}, but {rule}, or name the output folder by --out")

    def against(self, comparison: Comparison) -> str:
        """The method that a claim's is compared with."""
        return comparison.against if comparison.against is not None else self.baseline

    def combinations(self) -> dict[str, Overrides]:
        """Setting -> its overrides."""
        chosen = product(*([(grid, one) for one in choices] for grid, choices in self.settings.items()))
        return {
            ",".join(f"{grid}={one.label}" for grid, one in pairs) or ALL: {
                key: value for _, one in pairs for key, value in one.overrides.items()
            }
            for pairs in chosen
        }

    def cells(self) -> list[Cell]:
        """All runs, seed by seed, so that those that are compared are done at about the same time."""
        return [
            self._cell(method, setting, overrides, seed)
            for seed in self.seeds
            for setting, overrides in self.combinations().items()
            for method in self.methods
        ]

    def _cell(self, name: str, setting: str, overrides: Overrides, seed: int) -> Cell:
        method = self.methods[name]
        configs = [*self.base, *method.configs]
        merged = {**self.overrides, **method.overrides, **overrides}
        arguments = [word for config in configs for word in ("--config", config)]
        for key, value in merged.items():
            arguments.append(f"--{key}={value if isinstance(value, str) else _plain(value)}")
        arguments += [f"--data.steps={self.steps}", f"--seed_everything={seed}"]
        identity = _hash([arguments, [self.contents[config] for config in configs]])
        return Cell(name, setting, seed, tuple(arguments), identity)

    def canonical(self) -> dict[str, Any]:
        """The design as plain values, all defaults filled in, with the contents of its configurations."""
        plain: dict[str, Any] = json.loads(_dump(asdict(self)))
        return plain

    @property
    def sha256(self) -> str:
        """The hash of `canonical`."""
        return _hash(self.canonical())


def read_design(path: Path) -> Design:
    """The design in a YAML file; paths of configurations are those of the current folder, as for `mentor fit`.

    Raises:
        UsageError: for a design that cannot be run, in one line with file, key, value and remedy.
    """
    settings = read_yaml(path)
    try:
        return typed(Design, settings)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)  # dates, which YAML knows


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _hash(value: Any) -> str:
    return hashlib.sha256(_dump(value).encode()).hexdigest()


def _check_distinct(key: str, values: tuple[Any, ...], empty: bool = False) -> None:
    if not values and not empty:
        raise UsageError(f"{key} is empty: give at least one")
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    if twice:
        raise UsageError(f"{key} has {twice[0]} twice: leave one of them out")


def _check_names(key: str, names: tuple[str, ...]) -> None:
    _check_distinct(key, names)
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{key} has {name!r}, but folders are named for it: give letters, digits and any of . + -")
