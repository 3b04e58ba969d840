"""Versions against bounds, devices against what is asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from packaging.requirements import Requirement

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.machine import examine, too_far
from mentor_pl.cli.doctor.report import Level
from mentor_pl.runtime.errors import UsageError

Read = Callable[..., Configuration]


@pytest.mark.parametrize(
    ("required", "found", "text"),
    [
        ("torch>=2.11", "2.13.0+cpu", None),
        ("torch>=2.11", "2.10.1", "torch is 2.10.1, but >=2.11 is asked for"),
        ("python<3.14,>=3.11", "3.14.0", "python is 3.14.0, but <3.14,>=3.11 is asked for"),
        ("rich>=14.1", None, "rich is not installed, but >=14.1 is asked for"),
    ],
)
def test_a_version_outside_its_bounds_is_a_problem(required: str, found: str | None, text: str | None) -> None:
    finding = too_far(Requirement(required), found)
    assert (finding.text if finding else None) == text


def test_this_machine_is_what_the_package_asks_for(configuration: Read) -> None:
    found = examine(configuration())
    assert {finding.level for finding in found} <= {Level.OK, Level.DETAIL}
    assert found[-1].text == "1 process on CPU, SingleDeviceStrategy, precision 32-true"


def test_devices_that_are_not_here_are_a_problem_and_the_plan_is_for_as_many(configuration: Read) -> None:
    settings = configuration(
        "--trainer.accelerator", "gpu", "--trainer.devices", "64", "--trainer.strategy",
        "{class_path: mentor_pl.runtime.parallel.FSDP2Strategy}", "--trainer.precision", "bf16-mixed",
    )  # fmt: skip
    found = examine(settings)
    (problem,) = [finding for finding in found if finding.level is Level.PROBLEM]
    assert "are not here" in problem.text
    assert "what follows is for 64 processes" in problem.remedy
    assert settings.trainer.world_size == 64


def test_a_strategy_that_training_cannot_work_under_is_a_problem(configuration: Read) -> None:
    found = examine(configuration("--trainer.devices", "2"))  # Lightning's default for two
    (problem,) = [finding for finding in found if finding.level is Level.PROBLEM]
    assert problem.text.startswith("trainer.strategy DDPStrategy cannot run")


@pytest.mark.parametrize(
    "placement", ["expert_placement=sharded", "expert_placement=offloaded", "optimizer_placement=offloaded"]
)
def test_placements_are_looked_at_for_the_devices_that_are_asked_for(configuration: Read, placement: str) -> None:
    """Which are not here, and are not connected."""
    sharded = "{class_path: mentor_pl.runtime.parallel.FSDP2Strategy}"
    devices = "--trainer.accelerator", "gpu", "--trainer.devices", "8", "--trainer.strategy", sharded
    assert configuration(*devices, f"--model.{placement}").cuda
    with pytest.raises(UsageError, match=placement.split("=")[0]):
        configuration(f"--model.{placement}")
