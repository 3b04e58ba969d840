"""Settings over the stand-in classes: refused or accepted, and nothing done with them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

import cli_standin

from mentor_pl.cli import lightning
from mentor_pl.runtime.errors import UsageError


class ParseOnly(lightning.MentorCLI):
    """Refuses or accepts settings, and does nothing with them."""

    def instantiate_classes(self) -> None: ...

    def _run_subcommand(self, subcommand: str) -> None: ...


@pytest.fixture
def parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`mentor fit` with these arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lightning, "MentorCLI", ParseOnly)
    return lambda *arguments: lightning.start(cli_standin.Module, cli_standin.Data, ["fit", *arguments])


@pytest.fixture
def refusal(parsed: Callable[..., None]) -> Callable[..., str]:
    """The line for a complete configuration, this one on top, and these arguments."""
    Path("base.yaml").write_text("model: {policy: a}\ndata: {train: b}\n")

    def line(yaml: str = "", *arguments: str) -> str:
        files = ["--config", "base.yaml"]
        if yaml:
            Path("mine.yaml").write_text(yaml)
            files += ["--config", "mine.yaml"]
        with pytest.raises(UsageError) as caught:
            parsed(*files, *arguments)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return line
