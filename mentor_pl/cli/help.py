"""`mentor fit --help` on two screens: this project's settings first, then the most used of Lightning's Trainer.

Names, defaults and words of ours are those of the constructors. `--help_all` is jsonargparse's help, with all settings.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, get_args

from docstring_parser import parse

from mentor_pl.cli.errors.names import import_path, is_interface, known_kinds
from mentor_pl.cli.errors.types import settings

WIDTH, INDENT = 120, 34
USAGE = """\
usage: mentor {command} --config FILE [--config FILE ...] [--KEY VALUE ...]

  --config FILE          settings in YAML; of several, later ones win
  --KEY VALUE            one setting, such as --model.alpha 0.5; --KEY+ VALUE appends to a list
  --seed_everything N    seed of all random numbers (default 0)
  --threads N            CPU threads of torch in each process; by default $OMP_NUM_THREADS, else one for each core
  --ckpt_path PATH       checkpoint whose weights and state are taken: a file, a run's folder, last or best
{resuming}  --print_config         print what all settings come to, and exit
  --GROUP.help CLASS     settings of a class, such as --model.algorithm.help mentor_pl.algorithms.mentor.Mentor
  --help_all             every setting, with those of Lightning's Trainer
"""
RESUMING = """\
  --resume auto|PATH     go on with a run in its own folder; auto begins it where there is none
  --resume_changes KEY   settings that are meant to differ from the checkpoint's, such as model.optimizer
"""
TRAINER = {
    "accelerator": "cpu, gpu or another of Lightning's; by default the best there is.",
    "devices": "how many devices, or which; by default all.",
    "num_nodes": "machines that train together.",
    "strategy": "mentor_pl.runtime.parallel.FSDP2Strategy for several devices (configs/trainer/fsdp.yaml).",
    "precision": "32-true or bf16-mixed.",
    "logger": "class_path of a logger, or a list; false for none.",
    "callbacks": "behaviours of the run, such as callbacks.BenchmarkValidation (docs/callbacks.md).",
    "max_time": "ends the run after this time, DD:HH:MM:SS.",
    "log_every_n_steps": "steps of rollouts between two rows in the logs.",
    "enable_progress_bar": "false for none.",
    "deterministic": "true refuses operations whose results vary.",
    "default_root_dir": "folder for logs and checkpoints where no logger has one.",
}


def short_help(command: str, groups: Mapping[str, type]) -> str:
    """What `mentor <command> --help` prints, for the classes of `model` and, where there are any, `data`."""
    lines, kinds = [USAGE.format(command=command, resuming=RESUMING if command == "fit" else "")], dict[str, type]()
    for group, target in groups.items():
        lines += [f"{group}: {_summary(target)}", *_settings(group, target, {}, kinds), ""]
    if "data" not in groups:
        lines += ["data: as of fit; taken and not used", ""]
    lines += ["trainer: Lightning's, of which these are the most used"]
    lines += [_entry(f"--trainer.{name}", words) for name, words in TRAINER.items()]
    lines += ["", "classes that come with this project"]
    lines += [_entry(key, ", ".join(map(import_path, known_kinds(kind))), rows=3) for key, kind in kinds.items()]
    return "\n".join(lines) + "\n"


def _settings(
    prefix: str, target: Callable[..., Any], defaults: Mapping[str, Any], kinds: dict[str, type]
) -> Iterator[str]:
    """An entry for each setting; what a class_path of ours fills is added to `kinds`."""
    words = {one.arg_name: one.description or "" for one in parse(inspect.getdoc(target) or "").params}
    for name, setting in settings(target).items():
        key, default = f"{prefix}.{name}", defaults.get(name, setting.default)
        ours = [one for one in (setting.hint, *get_args(setting.hint)) if _is_ours(one)]
        if ours and not is_interface(ours[0]):
            yield from _settings(key, ours[0], vars(default) if is_dataclass(default) else {}, kinds)
            continue
        if ours:
            kinds[key] = ours[0]
        yield _entry(f"--{key}", _default(default) + words.get(name, ""))


def _entry(key: str, words: str, rows: int = 2) -> str:
    """A key and its words beside it, in at most so many rows."""
    return textwrap.fill(
        f"{key:<{INDENT - 2}}" + words if len(key) < INDENT - 2 else f"{key} {words}",
        WIDTH,
        initial_indent="  ",
        subsequent_indent=" " * INDENT,
        max_lines=rows,
        placeholder=" …",
        break_on_hyphens=False,
    )


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required: "
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"[{shown}] " if isinstance(value, int | float | str) and len(shown) < 20 else ""


def _is_ours(hint: Any) -> bool:
    return isinstance(hint, type) and hint.__module__.startswith("mentor_pl.")


def _summary(target: type) -> str:
    return (inspect.getdoc(target) or "").partition("\n")[0]
