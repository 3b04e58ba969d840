"""Runs that train adapters: what is stepped, kept, resumed and exported, on one process and sharded over two."""

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from transformers import AutoModelForCausalLM
from two_processes import output_of

from callbacks import ExportPolicy
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.models.fingerprint import fingerprint
from mentor_pl.models.loading import load_policy, save_folder
from mentor_pl.models.lora import LoRA, trained
from mentor_pl.models.source import ModelSource
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.checkpoints import RunCheckpoints

pytest.importorskip("peft", reason="peft is not installed: pip install mentor-pl[lora]")

ADAPTER = LoRA(rank=4)


@pytest.fixture
def adapted(run, tmp_path):
    """Options of `run` -> a run under MENTOR that trains adapters and keeps a checkpoint of each step."""

    def build(name, *, adapter=ADAPTER, callbacks=(), module_options=None, **options):
        return run(
            callbacks=[RunCheckpoints(1, 9), *callbacks],
            module_options={"adapter": adapter, **(module_options or {})},
            # how far drafts look ahead is given: measured, it depends on what else the machine does
            data_options={"sampler": Coin(schedule=FixedK(3))},
            trainer_options={"logger": CSVLogger(tmp_path, "run", name), "enable_checkpointing": True},
            **options,
        )

    return build


def checkpoint(tmp_path, name, step):
    return tmp_path / f"run/{name}/checkpoints/step={step}.ckpt"


def close_in_float64(merged, policy, ids):
    """Whether logits are equal to 1e-5; in float32 a forward alone may be as far from the truth."""
    return torch.allclose(merged.double()(ids).logits, policy.double()(ids).logits, atol=1e-5, rtol=0)


def test_weights_are_frozen_adapters_learn_and_training_is_what_sampled(adapted, llama_folder):
    job = adapted("one")
    before = fingerprint(load_policy(ModelSource(str(llama_folder), "policy")))
    weights = job.fit()
    plain = AutoModelForCausalLM.from_pretrained(llama_folder).state_dict()
    kept = {name.replace(".base_layer", ""): value for name, value in weights.items() if ".lora_" not in name}
    assert plain.keys() == kept.keys() and all(torch.equal(plain[name], kept[name]) for name in plain)
    assert all(bool(value.any()) for name, value in weights.items() if ".lora_B." in name)
    assert job.trainer.callback_metrics["train/logprob_gap/max"] <= 1e-5
    assert job.trainer.callback_metrics["train/grad_norm"] > 0
    assert job.module.policy.adapter_settings["weights"] == before
    owned = [p for group in job.trainer.optimizers[0].param_groups for p in group["params"]]
    assert {id(p) for p in owned} == {id(p) for p in trained(job.module.policy).values()}


def test_a_checkpoint_holds_adapters_alone_and_the_run_goes_on_bit_for_bit(adapted, tmp_path, equal_weights):
    whole = adapted("whole", steps=4).fit()
    saved = torch.load(checkpoint(tmp_path, "whole", 2), weights_only=True)
    assert len(saved["state_dict"]) == 28
    assert all(name.startswith("policy.") and ".lora_" in name for name in saved["state_dict"])
    resumed = adapted("resumed", steps=4).fit(ckpt_path=checkpoint(tmp_path, "whole", 2))
    assert equal_weights(whole, resumed)
    first, again = (
        torch.load(checkpoint(tmp_path, name, 4), weights_only=True)["optimizer_states"][0]["state"]
        for name in ("whole", "resumed")
    )
    assert first.keys() == again.keys() and len(first) == 28
    assert all(torch.equal(first[n][part], again[n][part]) for n in first for part in ("exp_avg", "exp_avg_sq"))


@pytest.mark.parametrize(
    ("saved", "given", "message"),
    [
        (LoRA(4), LoRA(4, alpha=8.0), r"adapter has alpha 32\.0, this run's 8\.0: keep model\.policy"),
        (LoRA(4), LoRA(4, target_modules=["q_proj"]), r"adapter has target_modules None, this run's \['q_proj'\]"),
        (LoRA(4), None, r"trained an adapter alone, and model\.adapter is null"),
        (None, LoRA(4), r"trained all weights, and model\.adapter is set"),
    ],
)
def test_a_checkpoint_of_another_adapter_is_refused_in_one_line(saved, given, message, adapted, tmp_path):
    adapted("saved", adapter=saved, steps=1).fit()
    with pytest.raises(UsageError, match=message) as refused:
        adapted("given", adapter=given, steps=2).fit(ckpt_path=checkpoint(tmp_path, "saved", 1))
    assert "\n" not in str(refused.value)


def test_a_checkpoint_of_adapters_beside_other_weights_is_refused(adapted, tmp_path, llama_folder):
    job = adapted("saved", steps=1)
    job.fit()
    model = AutoModelForCausalLM.from_pretrained(llama_folder)
    with torch.no_grad():
        model.lm_head.weight[3, 5] += 1e-3
    save_folder(model, job.module.tokenizer, tmp_path / "other")
    other = adapted("other", steps=2, module_options={"policy": str(tmp_path / "other")})
    with pytest.raises(UsageError, match=r"adapter has weights [0-9a-f]{16}, this run's [0-9a-f]{16}"):
        other.fit(ckpt_path=checkpoint(tmp_path, "saved", 1))


def test_the_policy_is_exported_merged_or_its_adapter_alone(adapted, tmp_path):
    from peft import PeftModel

    exports = [ExportPolicy(str(tmp_path / "merged")), ExportPolicy(str(tmp_path / "alone"), merge_adapter=False)]
    job = adapted("one", callbacks=exports)
    job.fit()
    ids = torch.arange(3, 33)[None]
    policy = job.module.policy.eval()
    base = AutoModelForCausalLM.from_pretrained(job.module.policy_source.path)
    assert torch.equal(PeftModel.from_pretrained(base, str(tmp_path / "alone")).eval()(ids).logits, policy(ids).logits)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    assert merged.config.eos_token_id == list(job.module.vocabulary.stop_ids)
    assert close_in_float64(merged, policy, ids)


def test_no_adapter_is_exported_alone_where_none_is_trained(run, tmp_path):
    job = run(steps=1, algorithm=GRPO(4), callbacks=[ExportPolicy(str(tmp_path / "alone"), merge_adapter=False)])
    with pytest.raises(UsageError, match=r"merge_adapter is false, but model\.adapter is null"):
        job.fit()


# ---------------------------------------------------------------- over two ranks

RANKS = """
import sys
from pathlib import Path

import lightning.pytorch as L
import torch
from lightning.pytorch.loggers import CSVLogger
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor

from callbacks import ExportPolicy
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.lora import LoRA
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.parallel import FSDP2Strategy
from mentor_pl.training.checkpoints import RunCheckpoints
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.module import MentorModule

policy, problems, folder = sys.argv[1:4]


class CountWord(Reward):
    range = (0.0, 1.0)

    def grade(self, prompt, response):
        return Grade(min(1.0, response.text.split().count("the") / 3))


class Sharded(L.Callback):
    def on_train_start(self, trainer, pl_module):
        assert all(isinstance(parameter, DTensor) for parameter in pl_module.policy.parameters())

    def on_train_end(self, trainer, pl_module):
        assert trainer.callback_metrics["train/logprob_gap/max"] <= 1e-5
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights = get_model_state_dict(pl_module.policy, options=options)
        if trainer.is_global_zero:
            torch.save(weights, f"{folder}/{trainer.logger.version}.pt")


def fit(name, start=None, **strategy):
    L.seed_everything(7, verbose=False)
    module = MentorModule(
        policy, None, GRPO(8), adapter=LoRA(4), optimizer=lambda params: torch.optim.AdamW(params, lr=1e-2)
    )
    data = RolloutDataModule(
        problems, steps=2, prompts_per_step=4, sampling=SamplingParams(max_new_tokens=8), reward=CountWord(),
        system_prompt=None, max_prompt_tokens=8, seed=3,
    )
    trainer = L.Trainer(
        accelerator="cpu", devices=2, strategy=FSDP2Strategy(timeout_minutes=2, **strategy), max_epochs=1,
        logger=CSVLogger(folder, "run", name), enable_progress_bar=False, enable_model_summary=False,
        callbacks=[RunCheckpoints(1, 9), Sharded(), ExportPolicy(f"{folder}/{name}")],
    )
    trainer.fit(module, data, ckpt_path=start)


fit("sharded")
fit("sharded_on", f"{folder}/run/sharded/checkpoints/step=1.ckpt")
fit("from_one", f"{folder}/run/one/checkpoints/step=1.ckpt")
try:
    fit("files", save_distributed_checkpoint=True)
except UsageError as refused:
    print("refused:", refused)
"""


@pytest.mark.filterwarnings("ignore:the checkpoint is of 2 processes")
def test_sharded_over_two_ranks_it_is_the_run_of_one_and_each_goes_on_from_the_others_checkpoint(
    run, adapted, tmp_path, llama_folder, word_problems
):
    alone = {"steps": 2, "algorithm": GRPO(8), "module_options": {"expert": None}}
    one = adapted("one", **alone).fit()
    printed = output_of(tmp_path, RANKS, llama_folder, word_problems, tmp_path)
    assert printed.count("refused: trainer.strategy writes checkpoints with a file for each rank") == 2, printed
    back = adapted("back", **alone).fit(ckpt_path=checkpoint(tmp_path, "sharded", 1))
    sharded, on, from_one = (torch.load(tmp_path / f"{n}.pt") for n in ("sharded", "sharded_on", "from_one"))
    assert one.keys() == sharded.keys() == on.keys()
    for name, value in one.items():
        assert torch.equal(sharded[name], on[name]), name
        for other in (sharded, from_one, back):
            assert torch.allclose(value, other[name], atol=1e-4, rtol=0), name
    saved = torch.load(checkpoint(tmp_path, "sharded", 1), weights_only=True)
    assert len(saved["state_dict"]) == 28 and all(".lora_" in name for name in saved["state_dict"])
    ids = torch.arange(3, 33)[None]
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "sharded").eval()
    policy = load_policy(ModelSource(str(llama_folder), "policy"), adapter=ADAPTER).eval()
    policy.load_state_dict(sharded)
    assert close_in_float64(merged, policy, ids)
