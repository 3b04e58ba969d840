"""Configurations that cannot be read, problems and models that cannot be used, folders that cannot be written to."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from faults.wrong import Case

GOOD = '{"problem": "blocked c30 c32 c33 goal c21 start c23", "answer": "U D L L"}\n'
LONG = json.dumps({"problem": "blocked " * 60, "answer": "U"}) + "\n"
Prepare = Callable[[Path], None]


def written(name: str, content: str | bytes) -> Prepare:
    """Writes a file."""

    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def linked(name: str, target: str) -> Prepare:
    """Makes a symbolic link."""
    return lambda folder: (folder / name).symlink_to(target)


def made(name: str) -> Prepare:
    """Makes a folder."""
    return lambda folder: (folder / name).mkdir(parents=True)


def unreadable(name: str, content: str) -> Prepare:
    """Writes a file that nobody may read."""

    def write(folder: Path) -> None:
        written(name, content)(folder)
        (folder / name).chmod(0)

    return write


def model(change: Callable[[Path], None]) -> Prepare:
    """Copies the testbed's policy to `edited` and changes it."""

    def copy(folder: Path) -> None:
        shutil.copytree(folder / "data/testbed/policy", folder / "edited")
        change(folder / "edited")

    return copy


def fields(name: str, **values: object) -> Callable[[Path], None]:
    """Sets fields of a JSON file of a model."""

    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def swapped(folder: Path) -> None:
    """Another vocabulary: two tokens change places."""
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    vocab = values["model"]["vocab"]
    vocab["U"], vocab["D"] = vocab["D"], vocab["U"]
    path.write_text(json.dumps(values))


def cut(folder: Path) -> None:
    """Half of the weights."""
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def endless(folder: Path) -> None:
    """Nothing ends a response."""
    fields("tokenizer_config.json", eos_token=None)(folder)
    for name in ("config.json", "generation_config.json"):
        fields(name, eos_token_id=None)(folder)


def stranger(folder: Path) -> None:
    """A checkpoint of something else."""
    torch.save({"state_dict": {"layer.weight": torch.zeros(2)}, "epoch": 0, "global_step": 1}, folder / "other.ckpt")


YAML = {
    "model: {alpha: 1.0\ndata: 3\n": "mine.yaml|malformed YAML",
    "model:\n\talpha: 1.0\n": "mine.yaml:2|malformed YAML",
    "model: {alpha: 1.0}\nmodel: {alpha: 0.5}\n": "mine.yaml:2|'model' is given twice",
    "model: {alhpa: 1.0}\n": "mine.yaml:1|alhpa|did you mean 'alpha'",
    "alpha: 1.0\n": "mine.yaml:1|alpha: no such setting|model",
    "model: {algorithm: {on_polcy: 4}}\n": "mine.yaml:1|on_polcy|did you mean 'on_policy'",
    "model: {algorithm: [Mentor]}\n": "mine.yaml:1: model.algorithm|class_path",
    "model: {alpha: high}\n": "mine.yaml:1: model.alpha|a number|'high'",
    "data: {steps: 2.5}\n": "mine.yaml:1: data.steps|an integer|2.5",
    "data: {steps: null}\n": "mine.yaml:1: data.steps|null is not allowed|an integer",
    "model: 3\n": "mine.yaml:1: model|settings (key: value)|3",
    "data: {reward: {class_path: mentor_pl.rewards.maths.MathReward}}\n": "mentor_pl.rewards.maths|MathReward",
    "data: {reward: {class_path: mentor_pl.rewards.math.MathReward, timeout: 3}}\n": "'timeout' under init_args",
    "data: {sampling: {max_tokens: 3}}\n": "max_tokens|did you mean|max_new_tokens",
    "data: {steps: '${data.stepz}'}\n": "data.stepz|refers to a setting that is not there",
    "trainer: {callbacks: {class_path: callbacks.AlphaDecay, init_args: {steps: 3}}}\n": "steps|schedule",
    "model: &m {algorithm: *m}\n": "an anchor (&) lies within itself|write out",
    f"model: {'[' * 5000}{']' * 5000}\n": "mine.yaml: nested too deep|a dozen levels",
    "data: {train: '${oc.env:NOT_SET_ANYWHERE}'}\n": "mine.yaml:1: data.train|NOT_SET_ANYWHERE|write ${GROUP.SETTING}",
    "- model\n- data\n": "mine.yaml: holds a list|settings (key: value)",
    "": "mine.yaml: is empty|settings (key: value)",
    "model: {alpha: 1.0}\n\x00": "mine.yaml|malformed YAML",
}

DATA = {
    "nowhere.jsonl": (None, "nowhere.jsonl: no such file|give JSON lines"),
    "p.jsonl ": (written("p.jsonl", ""), "p.jsonl: no rows|give at least one problem"),
    "blank.jsonl": (written("blank.jsonl", "\n  \n"), "blank.jsonl: no rows|give at least one"),
    "broken.jsonl": (
        written("broken.jsonl", GOOD + '{"problem": "x", answer}\n'),
        "broken.jsonl:2: not JSON|write one",
    ),
    "list.jsonl": (written("list.jsonl", "[1, 2]\n"), "list.jsonl:1: a list|every line is an object"),
    "answerless.jsonl": (written("answerless.jsonl", '{"problem": "x"}\n'), "answerless.jsonl:1: field 'answer'"),
    "numbers.jsonl": (written("numbers.jsonl", '{"problem": 3, "answer": "x"}\n'), "numbers.jsonl:1|problem"),
    "binary.jsonl": (written("binary.jsonl", bytes(range(256)) * 9), "binary.jsonl:1: not"),
    "latin.jsonl": (written("latin.jsonl", '{"problem": "é"}\n'.encode("latin-1")), "latin.jsonl:1: not UTF-8|save"),
    "table.csv": (written("table.csv", "problem,answer\nx,y\n"), "table.csv|'.csv'|.jsonl"),
    "p.jsonl.gz": (written("p.jsonl.gz", gzip.compress(GOOD.encode())), "p.jsonl.gz|'.gz'|.jsonl"),
    "torn.parquet": (written("torn.parquet", b"PAR1 and no more"), "torn.parquet: not a readable Parquet file"),
    "torn.json": (written("torn.json", "[" + GOOD), "torn.json:2: not JSON"),
    "loop.jsonl": (linked("loop.jsonl", "loop.jsonl"), "loop.jsonl|no such file"),
    "empty-folder": (made("empty-folder"), "empty-folder: neither .jsonl nor .parquet"),
    "long.jsonl": (written("long.jsonl", LONG * 30), "longer than max_prompt_tokens = 32|raise the limit"),
    "few.jsonl": (written("few.jsonl", GOOD * 3), "few.jsonl has 3 usable problems|lower it"),
    "nobody/no-such-problems": (None, "nobody/no-such-problems|Hub"),
    "''": (None, "a source of problems is an empty text|give a file"),
    "~/no-such-file-anywhere.jsonl": (None, "no-such-file-anywhere.jsonl|no such file"),
    "half.jsonl": (
        written("half.jsonl", '{"problem": "\\ud800", "answer": "U"}\n'),
        "half.jsonl:1: half a character|write it whole",
    ),
    "closed.jsonl": (unreadable("closed.jsonl", GOOD), "closed.jsonl: cannot be read"),
}

POLICY = {
    "data/testbed/polcy": (None, "policy 'data/testbed/polcy': no such folder|give a model folder"),
    "models/polcy": (made("models/policy"), "policy 'models/polcy': no such folder|give a model folder"),
    "nobody/no-such-model": (None, "policy 'nobody/no-such-model': no such folder|give a model folder"),
    "no-such-model": (None, "policy 'no-such-model': no such folder|give a model folder"),
    "base.yaml": (None, "policy 'base.yaml'|give a model folder"),
    "~/no-such-model-anywhere": (None, "no-such-model-anywhere': no such folder|give a model folder"),
    "''": (None, "model.policy is an empty text|give a model folder"),
    "hollow": (made("hollow"), "policy 'hollow'|tokenizer"),
    "edited/config.json ": (model(lambda folder: (folder / "config.json").unlink()), "edited/config.json|no such file"),
}

EDITED = {
    "config.json is no JSON": (
        lambda folder: (folder / "config.json").write_text("{"),
        "policy 'edited'|config.json|not a valid JSON file",
    ),
    "config.json is missing": (lambda folder: (folder / "config.json").unlink(), "'edited'|configuration"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "policy 'edited'|tokenizer"),
    "tokenizer.json is no JSON": (
        lambda folder: (folder / "tokenizer.json").write_text("[]"),
        "policy 'edited'|tokenizer",
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "policy 'edited'|weights"),
    "weights cut off": (cut, "policy 'edited'|weights"),
    "weights of text": (lambda folder: (folder / "model.safetensors").write_text("x" * 99), "policy 'edited'|weights"),
    "another size": (fields("config.json", hidden_size=128), "policy 'edited'"),
    "an unknown architecture": (fields("config.json", model_type="quwen"), "'edited'|quwen"),
    "dropout": (fields("config.json", attention_dropout=0.1), "attention_dropout to 0.1|set it to 0"),
    "nothing that ends a response": (endless, "policy 'edited' has no end-of-sequence token|set eos_token"),
    "a small embedding": (fields("config.json", vocab_size=4), "policy 'edited' embeds 4 ids|resize"),
    "a short window": (fields("config.json", max_position_embeddings=16), "attend to 16 tokens|lower one"),
}

FOLDERS = {
    "--trainer.logger.save_dir=base.yaml": (None, "save_dir|base.yaml is no folder|name another"),
    "--trainer.logger.save_dir=base.yaml/runs": (None, "save_dir|base.yaml is no folder|name another"),
    "--trainer.logger.save_dir=loop": (linked("loop", "loop"), "save_dir|loop is no folder|name another"),
    "--trainer.logger.save_dir=/proc/runs": (None, "/proc/runs|cannot be made|name another"),
    "--trainer.callbacks+='{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {dirpath: "
    "base.yaml/saved}}'": (None, "dirpath|base.yaml is no folder|name another"),
    "--trainer.logger=lightning.pytorch.loggers.MLFlowLogger": (None, "mlflow"),
    "--trainer.logger=lightning.pytorch.loggers.CometLogger": (None, "comet"),
    "--trainer.logger=lightning.pytorch.loggers.NoLogger": (None, "NoLogger"),
    "--ckpt_path=nowhere.ckpt": (None, "nowhere.ckpt|give a file"),
    "--ckpt_path=text.ckpt": (written("text.ckpt", "no checkpoint at all\n"), "text.ckpt"),
    "--ckpt_path=empty.ckpt": (written("empty.ckpt", ""), "empty.ckpt"),
    "--ckpt_path=": (None, "--ckpt_path is an empty text|give a checkpoint"),
    "--resume_changes=modl.alpha": (None, "modl.alpha: no such setting|accepted"),
    "--data.reward=ending.Reward": (
        written("ending.py", "raise SystemExit(0)\n"),
        "ending.py:1: ends the process|let it raise",
    ),
    "--ckpt_path=data": (None, "data"),
    "--ckpt_path=other.ckpt": (stranger, "other.ckpt"),
    "--config nowhere.yaml": (None, "nowhere.yaml: no such file|base.yaml"),
    "--config data": (None, "--config data: a folder"),
    "--config latin.yaml": (written("latin.yaml", b"model: {policy: \xe9}\n"), "latin.yaml: cannot be read"),
    "--model.algorthm.mixed=2": (None, "algorthm|did you mean 'algorithm'"),
    "--model.alpha": (None, "--model.alpha: a value is missing|a number"),
    "steps=3": (None, "steps=3: not understood|--steps"),
}


def readable_by_all() -> bool:
    """Whether this user reads what nobody may read."""
    return os.geteuid() == 0


CASES: list[Case] = [
    *[Case("YAML", "fit --config mine.yaml", says, written("mine.yaml", text)) for text, says in YAML.items()],
    *[
        Case("problems", f"fit --data.train {source}", says, prepare)
        for source, (prepare, says) in DATA.items()
        if not (source.startswith("closed") and readable_by_all())
    ],
    *[Case("model", f"fit --model.policy {path}", says, prepare) for path, (prepare, says) in POLICY.items()],
    *[
        Case("model", "fit --model.policy edited --model.expert edited", says, model(change))
        for change, says in EDITED.values()
    ],
    Case(
        "model",
        "fit --model.expert edited --model.algorithm mentor_pl.algorithms.distillation.Distillation",
        "algorithm Distillation asks for the expert's probabilities|has another vocabulary|expert of the policy's family",
        model(swapped),
    ),
    Case("model", "fit --model.expert null", "algorithm Mentor asks an expert|set model.expert"),
    Case("model", "fit --model.stop_tokens '[<nope>]'", "'<nope>'|give tokens as"),
    *[Case("folder or checkpoint", f"fit {options}", says, prepare) for options, (prepare, says) in FOLDERS.items()],
]
