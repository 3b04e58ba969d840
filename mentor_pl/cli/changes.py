"""What a run's settings are now, against those that its checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from mentor_pl.cli.errors.types import show
from mentor_pl.runtime.errors import UsageError

# What resuming itself sets, so that nothing is said of it.
_HIDDEN = (
    *("ckpt_path", "config", "resume", "resume_changes", "weights_only"),
    *("trainer.logger", "trainer.default_root_dir"),
)
# Settings that change where a run lies, what it shows, how far it goes or what it runs on, and no result of a step.
_FREE = (
    *("data.steps", "trainer.max_time", "trainer.log_every_n_steps", "trainer.profiler", "trainer.detect_anomaly"),
    *("threads", "trainer.accelerator", "trainer.strategy", "trainer.devices", "trainer.num_nodes", "trainer.plugins"),
    *("trainer.enable_checkpointing", "trainer.enable_progress_bar", "trainer.enable_model_summary"),
    *("trainer.enable_autolog_hparams", "trainer.inference_mode", "trainer.model_registry"),
)
_FREE_CALLBACKS = (
    *("AbsorbedTokens", "BenchmarkValidation", "EarlyStopping", "EntropyLogging", "ExportPolicy", "RolloutRecord"),
    *("RunCheckpoints", "RunSummary"),
    *("DeviceStatsMonitor", "LearningRateMonitor", "ModelCheckpoint", "ModelSummary", "OnExceptionCheckpoint"),
    *("RichModelSummary", "RichProgressBar", "ThroughputMonitor", "Timer", "TQDMProgressBar"),
)

_ABSENT = object()  # equal to no value


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
    changed = {
        key: f"{key} is {_shown(after, key)}, {_shown(before, key)} in the checkpoint"
        for key in sorted({*before, *after})
        if before.get(key, _ABSENT) != after.get(key, _ABSENT) and not any(_within(key, name) for name in _HIDDEN)
    }
    for line in changed.values():
        rank_zero_info(f"resume: {line}")
    free = [key for key in changed if _is_free(key) or any(_within(key, name) for name in allowed)]
    if not any(_within("data.steps", name) for name in allowed) and after.get("model.final_lr", 1.0) != 1.0:
        free = [key for key in free if key != "data.steps"]  # the learning rate falls to the last step
    refused = [key for key in changed if key not in free]
    if refused:
        raise UsageError(
            "results would change with settings that differ from the run's: "
            f"{'; '.join(changed[key] for key in refused)}: put them back, or name those that are meant to change: "
            f"--resume_changes {' '.join(refused)}"
        )


def _shown(settings: Mapping[str, Any], key: str) -> str:
    return show(settings[key]) if key in settings else "absent"


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
