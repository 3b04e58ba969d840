"""The models of the two tasks, made from nothing: a trunk, then a base and an expert from it, each as its dials say.

The trunk learns to keep running totals, to copy signs and numbers, to check a total and to try again. A fixed text of
questions is one token, so models read no English.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from transformers import LlamaForCausalLM

from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.dials import check_probabilities
from mentor_pl.testbed.gym.problems import PHRASES, TaskName, parse, rows
from mentor_pl.testbed.gym.solutions import LARGEST, Style, solution
from mentor_pl.testbed.model_maker import ModelMaker, Progress
from mentor_pl.testbed.pretrain import Encoded, encode
from mentor_pl.testbed.tokenizer import DRILL, UNKNOWN, build_tokenizer

_FORM: Final = ("<think>", "</think>", r"\boxed{", "}", "+", "-", "=", "try", "check", "yes", "no")
WORDS: Final = (DRILL, *_FORM, *map(str, range(-LARGEST, LARGEST + 1)))
DRILLS: Final = Style(strategy=1.0, skill=0.25)
PROBLEMS: Final = 8_000  # distinct ones in pre-training, at scale 1


@dataclass(frozen=True)
class PolicyDials:
    """What the base is before reinforcement learning; every number is a probability.

    Attributes:
        prior: that a response uses the useful strategy: works the sum out (chain_sum), or checks its attempt and tries
            again (countdown); 0 to 1.
        skill: that a guess is right: an answer at once (chain_sum), or a sign (countdown); 0 to 1.
        execution: that a forced word of its demonstrations, a total or a verdict, is right; 0.5 to 1.
    """

    prior: float = 0.05
    skill: float = 0.0
    execution: float = 1.0

    def __post_init__(self) -> None:
        check_probabilities("policy", prior=self.prior, skill=self.skill, execution=self.execution)

    @property
    def style(self) -> Style:
        """Of the demonstrations."""
        return Style(self.prior, self.skill, self.execution)


@dataclass(frozen=True)
class ExpertDials:
    """What the expert is; it always uses the strategy, so the sums that it works out need no skill.

    Attributes:
        skill: probability that a sign (countdown) is one that still leads to the target; 0 to 1.
    """

    skill: float = 0.85

    def __post_init__(self) -> None:
        check_probabilities("expert", skill=self.skill)

    @property
    def style(self) -> Style:
        """Of the demonstrations, and of the traces."""
        return Style(1.0, self.skill)


class GymModels(ModelMaker):
    """Makes the models of one task."""

    steps: ClassVar = {"trunk": 1_400, "policy": 500, "expert": 800}
    rates: ClassVar = {"trunk": 3e-3, "policy": 1e-3, "expert": 2e-3}

    def __init__(self, task: TaskName, seed: int, scale: float, progress: Progress) -> None:
        super().__init__(build_tokenizer(WORDS, PHRASES[task]), seed, scale, progress)
        self._task = task
        self._problems: list[dict[str, Any]] = []

    def make(self, dials: PolicyDials | ExpertDials) -> LlamaForCausalLM:
        """The model of these dials, in float32 and eval mode."""
        model = self.trunk()
        if isinstance(dials, ExpertDials):
            return self.train("expert", model, self._encode(dials.style, 32_000))
        shown = self._encode(dials.style, 16_000) + self.drills[: self.count(12_000)]
        return self.train("policy", model, shown)

    def drill(self) -> list[Encoded]:
        """Solutions that the marker opens."""
        return self._encode(DRILLS, 32_000, DRILL)

    def _encode(self, style: Style, count: int, *marker: str) -> list[Encoded]:
        if not self._problems:
            self._problems = list(itertools.islice(rows(self._task, "train", self.seed + 1), self.count(PROBLEMS)))
        rng, problems = random.Random(f"{self.seed} {style}"), itertools.cycle(self._problems)
        return [
            self._encoded(row["problem"], style, rng, marker) for row in itertools.islice(problems, self.count(count))
        ]

    def _encoded(self, question: str, style: Style, rng: random.Random, marker: tuple[str, ...]) -> Encoded:
        words = self.tokenizer.tokenize(question)
        if UNKNOWN in words:
            raise UsageError(f"reasoning_gym words this unlike version 0.1.25: install that one: {question!r}")

        return encode([*marker, *words], solution(parse(question), style, rng).split(), self.tokenizer)
