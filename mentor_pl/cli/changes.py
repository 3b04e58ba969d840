"""What a run's settings are now, against those that its checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from mentor_pl.cli.errors.types import show
from mentor_pl.runtime.errors import UsageError

# Settings that change where a run lies, what it shows, how far it goes or what it runs on, and no result of a step.
_FREE = (
    *("ckpt_path", "config", "resume", "resume_changes", "weights_only", "data.steps"),
    *("trainer.accelerator", "trainer.strategy", "trainer.devices", "trainer.num_nodes", "trainer.plugins"),
    *("trainer.logger", "trainer.log_every_n_steps", "trainer.default_root_dir", "trainer.profiler"),
    *("trainer.enable_checkpointing", "trainer.enable_progress_bar", "trainer.enable_model_summary"),
    *(
        "trainer.enable_autolog_hparams",
        "trainer.inference_mode",
        "trainer.max_time",
        "trainer.detect_anomaly",
        "trainer.model_registry",
    ),
)
_FREE_CALLBACKS = (
    *("BenchmarkValidation", "EarlyStopping", "EntropyLogging", "ExportPolicy", "RunCheckpoints", "RunSummary"),
    *("DeviceStatsMonitor", "LearningRateMonitor", "ModelCheckpoint", "ModelSummary", "OnExceptionCheckpoint"),
    *("RichModelSummary", "RichProgressBar", "ThroughputMonitor", "Timer", "TQDMProgressBar"),
)


def check_changes(saved: Mapping[str, Any], now: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """List what differs, and refuse what would change results unless it is allowed.

    Args:
        saved: settings that the checkpoint holds; none for a run from Python, which nothing is said about.
        now: settings of this run.
        allowed: keys, or beginnings of keys, that are meant to change.

    Raises:
        UsageError: for a change that is not allowed, and for an allowed key that is no setting.
    """
    before, after = dict(_flat(saved)), dict(_flat(now))
    for key in allowed:
        if not any(_within(name, key) for name in {*before, *after}):
            raise UsageError(f"--resume_changes {key}: there is no such setting; give keys such as model.optimizer")
    if not saved:
        rank_zero_info("resume: the checkpoint holds no configuration, so none is compared")
        return
    absent = object()
    changed = [
        (key, before.get(key, absent), after.get(key, absent))
        for key in sorted({*before, *after})
        if before.get(key, absent) != after.get(key, absent) and not any(_within(key, hidden) for hidden in _HIDDEN)
    ]

    def shown(value: Any) -> str:
        return "absent" if value is absent else show(value)

    for key, was, new in changed:
        rank_zero_info(f"resume: {key} is {shown(new)}, {shown(was)} in the checkpoint")
    refused = [
        (key, was, new)
        for key, was, new in changed
        if not _is_free(key) and not any(_within(key, name) for name in allowed)
    ]
    if refused:
        listed = "; ".join(f"{key} is {shown(new)}, {shown(was)} in the checkpoint" for key, was, new in refused)
        keys = " ".join(key for key, _, _ in refused)
        raise UsageError(
            f"results would change with settings that differ from the run's: {listed}: put them back, or name those "
            f"that are meant to change: --resume_changes {keys}"
        )


_HIDDEN = (  # what resuming sets
    *("ckpt_path", "config", "resume", "resume_changes", "weights_only"),
    *("trainer.logger", "trainer.default_root_dir"),
)


def _is_free(key: str) -> bool:
    callback = key.removeprefix("trainer.callbacks.").split(".")[0]
    return any(_within(key, free) for free in _FREE) or (
        key.startswith("trainer.callbacks.") and callback.split("#")[0] in _FREE_CALLBACKS
    )


def _within(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted key; callbacks by their class, so that their order and number are no change of others."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else str(name))
    elif path == "trainer.callbacks" and isinstance(value, list):
        seen: dict[str, int] = {}
        for item in value:
            name = str(item.get("class_path", "")).rsplit(".", 1)[-1]
            seen[name] = seen.get(name, 0) + 1
            yield from _flat(item, f"{path}.{name}" + (f"#{seen[name]}" if seen[name] > 1 else ""))
    else:
        yield path, value
