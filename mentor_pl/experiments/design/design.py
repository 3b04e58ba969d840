"""What an experiment is, fixed before it is run: methods × settings × seeds, an outcome, and when its claims hold.

    cell        one run: (method, setting, seed); a setting has one value of each grid
    outcome     a metric of the run as one number (see `outcome`)
    claim       method beats `against` by more than `threshold` in the primary outcome, in each setting
    holds               Holm-adjusted one-sided p of  d > threshold  is ≤ level     d = difference, paired by seed
    does not hold       Holm-adjusted one-sided p of  d < threshold  is ≤ level
    cannot be told      neither
    criterion   every seed of a method keeps to a bound, in each setting (see `criteria`)

The hash is that of the design with all defaults and with the contents of the configurations it names: comments, order
of keys and white space do not change it, a value does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from mentor_pl.experiments.design.names import check_among, check_distinct, check_names
from mentor_pl.experiments.design.outcome import CELL, SAMPLED, Criterion, Outcome
from mentor_pl.experiments.design.overrides import Overrides, configuration, words
from mentor_pl.experiments.design.typed import read_yaml, typed
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check, check_seed

ALL = "all"  # the setting of a design without grids
# what each cell sets itself
OWN = ("seed_everything", "threads", "data.steps", "trainer.logger", "resume", "ckpt_path", "config")
EVERY = "trainer.callbacks.BenchmarkValidation.every_n_steps"  # what `evaluate_every` sets


@dataclass(frozen=True)
class Method:
    """What is put over the base: configurations, then single settings by their dotted key."""

    configs: tuple[str, ...] = ()
    overrides: Overrides = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """One value of a grid; `threads` in place of the design's."""

    label: str
    overrides: Overrides = field(default_factory=dict)
    threads: int | None = None


@dataclass(frozen=True)
class Comparison:
    """A claim: `method` beats `against` by more than `threshold`.

    Attributes:
        method: the one that is claimed to be better.
        against: the other; by default the design's baseline.
        direction: whether better is greater or less.
        outcome: in what; by default the design's primary outcome.
        threshold: the smallest difference that would count, in units of the outcome.
    """

    method: str
    against: str | None = None
    outcome: Outcome | None = None
    direction: Literal["greater", "less"] = "greater"
    threshold: float = 0.0


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        threads: of its process.
        arguments: of `mentor fit`, all but those that say where the run lies.
        identity: hash of these arguments and of the configurations they name.
    """

    method: str
    setting: str
    seed: int
    threads: int
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
        criteria: what every seed must keep to.
        settings: grid -> its values; every method is run with each combination.
        overrides: settings of every run.
        secondary: outcomes that are reported beside; nothing is tested on them.
        level: of the tests, after Holm's correction over all claims of the design.
        threads: of every run; a value of a grid may have its own.
        evaluate_every: steps between two evaluations; by default as often as the configurations say.

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
    criteria: tuple[Criterion, ...] = ()
    settings: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)
    overrides: Overrides = field(default_factory=dict)
    secondary: tuple[Outcome, ...] = ()
    level: float = 0.05
    threads: int = 1
    evaluate_every: int | None = None
    contents: Mapping[str, Any] = field(init=False, repr=False)  # configuration -> its settings

    def __post_init__(self) -> None:
        check("steps", self.steps, at_least=1, because="it counts batches of rollouts")
        check("level", self.level, above=0, below=1, because="it is a probability")
        check("threads", self.threads, at_least=1, because="it counts threads of a run")
        check("evaluate_every", self.evaluate_every, at_least=1, because="it counts steps")
        for seed in self.seeds:
            check_seed("seeds", seed)
        check_distinct("seeds", self.seeds)
        check_names("methods", tuple(self.methods))
        for grid, choices in self.settings.items():
            check_names(f"settings.{grid}", tuple(choice.label for choice in choices))
            for one in choices:
                check(f"settings.{grid} {one.label}: threads", one.threads, at_least=1, because="it counts threads")
        self._check_comparisons()
        self._check_criteria()
        self._check_overrides()
        configs = dict.fromkeys([*self.base, *(one for method in self.methods.values() for one in method.configs)])
        object.__setattr__(self, "contents", {name: read_yaml(Path(name)) for name in configs})
        if not self.comparisons:
            others = tuple(Comparison(name, self.baseline) for name in self.methods if name != self.baseline)
            object.__setattr__(self, "comparisons", others)
        self.cells()  # refuses what cannot be made

    def _check_comparisons(self) -> None:
        check_among("baseline", self.baseline, "methods", self.methods)
        for place, one in enumerate(self.comparisons):
            check_among(f"comparisons[{place}].method", one.method, "methods", self.methods)
            check_among(f"comparisons[{place}].against", self.against(one), "methods", self.methods)
            if one.method == self.against(one):
                raise UsageError(f"comparisons[{place}] sets {one.method!r} against itself: give another `against`")
            check(f"comparisons[{place}].threshold", one.threshold, at_least=0, otherwise="and turn `direction`")
        check_distinct("comparisons", self.comparisons, empty=True)

    def _check_criteria(self) -> None:
        for place, one in enumerate(self.criteria):
            check_among(f"criteria[{place}].method", one.method, "methods", self.methods)
            if one.setting is not None:
                check_among(f"criteria[{place}].setting", one.setting, "settings", self.choices())
        check_distinct("criteria", self.criteria, empty=True)

    def _check_overrides(self) -> None:
        groups = {"overrides": self.overrides}
        groups |= {f"methods.{name}.overrides": method.overrides for name, method in self.methods.items()}
        for grid, choices in self.settings.items():
            groups |= {f"settings.{grid} {one.label}: overrides": one.overrides for one in choices}
        for place, keys in groups.items():
            for key in keys:
                if any(key == own or key.startswith(f"{own}.") for own in OWN):
                    rule = "every cell has its own: give `seeds`, `threads` and `steps`"
                    raise UsageError(f"{place} sets {key}, but {rule}, or name the output folder by --out")
                if key == EVERY and self.evaluate_every is not None:
                    raise UsageError(f"{place} sets {key}, and so does evaluate_every: leave one of them out")

    def against(self, comparison: Comparison) -> str:
        """The method that a claim's is compared with."""
        return comparison.against if comparison.against is not None else self.baseline

    def metrics(self) -> list[str]:
        """All that runs must log, each once."""
        logged = [one.metric for one in self.outcomes() if not one.metric.startswith(CELL)]
        spent = [SAMPLED] if any(one.at == "tokens" for one in self.outcomes()) else []
        return list(dict.fromkeys([*logged, *spent]))

    def outcomes(self) -> list[Outcome]:
        """All that is reported or judged, the primary one first."""
        judged = [*(self.outcome(one) for one in self.comparisons), *(one.outcome for one in self.criteria)]
        return list(dict.fromkeys([self.primary, *self.secondary, *judged]))

    def outcome(self, comparison: Comparison) -> Outcome:
        """What a claim is about."""
        return comparison.outcome if comparison.outcome is not None else self.primary

    def choices(self) -> dict[str, dict[str, Choice]]:
        """Setting -> its value of each grid."""
        chosen = product(*([(grid, one) for one in choices] for grid, choices in self.settings.items()))
        return {",".join(f"{grid}={one.label}" for grid, one in pairs) or ALL: dict(pairs) for pairs in chosen}

    def combinations(self) -> dict[str, Overrides]:
        """Setting -> its overrides."""
        return {
            setting: {key: value for one in chosen.values() for key, value in one.overrides.items()}
            for setting, chosen in self.choices().items()
        }

    def cells(self) -> list[Cell]:
        """All runs, seed by seed, so that those that are compared are done at about the same time."""
        parts = [(name, setting, self._words(name, setting)) for setting in self.choices() for name in self.methods]
        return [self._cell(name, setting, seed, words) for seed in self.seeds for name, setting, words in parts]

    def _threads(self, setting: str) -> int:
        own = [one.threads for one in self.choices()[setting].values()]
        return [self.threads, *filter(None, own)][-1]

    def _words(self, name: str, setting: str) -> tuple[str, ...]:
        """The arguments of a method's runs in a setting, all but the seed."""
        named = [word for config in self._configs(name) for word in ("--config", config)]
        return (*named, *words(self._contents(name), self._overrides(name, setting)))

    def configurations(self) -> list[dict[str, Any]]:
        """What is set in the runs of each method in each setting, all but the seed."""
        pairs = product(self.methods, self.choices())
        return [configuration(self._contents(name), self._overrides(name, setting)) for name, setting in pairs]

    def _overrides(self, name: str, setting: str) -> Overrides:
        merged = {**self.overrides, **self.methods[name].overrides, **self.combinations()[setting]}
        if self.evaluate_every is not None:
            merged[EVERY] = self.evaluate_every
        return merged | {"data.steps": self.steps, "threads": self._threads(setting)}

    def _cell(self, name: str, setting: str, seed: int, words: tuple[str, ...]) -> Cell:
        arguments = (*words, f"--seed_everything={seed}")
        identity = _hash([arguments, self._contents(name)])
        return Cell(name, setting, seed, self._threads(setting), arguments, identity)

    def _configs(self, name: str) -> list[str]:
        return [*self.base, *self.methods[name].configs]

    def _contents(self, name: str) -> list[Any]:
        return [self.contents[config] for config in self._configs(name)]

    def canonical(self) -> dict[str, Any]:
        """The design as plain values, all defaults filled in, with the contents of its configurations."""
        plain: dict[str, Any] = json.loads(_dump(asdict(self)))
        return plain

    @property
    def sha256(self) -> str:
        """The hash of `canonical`."""
        return _hash(self.canonical())


def read_design(path: Path, base: Sequence[str] = ()) -> Design:
    """The design in a YAML file; paths of configurations are those of the current folder, as for `mentor fit`.

    Args:
        path: of the file.
        base: configurations behind those of its `base`.

    Raises:
        UsageError: for a design that cannot be run, in one line with file, key, value and remedy.
    """
    settings = read_yaml(path)
    if isinstance(settings.get("base"), list):  # else it is refused below
        settings["base"] += base
    try:
        return typed(Design, settings)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)  # dates, which YAML knows


def _hash(value: Any) -> str:
    return hashlib.sha256(_dump(value).encode()).hexdigest()
