"""What several test files share: no downloads, caches of one's own, problems as files; the rest lies in tests/fixtures.

Every fixture that is a tool returns a function, since test files do not import one another.
"""

import gc
import json
import os

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched while testing; set before transformers is imported

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["chi_square", "model_folders", "lookup_models", "runs", "testbed_project", "reasoning_gym_standin",
                  "recorded_runs", "browser", "boards", "text_pairs"]  # fmt: skip


def pytest_collection_finish() -> None:
    """What libraries and thousands of tests hold stays until the end: every full collection would look through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Measured timings are kept beside the tests and not in the user's home."""
    os.environ["MENTOR_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    """(rows or raw lines, name) -> path of a JSON-lines file that holds them."""

    def write(rows: Iterable[Any], name: str = "problems.jsonl") -> Path:
        path = tmp_path / name
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    return write
