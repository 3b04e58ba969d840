"""Which checkpoints are one file, and which a folder with files of each rank."""

import pytest
import torch

from mentor_pl.runtime import parallel
from mentor_pl.runtime.parallel import FSDP2Strategy


@pytest.mark.parametrize(
    ("asked", "parameters", "ranks", "folder"),
    [
        (None, 10**9 + 1, 2, True),
        (None, 10**9, 2, False),  # rank 0 gathers 12 GB
        (None, 10**9 + 1, 1, False),  # nothing is gathered
        (True, 10, 1, True),
        (False, 10**9 + 1, 2, False),
    ],
)
def test_a_policy_that_one_rank_should_not_gather_is_saved_in_shards(monkeypatch, asked, parameters, ranks, folder):
    monkeypatch.setattr(parallel, "world_size", lambda: ranks)
    strategy = FSDP2Strategy(asked)
    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.empty(parameters, device="meta"))
    strategy._model = model
    assert strategy._save_distributed_checkpoint is folder


def test_adapters_beside_frozen_weights_are_one_file_whatever_their_size(monkeypatch):
    monkeypatch.setattr(parallel, "world_size", lambda: 2)
    model = torch.nn.Module()
    for name, trained in (("weight", False), ("adapter", True)):
        setattr(model, name, torch.nn.Parameter(torch.empty(2 * 10**9, device="meta"), trained))
    strategy = FSDP2Strategy()
    strategy._model = model
    assert not strategy._save_distributed_checkpoint
