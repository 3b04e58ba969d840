"""Behaviours that plug into the Trainer, one per file; a run names those it wants in YAML, ours and yours alike."""

from callbacks.absorbed_tokens import AbsorbedTokens
from callbacks.alpha_decay import AlphaDecay
from callbacks.benchmark_validation import BenchmarkValidation
from callbacks.early_stopping import EarlyStopping
from callbacks.entropy_logging import EntropyLogging
from callbacks.export_policy import ExportPolicy
from callbacks.failure_signatures import FailureSignatures
from callbacks.rollout_page import RolloutPage
from callbacks.rollout_record import RolloutRecord
from callbacks.run_summary import RunSummary
from callbacks.sample_table import SampleTable
from mentor_pl.training.checkpoints import RunCheckpoints

__all__ = [
    "AbsorbedTokens",
    "AlphaDecay",
    "BenchmarkValidation",
    "EarlyStopping",
    "EntropyLogging",
    "ExportPolicy",
    "FailureSignatures",
    "RolloutPage",
    "RolloutRecord",
    "RunCheckpoints",
    "RunSummary",
    "SampleTable",
]
