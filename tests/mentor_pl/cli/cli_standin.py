"""Classes as small as can be for the tests of the command line, importable as `cli_standin`."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import lightning.pytorch as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from mentor_pl.runtime.errors import DivergenceError, UsageError

EVENTS: list[str] = []


class Gate(ABC):
    @abstractmethod
    def __call__(self, entropies: Tensor) -> Tensor: ...


class EntropyGate(Gate):
    def __init__(self, p: float = 0.95, source: Literal["current", "previous"] = "current") -> None:
        if not 0 < p < 1:
            raise UsageError(f"gate p is {p},\nbut lies in (0, 1)")
        self.p = p

    def __call__(self, entropies: Tensor) -> Tensor:
        return entropies


class HalfGate(Gate): ...


class Reward(Protocol):
    def grade(self, response: str) -> float: ...


class Maze:
    def grade(self, response: str) -> float:
        return 1.0


class Untyped:
    def grade(self, response):  # type: ignore[no-untyped-def]
        return 1.0


@dataclass(frozen=True)
class Group:
    on_policy: int = 4
    mixed: int = 4


class Module(L.LightningModule):
    def __init__(
        self,
        policy: str,
        gate: Gate | None = None,
        optimizer: OptimizerCallable = torch.optim.SGD,
        lr: float = 1e-3,
        steps: int | None = 3,
        mode: Literal["fast", "exact"] = "fast",
        betas: tuple[float, float] = (0.9, 0.99),
        gates: dict[str, Gate] | None = None,
        reward: Reward | None = None,
        fail: Literal["usage", "divergence", "bug", "interrupt"] | None = None,
    ) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.optimizer, self.fail, self.lr = optimizer, fail, lr
        self.steps_done = 0

    def training_step(self, batch: Any, _: int) -> Tensor:
        match self.fail:
            case "usage":
                raise UsageError("reward 3 is outside [0, 1]")
            case "divergence":
                raise DivergenceError("loss is nan at step 3")
            case "bug":
                raise ValueError("a bug")
            case "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
        EVENTS.append(f"lr {self.lr}")
        self.steps_done += 1
        return self.layer(batch[0]).sum()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mentor"] = {"step": self.steps_done, "ranks": 1}

    def configure_optimizers(self) -> Any:
        return self.optimizer(self.parameters(), lr=self.lr)


class Data(L.LightningDataModule):
    def __init__(self, train: str, size: int = 4, group: Group = Group()) -> None:
        super().__init__()
        self.size = size

    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(torch.ones(self.size, 2)), batch_size=2)


class Note(L.Callback):
    def __init__(self, text: str = "note", extra: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013
        self.text = text

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        EVENTS.append(self.text)
