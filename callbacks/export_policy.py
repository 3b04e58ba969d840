"""Writes the policy as an ordinary Hugging Face model folder when training ends."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from mentor_pl.models.loading import save_folder
from mentor_pl.models.lora import merged, save_adapter, settings_of
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.folders import check_folder
from mentor_pl.training.checkpoints import run_folder
from mentor_pl.training.collect import Learner


class ExportPolicy(Callback):
    """Saves weights, configuration, stop tokens and tokenizer, whole also where the policy is sharded.

    Args:
        folder: where to; by default `policy` in the run's folder.
        merge_adapter: add an adapter to the weights that it stands beside. Without, it is saved alone, as peft reads
            it, with the tokenizer; the stop tokens are then those of the policy that it belongs to.

    Raises:
        UsageError: before weights are loaded, for a folder that cannot be written to, and for an adapter that is to be
            saved alone where none is trained.
    """

    def __init__(self, folder: str | None = None, merge_adapter: bool = True) -> None:
        self.folder, self.merge_adapter = folder, merge_adapter

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        check_folder("ExportPolicy folder", self.folder)
        if not self.merge_adapter and getattr(pl_module, "adapter", None) is None:
            raise UsageError(
                "ExportPolicy merge_adapter is false, but model.adapter is null, so there is no adapter to be saved "
                "alone: set it to true, or set model.adapter"
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        folder = Path(self.folder) if self.folder else run_folder(trainer) / "policy"
        models = cast(Learner, pl_module).models
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights = cast(dict[str, Tensor], get_model_state_dict(models.policy, options=options))
        if not trainer.is_global_zero:
            return
        if self.merge_adapter:
            whole = weights if settings_of(models.policy) is None else merged(models.policy, weights)
            save_folder(models.policy, models.tokenizer, folder, whole, models.vocabulary.stop_ids)
        else:
            save_adapter(models.policy, folder, weights)
            models.tokenizer.save_pretrained(folder)
