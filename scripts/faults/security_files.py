"""Files of strangers: none of them chooses what is imported, unpickled or run. Whatever runs would leave a mark."""

# ruff: noqa: E501  (a program is one line)

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from faults.report import Outcome

from mentor_pl.models.source import ModelSource
from mentor_pl.problems.prompts import render
from mentor_pl.problems.sources import read_rows
from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.tokenizer import build_tokenizer

_ROOT = Path(__file__).parents[2]
_SHAPE = {
    "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 16, "intermediate_size": 16,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 64,
    "max_position_embeddings": 96, "tie_word_embeddings": True,
}  # fmt: skip
_CODE = {"allow_execution": True, "isolation": "best_effort", "tests": "checks"}


class _Mark:
    """Unpickling it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, (f"touch {self.file}",)


class _Folder:
    """A stranger's folder, and the mark that whatever runs in it would leave."""

    def __init__(self, path: Path) -> None:
        self.path = path / "given"
        self.path.mkdir()
        self.mark = path / "mark"
        self.run = f"open({str(self.mark)!r}, 'w')\nclass Reward: pass\nclass Model: pass\n"

    def write(self, name: str, content: Any) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return file

    def pickled(self) -> bytes:
        return pickle.dumps(_Mark(self.mark))

    def samples(self, reward: Any) -> Path:
        """What `mentor validate` leaves, with a header that names `reward`."""
        header = {"settings": {"reward": reward, "correct": "outcome", "seed": 0}, "pass_at": [1], "without": []}
        response = {"text": f"```python\n{self.run}```", "length": 1, "truncated": False, "correct": False, "parts": {}}
        row = {
            "benchmark": "toy", "index": 0, "id": "0", "prompt": "p", "problem": "p", "answer": "1", "greedy": None,
            "response_prefix": "", "metadata": {"checks": [self.run]}, "responses": [response],
        }  # fmt: skip
        self.write("toy/header.json", header)
        self.write("toy/samples.0.jsonl", json.dumps(row) + "\n")
        return self.path

    def model(self, **config: Any) -> str:
        build_tokenizer(()).save_pretrained(self.path)
        self.write("config.json", _SHAPE | config)
        self.write("stranger.py", self.run)
        return str(self.path)

    def mentor(self, *args: str) -> str:
        """Run the command in this folder; what a user sees."""
        own = os.environ | {"PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1", "TORCH_HOME": str(self.path)}
        command = [sys.executable, "-m", "mentor_pl.cli", *args]
        done = subprocess.run(command, cwd=self.path, env=own, capture_output=True, text=True, check=False, timeout=300)
        lines = done.stderr.strip().splitlines() or [""]
        return f"status {done.returncode}" + (": a traceback" if "Traceback" in done.stderr else f": {lines[-1]}")


def _spec(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": arguments}


def _header(reward: Any) -> Callable[[_Folder], str]:
    def grade(folder: _Folder) -> str:
        folder.write("planted.py", folder.run)
        return folder.mentor("grade", "--samples", str(folder.samples(reward)))

    return grade


_REWARDS = "mentor_pl.rewards"
_HEADERS = {
    "a module beside it": _spec("planted.Reward"),
    "os.system": _spec("os.system", command="touch mark"),
    "CodeReward": _spec(f"{_REWARDS}.code.CodeReward", **_CODE),
    "CodeReward inside PaperReward": _spec(
        f"{_REWARDS}.paper.PaperReward", outcome=_spec(f"{_REWARDS}.code.CodeReward", **_CODE)
    ),
    "a module inside WeightedReward": _spec(
        f"{_REWARDS}.weighted.WeightedReward", rewards=[_spec("planted.Reward")], weights=[1.0]
    ),
    "arguments of wrong kinds": _spec(
        f"{_REWARDS}.math.MathReward", workers="2", units={"class_path": "planted.Reward"}
    ),
    "a thousand graders": _spec(
        f"{_REWARDS}.weighted.WeightedReward", rewards=[_spec(f"{_REWARDS}.math.MathReward")] * 1000, weights=[1] * 1000
    ),
    "a million workers": _spec(f"{_REWARDS}.math.MathReward", workers=10**6),
}


def _deep_header(folder: _Folder) -> str:
    folder.samples(None)
    folder.write("toy/header.json", "[" * 100_000)
    return folder.mentor("grade", "--samples", str(folder.path))


def _modules_of_the_folder(folder: _Folder) -> str:
    for name in ("rich", "sympy", "torch", "json", "peft", "kernels", "flash_attn", "sitecustomize", "callbacks"):
        folder.write(f"{name}.py", folder.run)
    folder.write("pairs.jsonl", '{"prediction": "\\\\boxed{1}", "gold": "1"}\n')
    return folder.mentor("grade", "--pairs", "pairs.jsonl")


def _link(folder: _Folder) -> str:
    """A link where the report's draft will be written."""
    folder.samples(_spec(f"{_REWARDS}.math.MathReward"))
    for name in ("results.md", "results.json", "toy/header.json", "toy/samples.0.jsonl"):
        Path(folder.path, f"{name}.unfinished").symlink_to(folder.mark)
    return folder.mentor("grade", "--samples", str(folder.path))


def _weights(folder: _Folder) -> str:
    path = folder.model()
    folder.write("pytorch_model.bin", folder.pickled())
    return _said(lambda: ModelSource(path, "policy").weights(torch.float32))


def _config(read: str, **config: Any) -> Callable[[_Folder], str]:
    def load(folder: _Folder) -> str:
        source = ModelSource(folder.model(**config), "policy")
        folder.write("custom_generate/generate.py", folder.run)
        folder.write("generation_config.json", {"custom_generate": str(folder.path), "eos_token_id": 1})
        if read == "tokenizer":
            settings = json.loads(Path(folder.path, "tokenizer_config.json").read_text())
            folder.write("tokenizer_config.json", settings | config)
        if read == "adapter":
            folder.write("adapter_config.json", {"peft_type": "LORA", "base_model_name_or_path": "stranger/model"})
        return _said(
            lambda: (source.tokenizer(), source.stop_ids(source.tokenizer(), source.config()), source.config())
        )

    return load


def _template(text: str) -> Callable[[_Folder], str]:
    def use(folder: _Folder) -> str:
        tokenizer = build_tokenizer(())
        tokenizer.chat_template = text.replace("MARK", str(folder.mark))
        return _said(lambda: render(tokenizer, "1 + 1", None, None))

    return use


def _data(name: str) -> Callable[[_Folder], str]:
    def read(folder: _Folder) -> str:
        folder.write(f"{folder.path.name}.py", folder.run)  # what once was a loading script
        folder.write("dataset.py", folder.run)
        file = folder.write(name, folder.pickled())
        return _said(lambda: list(read_rows(file.parent if name.startswith("set/") else file)))

    return read


def _checkpoint(by_url: bool) -> Callable[[_Folder], str]:
    def fit(folder: _Folder) -> str:
        config = folder.write("tiny.json", _SHAPE)
        folder.model()
        folder.write("train.jsonl", '{"problem": "blocked c02", "answer": "U"}\n' * 4)
        torch.save({"state_dict": {}, "epoch": _Mark(folder.mark)}, folder.path / "stranger.ckpt")
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder.path))) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            place = f"http://127.0.0.1:{server.server_port}/stranger.ckpt" if by_url else "stranger.ckpt"
            said = folder.mentor(
                "fit", "--model.policy", str(config), "--model.algorithm", "mentor_pl.algorithms.grpo.GRPO",
                "--data.train", "train.jsonl", "--data.steps", "1", "--data.prompts_per_step", "2",
                "--data.max_prompt_tokens", "16", "--data.sampling.max_new_tokens", "16",
                "--trainer.logger", "false", "--trainer.accelerator", "cpu", "--ckpt_path", place,
            )  # fmt: skip
            server.shutdown()
        return said

    return fit


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _said(read: Callable[[], object]) -> str:
    try:
        read()
        return "read"
    except UsageError as refusal:
        return f"one line: {refusal}"
    except Exception as error:
        return f"a traceback: {error!r}"


_AUTO = {"auto_map": {"AutoConfig": "stranger.Model", "AutoModelForCausalLM": "stranger.Model"}}
CASES: dict[str, Callable[[_Folder], str]] = {
    **{f"a header that names {what}": _header(reward) for what, reward in _HEADERS.items()},
    "a header nested 100,000 deep": _deep_header,
    "modules in the current folder": _modules_of_the_folder,
    "links in a folder of samples": _link,
    "weights that are a pickle": _weights,
    "a model that brings its code": _config("config", model_type="stranger", **_AUTO),
    "a tokenizer that brings its code": _config("tokenizer", auto_map={"AutoTokenizer": ["stranger.Model", None]}),
    "a configuration of generation with code": _config("generation"),
    "attention by a stranger's kernel": _config("config", attn_implementation="stranger/kernel"),
    "an adapter that names its model": _config("adapter"),
    "a chat template that reaches for classes": _template(
        "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ cycler.__init__.__globals__.os.system('touch MARK') }}"
    ),
    "a chat template by format and attr": _template("{{ '{0.__class__.__init__.__globals__}'.format(cycler) }}{{ cycler|attr('__init__') }}{{ 1 / 0 }}"),
    "a chat template that fills memory": _template("{% for i in range(10 ** 9) %}x{% endfor %}"),
    **{f"data: a pickle as {name}": _data(name) for name in (
        "rows.jsonl", "rows.json", "rows.parquet", "rows.pkl", "rows.pt", "rows.npz", "set/rows.jsonl", "set/state.json",
        "set/dataset_dict.json",
    )},
    "a checkpoint that is a pickle": _checkpoint(by_url=False),
    "a checkpoint by URL": _checkpoint(by_url=True),
}  # fmt: skip
# What may be read, since it says nothing but what this package's own files say.
READ = ("modules in the current folder", "links in a folder of samples", "a configuration of generation with code",
        "a tokenizer that brings its code", "a chat template by format")  # fmt: skip


def outcomes() -> Iterator[Outcome]:
    """Every file."""
    for what, attempt in CASES.items():
        with tempfile.TemporaryDirectory() as path:
            folder = _Folder(Path(path))
            said = attempt(folder)
            ran = folder.mark.exists()
        refused = said.startswith(("one line", "status 2")) and "traceback" not in said
        right = not ran and (refused or (what.startswith(READ) and said.startswith(("read", "status 0"))))
        bar = "nothing of it runs" if what.startswith(READ) else "nothing of it runs; one line"
        yield Outcome(what, bar, "IT RAN" if ran else said.replace(path, "FOLDER")[:160], right)
