"""What the settings of loggers say of runs: where they lie, the newest first, and whether they can be logged."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.loggers import TensorBoardLogger

from mentor_pl.runtime.errors import UsageError


def run_folders(trainer: Namespace) -> list[Path]:
    """Folders of runs with these `trainer` settings, the newest first."""
    logger = _first(trainer)
    if logger is None:
        root = Path(trainer.default_root_dir or ".")
        return [root] if trainer.logger is False else _versions(root / "lightning_logs")
    made = _class(logger)(**{k: v for k, v in _arguments(logger).items() if k != "version"})
    root = Path(made.save_dir or trainer.default_root_dir or ".") / str(made.name)
    version = _arguments(logger).get("version")
    if version is None:
        return _versions(root)
    return [root / (version if isinstance(version, str) else f"version_{version}")]


def check_loggers(trainer: Namespace) -> None:
    """Refuse a TensorBoardLogger without what it writes by: Lightning's own words come behind all settings.

    Raises:
        UsageError: for one.
    """
    loggers = trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]
    wanted = any("TensorBoardLogger" in str(one.class_path) for one in loggers if isinstance(one, Namespace))
    if wanted and not any(find_spec(name) for name in ("tensorboard", "tensorboardX")):
        raise UsageError(
            "trainer.logger: TensorBoardLogger needs tensorboard, which is not installed: pip install tensorboard, or "
            "leave the logger out"
        )


def go_on_in(trainer: Namespace, folder: Path, versions: Sequence[tuple[str, int | str]] = ()) -> None:
    """Change the settings of loggers so that each goes on where it was.

    Args:
        trainer: settings of the Trainer.
        folder: of the run, which is the first logger's.
        versions: class and version of the run's loggers, in their order.
    """
    if trainer.logger is False:
        trainer.default_root_dir = str(folder)
        return
    if _first(trainer) is None:
        kind = "CSVLogger" if (folder / "metrics.csv").exists() else TensorBoardLogger.__name__
        trainer.logger = Namespace(class_path=f"lightning.pytorch.loggers.{kind}", init_args=Namespace())
    loggers = trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]
    left = list(versions)
    for logger in loggers:
        known = inspect.signature(_class(logger)).parameters
        was = next((one for one in left if one[0] == _class(logger).__name__), None)
        place: dict[str, Any] = {"version": was[1]} if was is not None else {}
        if was is not None:
            left.remove(was)
        if logger is loggers[0]:
            place = {"save_dir": str(folder.parent.parent), "version": folder.name}
            place["project" if "project" in known else "name"] = folder.parent.name
        arguments = logger.init_args if "init_args" in logger else Namespace()
        for name in known.keys() & place.keys():
            arguments[name] = place[name]
        logger.init_args = arguments


def _first(trainer: Namespace) -> Namespace | None:
    """The settings of the first logger; none where it is Lightning's default, or there is none."""
    logger = trainer.logger[0] if isinstance(trainer.logger, list) and trainer.logger else trainer.logger
    return logger if isinstance(logger, Namespace) else None


def _arguments(logger: Namespace) -> dict[str, Any]:
    return dict(vars(logger.init_args)) if "init_args" in logger and logger.init_args else {}


def _class(logger: Namespace) -> Any:
    module, name = str(logger.class_path).rsplit(".", 1)
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"trainer.logger: {logger.class_path} cannot be imported ({error})") from error


def _versions(root: Path) -> list[Path]:
    """Folders below `root`, the newest first."""
    return sorted((path for path in root.glob("*") if path.is_dir()), key=age, reverse=True)


def age(folder: Path) -> tuple[float, float]:
    """What the folders of runs are ordered by: their version's number, where they have one, else their time."""
    number = re.fullmatch(r"version_(\d+)", folder.name)
    return (float(number[1]) if number else -1.0, folder.stat().st_mtime)
