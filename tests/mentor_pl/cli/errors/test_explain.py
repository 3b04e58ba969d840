"""A table of mistakes that people make, each with the one line that answers it."""

from __future__ import annotations

from pathlib import Path

import pytest

COMPLETE = "model: {policy: a}\ndata: {train: b}\n"
GATE = "model:\n  gate:\n    class_path: cli_standin.EntropyGate\n"
CALLBACK = "trainer:\n  callbacks+:\n  - class_path: cli_standin.Note\n  - class_path: cli_standin.Note\n"
MODEL_KEYS = "policy, gate, optimizer, lr, steps, mode, betas, gates, reward, fail"


IN_A_FILE = {
    "unknown group": (
        "modle:\n  lr: 3\n",
        "mine.yaml:1: modle: no such setting; did you mean 'model'? "
        "Accepted: trainer, model, data, seed_everything, threads, ckpt_path, weights_only, resume, resume_changes",
    ),
    "unknown key": (
        "model:\n  lr: 0.1\n  lrr: 3\n",
        f"mine.yaml:3: model.lrr: no such setting; did you mean 'lr'? Accepted: {MODEL_KEYS}",
    ),
    "unknown key of a group of many keys": (
        "trainer: {max_epoch: 3}\n",
        "mine.yaml:1: trainer.max_epoch: no such setting; did you mean 'max_epochs'?",
    ),
    "unknown key of a dataclass": (
        "data:\n  group:\n    mixt: 2\n",
        "mine.yaml:3: data.group.mixt: no such setting; did you mean 'mixed'? Accepted: on_policy, mixed",
    ),
    "wrong type": ("model:\n  steps: many\n", "mine.yaml:2: model.steps: expected an integer or null, got 'many'"),
    "wrong type in a dataclass": (
        "data:\n  group: {mixed: x}\n",
        "mine.yaml:2: data.group.mixed: expected an integer, got 'x'",
    ),
    "wrong number of values": (
        "model:\n  betas: [0.9]\n",
        "mine.yaml:2: model.betas: expected a list of 2 values (a number, a number), got [0.9]",
    ),
    "null where none may be": (
        "model:\n  lr: null\n",
        "mine.yaml:2: model.lr: null is not allowed here; expected a number",
    ),
    "null inside a class": (
        f"{GATE}    init_args: {{p: null}}\n",
        "mine.yaml:4: model.gate.p: null is not allowed here; expected a number",
    ),
    "value outside a choice": (
        "model:\n  mode: slow\n",
        "mine.yaml:2: model.mode: expected one of fast, exact, got 'slow'",
    ),
    "value outside a choice of many": (
        "trainer: {precision: 17}\n",
        "mine.yaml:1: trainer.precision: expected one of 64, 32, 16, transformer-engine, transformer-engine-float16, "
        "16-true, 16-mixed, bf16-true, bf16-mixed, 32-true, 64-true, bf16 or null, got 17",
    ),
    "list for settings": (
        "model: [1, 2]\n",
        "mine.yaml:1: model: expected settings (key: value) of Module, got [1, 2]",
    ),
    "number for settings": ("data: 3\n", "mine.yaml:1: data: expected settings (key: value) of Data, got 3"),
    "number for a class": (
        "model:\n  gate: 3\n",
        "mine.yaml:2: model.gate: expected the class_path of a Gate or null, got 3",
    ),
    "module that is not there": (
        "model:\n  gate:\n    class_path: cli_standing.EntropyGate\n",
        "mine.yaml:3: model.gate.class_path: no module named 'cli_standing'; did you mean cli_standin.EntropyGate?",
    ),
    "class that is not there": (
        "model:\n  gate:\n    class_path: cli_standin.EntropiGate\n",
        "mine.yaml:3: model.gate.class_path: module 'cli_standin' has no 'EntropiGate'; "
        "did you mean cli_standin.EntropyGate?",
    ),
    "class without what it needs": (
        "model:\n  gate:\n    class_path: cli_standin.HalfGate\n",
        "mine.yaml:3: model.gate.class_path: cli_standin.HalfGate is not a Gate: it lacks __call__; "
        "known: cli_standin.EntropyGate",
    ),
    "bare name behind a protocol": (
        "model:\n  reward: Maze\n",
        "mine.yaml:2: model.reward: 'Maze' is not the import path of a Reward; did you mean cli_standin.Maze?",
    ),
    "class that does not follow a protocol": (
        "model:\n  reward: cli_standin.Note\n",
        "mine.yaml:2: model.reward: cli_standin.Note is not a Reward: it lacks grade; known: cli_standin.Maze",
    ),
    "class with other signatures than a protocol's": (
        "model:\n  reward: cli_standin.Untyped\n",
        "mine.yaml:2: model.reward: cli_standin.Untyped is not a Reward: its signatures must be "
        "def grade(self, response: 'str') -> 'float'; known: cli_standin.Maze",
    ),
    "class of another kind": (
        "trainer:\n  logger:\n    class_path: cli_standin.Note\n",
        "mine.yaml:3: trainer.logger.class_path: cli_standin.Note is not a Logger: "
        "it does not subclass lightning.pytorch.loggers.Logger; known: ",
    ),
    "no class at all": (
        "model:\n  gate:\n    p: 0.5\n",
        "mine.yaml:2: model.gate: say which Gate with a class_path; known: cli_standin.EntropyGate",
    ),
    "unknown setting of a class": (
        f"{GATE}    init_args:\n      q: 0.5\n",
        "mine.yaml:5: model.gate.q: EntropyGate has no setting 'q'; accepted: p, source",
    ),
    "setting beside class_path": (
        f"{GATE}    p: 0.5\n",
        "mine.yaml:4: model.gate.p: put 'p' under init_args, beside class_path",
    ),
    "wrong type inside a class": (
        f"{GATE}    init_args:\n      p: half\n",
        "mine.yaml:5: model.gate.p: expected a number, got 'half'",
    ),
    "wrong choice inside a class": (
        f"{GATE}    init_args: {{p: 0.5, source: now}}\n",
        "mine.yaml:4: model.gate.source: expected one of current, previous, got 'now'",
    ),
    "class inside a dict": (
        "model:\n  gates:\n    one: {class_path: cli_standin.Gates}\n",
        "mine.yaml:3: model.gates.one.class_path: module 'cli_standin' has no 'Gates'; known: cli_standin.EntropyGate",
    ),
    "second item of a list that appends": (
        f"{CALLBACK}    init_args: {{txt: x}}\n",
        "mine.yaml:5: trainer.callbacks[1].txt: Note has no setting 'txt'; did you mean 'text'? Accepted: text, extra",
    ),
    "second of two items with the same setting": (
        "trainer:\n  callbacks+:\n  - {class_path: cli_standin.Note, init_args: {text: fine}}\n"
        "  - {class_path: cli_standin.Note, init_args: {text: [1]}}\n",
        "mine.yaml:4: trainer.callbacks[1].text: expected a text, got [1]",
    ),
    "setting of an optimizer": (
        "model:\n  optimizer: {class_path: torch.optim.SGD, init_args: {momentun: 0.9}}\n",
        "mine.yaml:2: model.optimizer.momentun: SGD has no setting 'momentun'; did you mean 'momentum'? Accepted: "
        "lr, momentum, dampening, weight_decay, nesterov, maximize, foreach, differentiable, fused",
    ),
    "reference to nothing": (
        "model:\n  lr: ${data.lr}\n",
        "mine.yaml:2: model.lr: '${data.lr}' refers to a setting that is not there",
    ),
    "key given twice": (
        "model:\n  lr: 1\nmodel:\n  steps: 2\n",
        "mine.yaml:3: 'model' is given twice, first in line 1",
    ),
    "unclosed bracket": ("model:\n  betas: [1,\n", "mine.yaml:3: malformed YAML: "),
    "bad indentation": (
        "model:\n  lr: 1\n   steps: 2\n",
        "mine.yaml:3: malformed YAML: mapping values are not allowed here",
    ),
    "a list as configuration": (
        "- model\n",
        "mine.yaml: holds a list, but a configuration is settings (key: value)",
    ),
    "an empty file": ("# nothing\n", "mine.yaml: is empty, but a configuration is settings (key: value)"),
}


@pytest.mark.parametrize("mistake", IN_A_FILE)
def test_a_mistake_in_a_file_gets_one_line_with_its_place_and_what_is_allowed(mistake: str, refusal) -> None:
    yaml, expected = IN_A_FILE[mistake]
    assert refusal(yaml).startswith(expected) if expected.endswith(": ") else refusal(yaml) == expected


ON_THE_COMMAND_LINE = {
    "wrong type": (["--trainer.max_epochs=abc"], "--trainer.max_epochs: expected an integer or null, got 'abc'"),
    "value apart": (["--model.lr", "1e-3x"], "--model.lr: expected a number, got '1e-3x'"),
    "abbreviation": (["--trainer.max_epoch=3"], "--trainer.max_epoch: no such setting; did you mean 'max_epochs'?"),
    "unknown option": (
        ["--nope=3"],
        "--nope: no such setting; accepted: trainer, model, data, seed_everything, threads, ckpt_path, weights_only, "
        "resume, resume_changes",
    ),
    "reference without the sub-command": (
        ["--data.size=${model.steps}"],
        "--data.size: '${model.steps}' refers to a setting that is not there; "
        "on the command line a reference is written ${fit.model.steps}",
    ),
    "no value": (["--model.steps"], "--model.steps: a value is missing; expected an integer or null"),
    "no dashes": (["model.lr=3"], "model.lr=3: not understood; settings are written --model.lr=..."),
    "stray word": (["again"], "again: not understood; settings start with --"),
    "null": (["--model.lr=null"], "--model.lr: null is not allowed here; expected a number"),
    "setting without its class": (
        ["--model.gate.p=0.5"],
        "--model.gate.p: model.gate: say which Gate with a class_path; known: cli_standin.EntropyGate",
    ),
    "setting of a class": (
        ["--model.gate=cli_standin.EntropyGate", "--model.gate.q=0.5"],
        "--model.gate.q: EntropyGate has no setting 'q'; accepted: p, source",
    ),
    "setting of a default class": (["--model.optimizer.lr=x"], "--model.optimizer.lr: Expected a float"),
    "configuration written inline": (
        ["--config={data: {group: {mixed: x}}}"],
        "--config:1: data.group.mixed: expected an integer, got 'x'",
    ),
    "malformed configuration inline": (["--config={data: "], "--config:1: malformed YAML: "),
    "checkpoint that is not there": (
        ["--ckpt_path=runs/x.ckpt"],
        "--ckpt_path: no checkpoint 'runs/x.ckpt'; give a file or folder, or one of best, last, hpc",
    ),
    "configuration that is not there": (["--config=nope.yaml"], "--config nope.yaml: no such file; ./ has base.yaml"),
    "folder as configuration": (["--config", ".."], "--config ..: a folder, not a YAML file"),
}


@pytest.mark.parametrize("mistake", ON_THE_COMMAND_LINE)
def test_a_mistake_on_the_command_line_gets_one_line_that_names_the_option(mistake: str, refusal) -> None:
    arguments, expected = ON_THE_COMMAND_LINE[mistake]
    told = refusal("", *arguments)
    assert (
        told.startswith(expected)
        if mistake in ("setting of a default class",) or expected[-2:] == ": "
        else (told == expected)
    )


@pytest.mark.parametrize("value", ["${", "${oc.env:MENTOR_NOT_SET}", "${model.lr}", "${nothing:x}"])
def test_a_reference_that_cannot_be_resolved_is_named_with_its_place(value: str, refusal) -> None:
    Path("mine.yaml").write_text(f"model:\n  lr: '{value}'\n")
    told = refusal("", "--config", "mine.yaml")
    assert told.startswith("mine.yaml:2: model.lr: its reference cannot be resolved (")
    assert "full_key" not in told


def test_what_is_required_is_named_with_its_type(refusal) -> None:
    Path("base.yaml").write_text("data: {train: b}\n")
    assert (
        refusal() == "required, but not set: model.policy (a text). Set in a --config file or with --model.policy=..."
    )


def test_correct_settings_in_every_form_are_accepted(parsed) -> None:
    trainer = "{logger: false, limit_val_batches: 0.5, min_epochs: null, callbacks: [" + (
        "{class_path: cli_standin.Note, init_args: {extra: null}}]}"  # as a saved configuration has it
    )
    Path("base.yaml").write_text(f"{COMPLETE}trainer: {trainer}\n")
    arguments = ["--model.gate=cli_standin.EntropyGate", "--model.gate.p=0.5", "--model.lr=1e-3", "--model.steps=null"]
    arguments += ["--model.reward=cli_standin.Maze", "--model.gates={a: EntropyGate}"]
    arguments += ["--data.size=${fit.model.steps}", "--model.steps=5"]
    arguments += ["--trainer.callbacks+=cli_standin.Note", "--config={data: {group: {mixed: 0}}}"]
    parsed("--config", "base.yaml", *arguments)
