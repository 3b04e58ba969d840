"""Writes what a testbed consists of: files of problems and ordinary Hugging Face model folders.

What is there already and is what would be written stays untouched. A model folder has, in `testbed.json`, what it was
made of and the hash of its weights, so that a model that takes minutes to make is made once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mentor_pl.models.loading import save_folder

RECORD: Final = "testbed.json"
_WEIGHTS: Final = "model.safetensors"

ProblemRow = Mapping[str, Any]


class FolderWriter:
    """Writes into a folder and says of each part what became of it."""

    def __init__(self, out: Path, console: Console) -> None:
        self._out, self._console = out, console
        out.mkdir(parents=True, exist_ok=True)

    def problems(self, name: str, rows: Sequence[ProblemRow]) -> None:
        """A file of problems, one JSON object a line."""
        path, text = self._out / name, "".join(json.dumps(row) + "\n" for row in rows)
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        if not same:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._say(path, not same, f"{len(rows)} problems")

    def finished(self, name: str, source: Path) -> None:
        """A copy of a model folder."""
        target = self._out / name
        files = sorted(path for path in source.iterdir() if path.is_file())
        same = all(
            (target / path.name).is_file() and (target / path.name).read_bytes() == path.read_bytes() for path in files
        )
        if not same:
            target.mkdir(parents=True, exist_ok=True)
            for path in files:
                shutil.copyfile(path, target / path.name)
        self._say(target, not same, "finished weights")

    def model(
        self,
        name: str,
        made_of: Mapping[str, Any],
        make: Callable[[], LlamaForCausalLM],
        tokenizer: PreTrainedTokenizerFast,
    ) -> None:
        """A model, made only where the folder does not hold it.

        Args:
            name: of the folder.
            made_of: everything that the weights depend on.
            make: makes it.
        """
        folder = self._out / name
        same = _holds(folder, made_of)
        if not same:
            save_model(make(), tokenizer, folder)
            record = {"made_of": made_of, "sha256": _sha256(folder / _WEIGHTS)}
            (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        self._say(folder, not same, "trained from nothing")

    def _say(self, path: Path, written: bool, what: str) -> None:
        line = f"{'wrote ' if written else 'reused'} {path}  ({what})"
        self._console.print(line, soft_wrap=True, highlight=False)


def _holds(folder: Path, made_of: Mapping[str, Any]) -> bool:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return bool(record == {"made_of": made_of, "sha256": _sha256(folder / _WEIGHTS)})
    except (OSError, ValueError):
        return False


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def save_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights (float32), configuration, tokenizer and the generation settings of training into `folder`."""
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=True,
        temperature=1.0,
        top_k=0,
    )
    save_folder(model, tokenizer, folder)


class TrainingProgress(Progress):
    """A bar for each stage of training, with its loss."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} steps"))
        super().__init__(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)
        self._stages: dict[str, TaskID] = {}

    def step(self, stage: str, steps: int, loss: float) -> None:
        """A step of so many was done."""
        if stage not in self._stages:
            self._stages[stage] = self.add_task(stage, total=steps)
        self.update(self._stages[stage], advance=1, description=f"{stage} loss {loss:.3f}")
