"""Both sides say the same greedy tokens, at the lengths that were drawn, also where prompts are padded."""

import shutil
import sys

import pytest
import real_model
from rich.progress import Progress
from rollout_work import generate

from mentor_pl.decoding.coin import Coin


@pytest.fixture
def task(qwen2_folder, tmp_path):
    shutil.copytree(qwen2_folder, tmp_path / "model")
    template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    (tmp_path / "model/chat_template.jinja").write_text(template, encoding="utf-8")
    return real_model.sums(str(tmp_path / "model"), 6)


def test_prompts_and_responses_differ_in_length_and_generate_has_those_that_were_drawn(task):
    assert len(set(map(len, task.prompts))) > 1
    assert len(set(task.limits)) > 1
    assert [len(said) for said in generate(task, 4)] == task.limits == task.sample(Coin(rows=4)).lengths.tolist()


def test_greedy_tokens_are_those_of_generate(task):
    speed, equal = real_model.figures(task, 4, 1, Progress(disable=True))
    assert speed.value > 0
    assert equal.value == 1


def test_a_folder_without_a_model_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["real_model.py", "--model", str(tmp_path)])
    with pytest.raises(SystemExit):
        real_model.main()
    assert "has no config.json: give a model folder" in capsys.readouterr().err.splitlines()[-1]
