"""Text of strangers: what a terminal shows of it, and graders that neither run, hang nor fall over it."""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from faults.report import Outcome

from mentor_pl.cli.main import main
from mentor_pl.rewards.base import Reward
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.rewards.countdown import CountdownReward
from mentor_pl.rewards.fences import program
from mentor_pl.rewards.format import FormatReward
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.maze import MazeReward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

SECONDS = 20.0  # of all graders together, for one text
_ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\b\b\r\u202egnorw\x00\ud800"
_DANGEROUS = "\x1b\x07\x9b\b\u202e\x00\ud800"

TEXTS = {
    "a tower of powers": r"\boxed{10^{10^{10^{10}}}}",
    "a million digits": r"\boxed{" + "9" * 10**6 + "}",
    "a factorial of a factorial": r"\boxed{(10^9)!!}",
    "100,000 nested braces": r"\boxed{" + "{" * 10**5 + "}" * 10**5 + "}",
    "100,000 nested fractions": r"\boxed{" + r"\frac{1}{" * 10**5 + "1" + "}" * 10**5 + "}",
    "100,000 brackets that never close": r"\boxed{" + "(" * 10**5 + "}",
    "a million boxes": r"\boxed{1}" * 10**6,
    "boxes that never close": r"\boxed{" * 10**5,
    "Python": r"\boxed{__import__('os').system('echo owned')}",
    "a lambda": r"\boxed{(lambda: exec('print(1)'))()}",
    "a sum without end": r"\boxed{\sum_{n=1}^{\infty} \prod_{k=1}^{10^9} k^n}",
    "control characters": r"\boxed{" + _ESCAPES + "}",
    "a million spaces": r"\boxed{1" + " " * 10**6 + "2}",
    "a million tags": "<think>" * 10**6 + r"\boxed{1}",
    "a million operators": "<answer>" + "1+" * 10**6 + "1</answer>" + r"\boxed{" + "1-" * 10**6 + "1}",
    "a million fences": "```python\n" * 10**6,
}


def outcomes() -> Iterator[Outcome]:
    """Every text, then every command that shows text."""
    prompt = Prompt(
        0, "blocked c02 goal c33 start c22", "7", (), "", {"numbers": [1, 2], "target": 3, "choices": ["a", "b"]}
    )
    rewards: list[Reward] = [
        MathReward(answer_in="anywhere"),
        ChoiceReward(),
        CountdownReward(),
        MazeReward(),
        FormatReward(),
    ]
    try:
        rewards[0]([prompt], [Response("7")])  # starts the workers
        for what, text in TEXTS.items():
            began = time.monotonic()
            seen, earned = "", 0.0
            for reward in rewards[:-1]:
                try:
                    earned += reward([prompt], [Response(text)]).parts["outcome"][0]
                except UsageError:  # the prompt is none for this grader
                    continue
                except Exception as error:
                    seen += f"{type(reward).__name__}: {error!r:.80} "
            rewards[-1]([prompt], [Response(text)])
            program(text)
            took = time.monotonic() - began
            passed = not seen and earned == 0 and took < SECONDS
            yield Outcome(
                f"answer: {what}", f"graded as wrong, < {SECONDS:.0f} s", seen or f"{earned:.0f}, {took:.1f} s", passed
            )
    finally:
        for reward in rewards:
            reward.close()
    for what, attempt in SHOWN.items():
        with tempfile.TemporaryDirectory() as folder:
            output = attempt(Path(folder))
        bad = sorted({character for character in output if character in _DANGEROUS})
        yield Outcome(f"terminal: {what}", "control characters are escaped", f"{bad}" if bad else "escaped", not bad)


def _shown(args: list[str]) -> str:
    """What a command prints, on both streams, in this process."""
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        main(args)
    return output.getvalue()


def _pairs(folder: Path) -> str:
    file = folder / "pairs.jsonl"
    row = {"prediction": _ESCAPES, "gold": _ESCAPES, "kind": _ESCAPES, "correct": True}
    file.write_text(json.dumps(row) + "\n")
    return _shown(["grade", "--pairs", str(file)])


def _bad_pair(folder: Path) -> str:
    file = folder / "pairs.jsonl"
    file.write_text(json.dumps({"prediction": "1", "gold": [_ESCAPES]}) + "\n")
    return _shown(["grade", "--pairs", str(file)])


def _header(folder: Path) -> str:
    (folder / "header.json").write_text(
        json.dumps({"settings": {"reward": {"class_path": _ESCAPES, "init_args": {}}}, "pass_at": [], "without": []})
    )
    return _shown(["grade", "--samples", str(folder)])


def _row(folder: Path) -> str:
    (folder / "header.json").write_text(
        json.dumps(
            {
                "settings": {"reward": {"class_path": "mentor_pl.rewards.math.MathReward", "init_args": {}}},
                "pass_at": [],
                "without": [],
            }
        )
    )
    (folder / "samples.0.jsonl").write_text(json.dumps({_ESCAPES: 1, "responses": [], "greedy": None}) + "\n")
    return _shown(["grade", "--samples", str(folder)])


def _problems(folder: Path) -> str:
    """Of a data set, and of a model's tokenizer: `mentor data inspect`."""
    from mentor_pl.testbed.tokenizer import build_tokenizer

    build_tokenizer(()).save_pretrained(folder)
    shape = {
        "model_type": "qwen2",
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
    }
    (folder / "config.json").write_text(json.dumps(shape | {"num_attention_heads": 2, "num_key_value_heads": 2}))
    rows = [{"problem": f"blocked {_ESCAPES}", "answer": _ESCAPES}, {"problem": "", "answer": _ESCAPES}]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return _shown(["data", "inspect", "--model.policy", str(folder), "--data.train", str(folder / "train.jsonl")])


SHOWN: dict[str, Callable[[Path], str]] = {
    "pairs": _pairs,
    "a pair that cannot be read": _bad_pair,
    "a header": _header,
    "a row of samples": _row,
    "problems": _problems,
}
