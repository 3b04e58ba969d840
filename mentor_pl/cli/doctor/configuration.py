"""A configuration of `mentor fit`, read by its own parser, with models and data still to be made."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import lightning.pytorch as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.trainer.states import TrainerFn
from transformers import PreTrainedTokenizerBase

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.cli.lightning import MentorCLI, trainer_errors
from mentor_pl.models.source import ModelSource
from mentor_pl.models.text_expert import TextExpert, paired
from mentor_pl.models.vocabulary import Vocabulary, shared_vocabulary
from mentor_pl.problems.prompts import LoadedPrompts
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.frozen_models import check_expert
from mentor_pl.training.module import MentorModule
from mentor_pl.training.trainer_settings import check_settings


@dataclass
class Configuration:
    """What is examined.

    Attributes:
        arguments: of `MentorModule`, with the algorithm and the optimizer's factory as objects.
        data: the data module.
        trainer: the Trainer; a stand-in on the CPU with as many devices where `missing` says what is not here.
        cuda: whether the run is meant for GPUs.
        missing: why the Trainer that is asked for cannot be made on this machine; empty where it can.
        tokenizer, vocabulary: of the models, where they can be read and paired.
        text_expert: of an expert with ids of its own.
        refusal: why they cannot be paired, or not for this method.
        problems: the prompts, once they are read.
        expert_prompt_tokens: of the longest of them by the tokenizer of an expert that has its own, likewise.
    """

    arguments: dict[str, Any]
    data: RolloutDataModule
    trainer: L.Trainer
    cuda: bool
    missing: str = ""
    tokenizer: PreTrainedTokenizerBase | None = None
    vocabulary: Vocabulary | None = None
    text_expert: TextExpert | None = None
    refusal: str = ""
    problems: LoadedPrompts | None = None
    expert_prompt_tokens: int | None = None

    def __post_init__(self) -> None:
        """Make the module, which reads tokenizers and configurations alone.

        Raises:
            UsageError: for settings that are wrong whatever the models are.
        """
        self.trainer.state.fn = TrainerFn.FITTING
        check_settings(self.trainer)
        try:
            module = MentorModule(**self.arguments)
            self.tokenizer, self.vocabulary = module.tokenizer, module.vocabulary
            self.text_expert = module.text_expert
            # as much of the Trainer that is asked for as `setup` reads, also where its devices are not here
            strategy = SimpleNamespace(root_device=torch.device("cuda" if self.cuda else "cpu"))
            asked = SimpleNamespace(strategy=strategy, world_size=self.trainer.world_size)
            module.trainer = cast(L.Trainer, asked)
            module.setup("fit")
        except UsageError as error:
            if str(error) != self._refused_models():
                raise
            self.refusal = str(error)

    def _refused_models(self) -> str:
        """Why the models cannot be paired, in the module's own words; empty where they can."""
        expert = self.source("expert")
        try:
            *_, found = paired(self.policy, expert, self.arguments["stop_tokens"])
            if found is not None:
                check_expert(self.algorithm, expert, text_expert=found)
        except UsageError as error:
            return str(error)
        return ""

    def use_policy_alone(self) -> None:
        """Take the policy's tokenizer, and what ends a response for it, where the expert is of no use."""
        with suppress(UsageError):
            self.tokenizer, self.vocabulary = shared_vocabulary(self.policy, None)

    @property
    def algorithm(self) -> Algorithm:
        algorithm: Algorithm = self.arguments["algorithm"]
        return algorithm

    def source(self, role: str) -> ModelSource | None:
        """Where the policy, the expert or the reference comes from."""
        path = self.arguments[role]
        return ModelSource(path, role, self.arguments["trust_remote_code"]) if path else None

    @property
    def policy(self) -> ModelSource:
        source = self.source("policy")
        assert source is not None
        return source

    @property
    def expert(self) -> ModelSource | None:
        """Of an algorithm that asks one."""
        return self.source("expert") if self.algorithm.uses_expert else None


class Examination(MentorCLI):
    """Parses and checks as `fit` does, and makes neither models nor a Trainer that needs other hardware."""

    missing = ""

    def make(self) -> None:
        given = (lambda _, **arguments: arguments, MentorModule, False)  # in place of a module, what it would be given
        self.config_init = self.parser.instantiate(self.config, instantiators=[given])
        self.datamodule, self.model = self._get(self.config_init, "data"), self._get(self.config_init, "model")
        self.trainer = self.instantiate_trainer()

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        settings = self._get(self.config_init, "trainer")
        callbacks = settings["callbacks"]
        settings["callbacks"] = list(callbacks) if isinstance(callbacks, list) else callbacks
        try:
            return super().instantiate_trainer(**kwargs)
        except (UsageError, MisconfigurationException) as error:
            # settings that no machine could make work are refused once more
            stand_in = {"accelerator": "cpu", "devices": _count(settings["devices"]), "callbacks": callbacks}
            trainer = super().instantiate_trainer(**stand_in)
            self.missing = str(error)
            return trainer

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing is run."""


def read(args: list[str]) -> Configuration:
    """Parse the arguments of `mentor fit`.

    Raises:
        UsageError: for what `mentor fit` refuses as well.
    """
    args = ["fit", *("--help" if one == "--help_all" else one for one in args)]
    with trainer_errors():
        made = Examination(MentorModule, RolloutDataModule, args)
    accelerator = made._get(made.config_init, "trainer")["accelerator"]
    cuda = accelerator in ("gpu", "cuda") or made.trainer.strategy.root_device.type == "cuda"
    arguments = made.model | {"algorithm": made.model["algorithm"] or Mentor()}
    return Configuration(arguments, made.datamodule, made.trainer, cuda, made.missing)


def _count(devices: Any) -> int:
    """Devices that are asked for, as far as that is a number."""
    if isinstance(devices, list):
        return len(devices)
    return int(devices) if str(devices).isdecimal() else 1
