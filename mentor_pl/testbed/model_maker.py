"""Makes the models of a task from nothing: a trunk, then bases and experts from it.

The trunk has learned from drills what all of them need. A drill opens with a marker of its own, so a base keeps its
skills and yet, on a problem, uses the useful strategy only as often as its dial says.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mentor_pl.testbed.pretrain import Encoded, build_model, train

Progress = Callable[[str, int, float], None]  # is told the stage, its steps and a step's loss


class ModelMaker(ABC):
    """Makes models of one seed; the trunk of each width is trained once.

    Args:
        tokenizer: of all of them.
        seed: of weights and demonstrations.
        scale: multiplies the steps and the demonstrations of every stage.
        progress: called after every step of training.
    """

    steps: ClassVar[Mapping[str, int]]  # stage -> optimizer steps at scale 1; one is "trunk"
    rates: ClassVar[Mapping[str, float]]  # stage -> its highest learning rate

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int, scale: float, progress: Progress) -> None:
        self.tokenizer, self.seed = tokenizer, seed
        self.scale, self.progress = scale, progress
        self._trunks: dict[int, LlamaForCausalLM] = {}

    @abstractmethod
    def make(self, dials: Any) -> LlamaForCausalLM:
        """The model of these dials, in float32 and eval mode."""

    @abstractmethod
    def drill(self) -> list[Encoded]:
        """What the trunk is trained on."""

    @cached_property
    def drills(self) -> list[Encoded]:
        """Likewise, made once."""
        return self.drill()

    def fresh(self, width: int) -> LlamaForCausalLM:
        """What the trunk is trained from."""
        return build_model(self.tokenizer, self.seed, width)

    def trunk(self, width: int = 64) -> LlamaForCausalLM:
        """A copy of the trunk."""
        if width not in self._trunks:
            drills = self.drills
            self._trunks[width] = self.train("trunk", self.fresh(width), drills)
        return copy.deepcopy(self._trunks[width])

    def train(self, stage: str, model: LlamaForCausalLM, data: list[Encoded]) -> LlamaForCausalLM:
        """The model, trained in place."""
        steps = self.count(self.steps[stage])
        train(model, data, steps, self.rates[stage], self.seed, lambda loss: self.progress(stage, steps, loss))
        return model

    def count(self, number: int) -> int:
        """So many steps or demonstrations, scaled."""
        return max(1, round(number * self.scale))
