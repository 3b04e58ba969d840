"""Versions against what the package asks for, and devices against what the Trainer asks for."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, metadata, version

import torch
from packaging.requirements import Requirement

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.report import Finding, detail, ok, problem, size, warning
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.machine import cores
from mentor_pl.runtime.parallel import check_trainer

_PACKAGE, _SHOWN = "mentor-pl", ("torch", "transformers", "lightning")


def examine(configuration: Configuration) -> list[Finding]:
    """Versions, devices, strategy."""
    return [*_versions(), *_devices(configuration), *_strategy(configuration)]


def _versions() -> list[Finding]:
    shown = f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in _SHOWN)
    try:
        asked = metadata(_PACKAGE)
    except PackageNotFoundError:
        return [warning(f"{shown}; {_PACKAGE} is not installed, so its bounds are not known", "pip install -e .")]
    required = [Requirement(line) for line in asked.get_all("Requires-Dist") or () if "extra ==" not in line]
    python = Requirement(f"python{asked['Requires-Python'] or ''}")
    found = [too_far(one, version_of(one.name)) for one in required]
    found.append(too_far(python, platform.python_version()))
    wrong = [one for one in found if one]
    return wrong or [ok(f"{shown}, as {_PACKAGE} {asked['Version']} asks for")]


def version_of(name: str) -> str | None:
    """The version of an installed package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def too_far(required: Requirement, found: str | None) -> Finding | None:
    """A problem where a version is outside its bounds."""
    if found is not None and required.specifier.contains(found, prereleases=True):
        return None
    have = "is not installed" if found is None else f"is {found}"
    return problem(f"{required.name} {have}, but {required.specifier} is asked for", f'pip install "{required}"')


def _devices(configuration: Configuration) -> list[Finding]:
    trainer = configuration.trainer
    found = [ok(f"{cores()} processor cores")]
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for i in range(gpus):
        properties = torch.cuda.get_device_properties(i)
        found.append(detail(f"GPU {i}: {properties.name}, {size(properties.total_memory)}"))
    if configuration.missing:
        reason = " ".join(configuration.missing.removeprefix("trainer: ").split())
        found.append(
            problem(
                f"the devices that trainer.accelerator and trainer.devices ask for are not here: {reason}",
                "start it where they are, or set trainer.accelerator and trainer.devices; what follows is for "
                f"{_many(trainer.world_size)}",
            )
        )
    elif gpus and not configuration.cuda:
        found.append(warning("a GPU is here and not used", "set trainer.accelerator to gpu"))
    return found


def _strategy(configuration: Configuration) -> list[Finding]:
    trainer = configuration.trainer
    try:
        check_trainer(trainer, None)
    except UsageError as error:
        return [problem(str(error))]
    kind = "GPU" if configuration.cuda else "CPU"
    return [
        ok(f"{_many(trainer.world_size)} on {kind}, {type(trainer.strategy).__name__}, precision {trainer.precision}")
    ]


def _many(ranks: int) -> str:
    return "1 process" if ranks == 1 else f"{ranks} processes"
