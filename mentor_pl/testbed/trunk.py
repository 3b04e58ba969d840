"""Models of one seed that grow from a trunk: what has learned from drills all that bases and experts need.

A drill opens with a marker of its own, so a base keeps its skills and yet, on a problem, uses the useful strategy only
as often as its dial says.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import ClassVar

from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mentor_pl.testbed.pretrain import Encoded, build_model, train

Progress = Callable[[str, int, float], None]


class Grown(ABC):
    """Makes models of one seed; the trunk of each width is trained once.

    Args:
        tokenizer: of all of them.
        seed: of weights and demonstrations.
        scale: multiplies the steps and the demonstrations of every stage.
        progress: called after every step with the stage, its steps and the step's loss.
    """

    steps: ClassVar[Mapping[str, int]]  # stage -> optimizer steps at scale 1; one is "trunk"

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int, scale: float, progress: Progress) -> None:
        self.tokenizer = tokenizer
        self._seed, self._scale, self._progress = seed, scale, progress
        self._trunks: dict[int, LlamaForCausalLM] = {}

    @abstractmethod
    def drill(self) -> list[Encoded]:
        """What the trunk is trained on."""

    @cached_property
    def drills(self) -> list[Encoded]:
        """Likewise, made once."""
        return self.drill()

    def trunk(self, width: int = 64) -> LlamaForCausalLM:
        """A copy of the trunk."""
        if width not in self._trunks:
            drills = self.drills
            self._trunks[width] = self.train("trunk", build_model(self.tokenizer, self._seed, width), drills, 3e-3)
        return copy.deepcopy(self._trunks[width])

    def train(self, stage: str, model: LlamaForCausalLM, data: list[Encoded], lr: float) -> LlamaForCausalLM:
        """The model, trained in place."""
        steps = max(1, round(self.steps[stage] * self._scale))
        train(model, data, steps, lr, self._seed, lambda loss: self._progress(stage, steps, loss))
        return model

    def count(self, demonstrations: int) -> int:
        """So many, scaled."""
        return max(1, round(demonstrations * self._scale))
