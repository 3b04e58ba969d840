"""What policy and expert must have in common, told token by token."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.pairing import examine
from mentor_pl.cli.doctor.report import Finding, Level

Read = Callable[..., Configuration]


@pytest.fixture
def expert(llama_expert_folder: Path, tmp_path: Path) -> Path:
    """A copy of the expert that may be changed."""
    shutil.copytree(llama_expert_folder, tmp_path / "expert")
    return tmp_path / "expert"


def changed(file: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def texts(findings: list[Finding], level: Level) -> list[str]:
    return [finding.text for finding in findings if finding.level is level]


def test_a_pair_that_fits_is_told_with_its_padded_rows_stop_ids_and_context(configuration: Read) -> None:
    found = examine(configuration())
    assert not texts(found, Level.PROBLEM) + texts(found, Level.WARNING)
    told = "\n".join(texts(found, Level.OK))
    assert "the policy embeds 64, the expert embeds 80" in told
    assert "a response ends with '</s>' (1)" in told
    assert "context: 16 tokens of prompt and response, of 512" in told
    assert "prompts are written by a plain template" in told
    assert texts(found, Level.DETAIL) == ["eos_token: '</s>'", "bos_token: '<s>'", "pad_token: None"]


def test_a_few_ids_that_are_other_tokens_are_a_warning_with_both_spellings(configuration: Read, expert: Path) -> None:
    def swap(tokenizer: dict) -> None:  # type: ignore[type-arg]
        vocabulary = tokenizer["model"]["vocab"]
        words = sorted(vocabulary, key=vocabulary.get)
        for i in range(5, 12):  # seven words take one another's places
            vocabulary[words[i]] = 5 + (i - 4) % 7

    changed(expert / "tokenizer.json", swap)
    found = examine(configuration("--model.expert", str(expert)))
    assert not texts(found, Level.PROBLEM)
    text = texts(found, Level.WARNING)[0]
    assert text.startswith("7 of ")
    assert "so the expert guides by its text" in text
    details = texts(found, Level.DETAIL)
    assert details[0].startswith("id 5: policy ")
    assert details[5] == "and 2 more"


def test_an_expert_of_another_family_is_told_as_one(configuration: Read, merges_expert_folder: Path) -> None:
    """The policy's tokenizer alone puts a BOS in front, which is nothing to an expert that has its own."""
    settings = configuration("--model.expert", str(merges_expert_folder))
    found = examine(settings)
    assert settings.text_expert is not None
    assert not texts(found, Level.PROBLEM) + texts(found, Level.WARNING)
    told = "\n".join(texts(found, Level.OK))
    assert "ids are not the same token to both, so the expert guides by its text" in told
    assert "token ids, of the policy (the policy embeds 64; " in told
    assert "the expert has 381 ids of its own (it embeds 576); where it ends its turn with '<|end|>' (0), " in told
    assert "a response ends with '</s>' (1)" in told
    assert "of 512 that the policy attends to" in told
    assert "prompts are written by a plain template for the policy, and by a plain template for the expert" in told


def test_an_expert_of_another_family_has_a_template_of_its_own(
    configuration: Read, merges_expert_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(merges_expert_folder, tmp_path / "expert"))
    (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    found = texts(examine(configuration("--model.expert", str(folder), "--data.template", "{problem}")), Level.OK)
    assert "prompts are written by data.template for the policy, and by its own chat template for the expert" in found


@pytest.mark.parametrize("algorithm", ["kdrl.KDRL", "trb.TRB"])
def test_a_method_that_asks_for_its_probabilities_is_a_problem_in_the_modules_words(
    algorithm: str, configuration: Read, merges_expert_folder: Path
) -> None:
    options = ["--model.expert", str(merges_expert_folder), "--model.algorithm", f"mentor_pl.algorithms.{algorithm}"]
    settings = configuration(*options)
    (text,) = texts(examine(settings), Level.PROBLEM)
    assert text.startswith(f"algorithm {algorithm.split('.')[1]} asks for the expert's probabilities (")
    assert settings.tokenizer is not None  # so that the rest is examined


def test_stop_ids_that_differ_are_a_warning_until_they_are_named(configuration: Read, expert: Path) -> None:
    changed(expert / "generation_config.json", lambda config: config.update(eos_token_id=[1, 2]))
    (text,) = texts(examine(configuration("--model.expert", str(expert))), Level.WARNING)
    assert text == (
        "a response ends with '</s>' (1), '<unk>' (2): the policy's '</s>' (1), the expert's '</s>' (1), '<unk>' (2)"
    )
    named = configuration("--model.expert", str(expert), "--model.stop_tokens", '["</s>"]')
    assert not texts(examine(named), Level.WARNING)
    assert "a response ends with '</s>' (1): model.stop_tokens" in texts(examine(named), Level.OK)


def test_templates_and_special_tokens_that_differ_are_warnings(configuration: Read, expert: Path) -> None:
    (expert / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    changed(expert / "tokenizer.json", lambda tokenizer: tokenizer.update(post_processor=None))
    found = texts(examine(configuration("--model.expert", str(expert))), Level.WARNING)
    assert found[0].startswith("only the policy's tokenizer puts special tokens around a text")
    assert found[1] == "prompts are written by a plain template, and the expert has another: it reads the policy's"
    own = configuration("--model.expert", str(expert), "--data.template", "{problem}")
    assert len(texts(examine(own), Level.WARNING)) == 1


def test_an_expert_that_is_not_asked_is_compared_and_said_to_stay_out(configuration: Read) -> None:
    settings = configuration("--model.algorithm", "mentor_pl.algorithms.grpo.GRPO")
    (text,) = texts(examine(settings), Level.WARNING)
    assert text.startswith("GRPO asks no expert: ")
    assert settings.expert is None


def test_an_embedding_that_is_too_small_is_a_problem(configuration: Read, expert: Path) -> None:
    changed(expert / "config.json", lambda config: config.update(vocab_size=20))
    (text,) = texts(examine(configuration("--model.expert", str(expert))), Level.PROBLEM)
    assert "embeds 20 ids, but the tokenizer has" in text


def test_weights_that_are_cut_off_or_not_there_are_a_problem(configuration: Read, expert: Path) -> None:
    file = expert / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    (text,) = texts(examine(configuration("--model.expert", str(expert))), Level.PROBLEM)
    assert "its weights, model.safetensors, cannot be read: " in text
    file.unlink()
    (text,) = texts(examine(configuration("--model.expert", str(expert))), Level.PROBLEM)
    assert "its weights, model.safetensors, cannot be read: " in text
