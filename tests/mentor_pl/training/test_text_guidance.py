"""Whole runs under an expert of another family: learned from, resumed, refused, told its own template's prompts."""

import logging

import pytest

from callbacks import AlphaDecay
from mentor_pl.algorithms.distillation import Distillation
from mentor_pl.algorithms.kdrl import KDRL
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.kl_gate import KLGate
from mentor_pl.algorithms.trb import TRB
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.source import ModelSource
from mentor_pl.models.text_expert import text_expert
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training import module as training_module
from mentor_pl.training.expert_prompts import ExpertPrompts
from mentor_pl.types import ExpertPrompt, Prompt, Row


@pytest.fixture
def across(run, qwen2_folder, merges_expert_folder):
    """Options as of `run` -> a run whose policy and expert have no ids in common."""
    models = {"policy": str(qwen2_folder), "expert": str(merges_expert_folder)}

    def build(algorithm=None, module_options=None, data_options=None, **options):
        data = {"max_prompt_tokens": 40, "sampling": SamplingParams(max_new_tokens=10)} | (data_options or {})
        return run(algorithm=algorithm, module_options=models | (module_options or {}), data_options=data, **options)

    return build


def test_a_run_guides_and_says_how(across, caplog):
    caplog.set_level(logging.INFO)
    job = across(Mentor(2, 2), callbacks=[AlphaDecay()])
    rollouts = []
    job.module.training_step = keeping(job.module.training_step, rollouts)
    job.fit()
    (said,) = {record.getMessage() for record in caplog.records if "another vocabulary" in record.getMessage()}
    assert "it guides by its text" in said
    assert any(bool(one.replaced.any()) for one in rollouts)
    assert all(bool((one.guided | ~one.replaced).all()) for one in rollouts)


def keeping(step, kept):
    def training_step(rollouts, batch_idx):
        kept.append(rollouts)
        return step(rollouts, batch_idx)

    return training_step


def test_a_resumed_run_is_the_run_bit_for_bit(across, tmp_path, equal_weights):
    whole = across(Mentor(2, 2), steps=4).fit()
    first = across(Mentor(2, 2), steps=2)
    first.fit()
    first.trainer.save_checkpoint(tmp_path / "two.ckpt")
    assert equal_weights(whole, across(Mentor(2, 2), steps=4).fit(ckpt_path=str(tmp_path / "two.ckpt")))


@pytest.mark.parametrize(
    ("algorithm", "problem"),
    [
        (KDRL, r"algorithm KDRL asks for the expert's probabilities \(reverse_kl\)"),
        (Distillation, r"algorithm Distillation asks for the expert's probabilities"),
        (lambda: Mentor(2, 2, gate=KLGate()), "algorithm Mentor guides where the expert's probabilities say so"),
        (TRB, "algorithm TRB asks for the expert's probabilities"),
    ],
    ids=["kdrl", "distillation", "kl_gate", "trb"],
)
def test_a_method_that_needs_probabilities_is_refused_before_a_model_is_loaded(across, algorithm, problem, monkeypatch):
    def loaded(*_):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(training_module, "load_trained", loaded)
    with pytest.raises(UsageError, match=problem):
        across(algorithm()).fit()


@pytest.fixture(scope="module")
def told(qwen2_folder, merges_expert_folder):
    return text_expert(ModelSource(str(qwen2_folder), "policy"), ModelSource(str(merges_expert_folder), "expert"))


def row(tokenizer, problem, given="", written=""):
    ids = tuple(tokenizer(problem)["input_ids"])
    prompt = Prompt(0, problem, "", ids, response_prefix=written)
    return Row(prompt, ids, 0, given=tuple(tokenizer(given)["input_ids"]) if given else ())


def test_the_expert_reads_the_problem_by_its_own_template(told, monkeypatch):
    monkeypatch.setattr(
        told.tokenizer, "chat_template", "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<me>"
    )
    prompts = ExpertPrompts(told, "be brief", template="not {problem}")
    (ids, text) = vars(prompts(row(told.policy_tokenizer, "find x"))).values()
    assert told.tokenizer.decode(ids) == "<system>be brief<user>find x<me>"
    assert text == ""


def test_without_a_template_of_its_own_it_reads_the_datas(told):
    prompts = ExpertPrompts(told, None, template="Q: {problem}\n")
    ids = prompts(row(told.policy_tokenizer, "find x")).ids
    assert told.tokenizer.decode(ids) == "Q: find x\n"


def test_it_is_told_what_the_response_begins_with(told):
    prompts = ExpertPrompts(told, None, template=None)
    begun = prompts(row(told.policy_tokenizer, "find x", given=" we try", written="<think>\n"))
    assert begun == ExpertPrompt(tuple(told.tokenizer("find x")["input_ids"]), "<think>\n we try")


@pytest.mark.parametrize("written", ["", "<think>\n"])
def test_what_its_own_template_writes_of_a_response_is_the_policys_to_say(written, told, monkeypatch):
    """Else it would read two beginnings where the policy writes one, and go on inside thoughts that nobody opened."""
    monkeypatch.setattr(told.tokenizer, "chat_template", "{{ messages[-1]['content'] }}<me><think>\n")
    read = ExpertPrompts(told, None, None)(row(told.policy_tokenizer, "find x", written=written))
    assert told.tokenizer.decode(read.ids) == "find x<me>"
    assert read.text == written


def test_a_hint_that_the_policy_alone_could_read_is_refused(told):
    plain = row(told.policy_tokenizer, "find x")
    hinted = Row(plain.prompt, (*plain.context, 5), 0)
    with pytest.raises(UsageError, match="the policy reads more than the problem"):
        ExpertPrompts(told, None, None)(hinted)


def test_experts_of_the_same_ids_are_no_text_experts(qwen2_folder, qwen2_expert_folder):
    sources = ModelSource(str(qwen2_folder), "policy"), ModelSource(str(qwen2_expert_folder), "expert")
    assert text_expert(*sources) is None
    assert text_expert(sources[0], None) is None
