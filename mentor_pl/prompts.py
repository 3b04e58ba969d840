"""From a JSON-lines file of problems to prompts exactly as the models see them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from mentor_pl.errors import UsageError
from mentor_pl.types import Prompt

# verbatim from the paper's Appendix B
PAPER_SYSTEM_PROMPT = (
    "You are a helpful AI Assistant that provides well-reasoned and detailed responses. You FIRST think about the "
    "reasoning process as an internal monologue and then provide the final answer. The reasoning process MUST BE "
    "enclosed within <think></think> tags. The final answer MUST BE put in \\boxed{}."
)
THINK = "<think>"


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file, each an object with at least `problem` and `answer`.

    Raises:
        UsageError: for a missing or empty file or a malformed row, with file and line.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"{file}: no such file: give a JSON-lines file with the fields problem and answer")
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as problem:
            raise UsageError(f"{file}:{number}: not JSON ({problem.msg} at column {problem.colno})") from problem
        if not isinstance(row, dict):
            raise UsageError(f'{file}:{number}: a {type(row).__name__}, but every line is an object {{"problem": …}}')
        for name in ("problem", "answer"):
            if not isinstance(row.get(name), str):
                found = f"is {row[name]!r}" if name in row else "is missing"
                raise UsageError(f"{file}:{number}: field '{name}' {found}, but every row needs it as a string")
        rows.append(row)
    if not rows:
        raise UsageError(f"{file}: no rows: give at least one line with the fields problem and answer")
    return rows


def _lines(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8") as lines:  # not `splitlines`, which also breaks at U+2028 inside a string
            return list(lines)
    except UnicodeDecodeError as problem:
        raise UsageError(f"{file}: not UTF-8 at byte {problem.start}: save the file as UTF-8") from problem


def render(tokenizer: PreTrainedTokenizerBase, problem: str, system_prompt: str | None) -> tuple[list[int], str]:
    """Token ids of a problem and the part of the response that the template already opened.

    A tokenizer with a chat template uses it; one without gets system prompt and problem as plain paragraphs.

    Raises:
        UsageError: where the chat template refuses its messages, as some do with a system prompt.
    """
    if tokenizer.chat_template:
        messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
        messages.append({"role": "user", "content": problem})
        try:
            text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except TemplateError as refusal:
            raise UsageError(
                f"the tokenizer's chat template fails: {refusal}: mend the template, or set system_prompt to null if "
                "it has no system role"
            ) from refusal
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]  # the template wrote BOS itself
    else:
        text = f"{system_prompt}\n\n{problem}\n" if system_prompt else problem
        ids = tokenizer(text)["input_ids"]
    tail = text.rstrip()
    return list(ids), text[len(tail) - len(THINK) :] if tail.endswith(THINK) else ""


@dataclass(frozen=True)
class LoadedPrompts:
    """Prompts of a file, and how many rows were left out because their prompt exceeds the limit."""

    prompts: list[Prompt]
    too_long: int


def load_prompts(
    path: str | Path, tokenizer: PreTrainedTokenizerBase, system_prompt: str | None, max_prompt_tokens: int
) -> LoadedPrompts:
    """Read, render and measure every problem of a file.

    Raises:
        UsageError: for an unreadable file, or where no prompt is short enough.
    """
    prompts = list(_prompts(read_rows(path), tokenizer, system_prompt))
    for prompt in prompts:
        if not prompt.token_ids:
            raise UsageError(
                f"{path}: problem {prompt.index} ({prompt.problem[:40]!r}) has no tokens under this tokenizer: take "
                "the tokenizer that the policy was trained with"
            )
    short = [prompt for prompt in prompts if len(prompt.token_ids) <= max_prompt_tokens]
    if not short:
        least = min(len(prompt.token_ids) for prompt in prompts)
        raise UsageError(
            f"{path}: all {len(prompts)} prompts are longer than max_prompt_tokens = {max_prompt_tokens}; the shortest "
            f"has {least} tokens: raise the limit to at least that"
        )
    return LoadedPrompts(short, len(prompts) - len(short))


def _prompts(
    rows: Iterable[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, system_prompt: str | None
) -> Iterable[Prompt]:
    for index, row in enumerate(rows):
        ids, opened = render(tokenizer, row["problem"], system_prompt)
        metadata = {name: value for name, value in row.items() if name not in ("problem", "answer")}
        yield Prompt(index, row["problem"], row["answer"], tuple(ids), opened, metadata)
