"""Copies of shards: how long each group of ranks waits, whom the error names, and what is counted once."""

import lightning.pytorch as L
import pytest
from two_processes import output_of

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.parallel import FSDP2Strategy

RANKS = """
from datetime import timedelta

import lightning.pytorch as L
import torch
import torch.distributed as dist
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from mentor_pl.cli.replay.gradients import _local, dot
from mentor_pl.runtime import collectives
from mentor_pl.runtime.errors import RunError
from mentor_pl.runtime.parallel import FSDP2Strategy

trainer = L.Trainer(
    accelerator="cpu", devices=2, strategy=FSDP2Strategy(timeout_minutes=7, shard_size=1), logger=False,
    enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
)
strategy = trainer.strategy
strategy.connect(L.LightningModule())
strategy.setup_environment()
mesh = strategy.sharding_mesh
assert (mesh.mesh_dim_names, tuple(mesh.shape)) == (("replicate", "shard"), (2, 1)), mesh
for group in (dist.group.WORLD, strategy.device_mesh["data_parallel"].get_group(), *map(mesh.get_group, (0, 1))):
    assert group._get_backend(torch.device("cpu")).options._timeout == timedelta(minutes=7), group
held = distribute_tensor(torch.arange(4.0), mesh, [Replicate(), Shard(0)])
assert dot([_local(held)], [_local(held)]) == 0 + 1 + 4 + 9  # though both ranks hold it
assert collectives.together(lambda: collectives.rank()) == collectives.rank()
collectives.call_the_roll(timedelta(seconds=3))
store = dist.distributed_c10d._get_default_store()
if collectives.rank() == 1:
    store.wait(["told"], timedelta(minutes=5))  # and does not come
    store.set("heard", "")
else:
    try:
        collectives.together(lambda: None)
    except RunError as error:
        print("told:", error)
    store.set("told", "")
    store.wait(["heard"], timedelta(minutes=5))  # it lives as long as rank 0 does
"""


def test_who_waits_too_long_names_the_rank_that_did_not_come(tmp_path):
    """And every group of ranks, those of replicas and shards too, waits as long as the strategy says."""
    printed = output_of(tmp_path, RANKS)
    told = "told: rank 1 did not come within 0.05 minutes, for which rank 0 has waited: its log says what it did last"
    assert told in printed


def test_ranks_that_are_no_multiple_of_the_shards_are_refused():
    trainer = L.Trainer(accelerator="cpu", devices=2, strategy=FSDP2Strategy(shard_size=3), logger=False)
    with pytest.raises(UsageError, match="shard_size is 3, but 2 ranks are no multiple of it: give the GPUs of a node"):
        trainer.strategy.setup_environment()
    with pytest.raises(UsageError, match="shard_size is 0"):
        FSDP2Strategy(shard_size=0)
