"""A mistake among several sources is found where it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

COMPLETE = "model: {policy: a}\ndata: {train: b}\n"


def test_the_place_is_the_first_that_cannot_work_whatever_comes_later(refusal) -> None:
    refused = "model.steps: expected an integer or null, got 'two'"
    assert refusal("model:\n  steps: two\n", "--model.steps=many") == f"mine.yaml:2: {refused}"
    assert refusal("model:\n  steps: two\n", "--model.steps=5") == f"mine.yaml:2: {refused}"
    Path("base.yaml").write_text(COMPLETE.replace("policy: a", "policy: a, steps: two"))
    assert refusal("model:\n  steps: 5\n") == f"base.yaml:1: {refused}"
    assert refusal("model:\n  mode: fast\n") == f"base.yaml:1: {refused}"


OVER_EARLIER_SETTINGS = {
    "a class that an option was to reach into": (
        "model: {gate: 3}\n",
        ["--model.gate.p=0.5"],
        "mine.yaml:1: model.gate: expected the class_path of a Gate or null, got 3",
    ),
    "a setting of a class that an earlier file named": (
        "model: {gate: {init_args: {p: x}}}\n",
        ["--model.gate.p=0.5"],
        "mine.yaml:1: model.gate.p: expected a number, got 'x'",
    ),
    "an option that reaches into the last item of a list": (
        "trainer: {callbacks: [cli_standin.Note, cli_standin.Note]}\n",
        ["--trainer.callbacks.text=[1]"],
        "--trainer.callbacks.text: expected a text, got [1]",
    ),
    "an unknown option of the last item of a list": (
        "trainer: {callbacks: [cli_standin.Note]}\n",
        ["--trainer.callbacks.txt=x"],
        "--trainer.callbacks.txt: Note has no setting 'txt'; did you mean 'text'? Accepted: text, extra",
    ),
    "null for a setting of a class that an earlier file named": (
        "model: {mode: exact}\n",
        ["--model.gate.p=null"],
        "--model.gate.p: null is not allowed here; expected a number",
    ),
    "null in an item that was appended": (
        "trainer: {callbacks: [cli_standin.Note]}\n",
        ["--config={trainer: {callbacks+: [{class_path: cli_standin.Note, init_args: {text: null}}]}}"],
        "--config:1: trainer.callbacks[1].text: null is not allowed here; expected a text",
    ),
}


@pytest.mark.parametrize("mistake", OVER_EARLIER_SETTINGS)
def test_a_mistake_is_found_where_it_was_made_although_an_earlier_source_named_the_class(mistake, refusal) -> None:
    yaml, arguments, expected = OVER_EARLIER_SETTINGS[mistake]
    Path("base.yaml").write_text(COMPLETE.replace("policy: a", "policy: a, gate: cli_standin.EntropyGate"))
    assert refusal(yaml, *arguments) == expected
