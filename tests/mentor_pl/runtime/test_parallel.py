"""Two processes against one, through the command line; and what a checkpoint must hold, on both."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from child_environment import ROOT, child_environment
from two_processes import on_processes, on_two_processes

from mentor_pl.cli.main import main
from mentor_pl.records.reading import read_step

# How far drafts look ahead is given: measured, it depends on what else the machine does, and with it what is read.
SCHEDULE = {"class_path": "mentor_pl.decoding.engine.lookahead.FixedK", "init_args": {"k": 3}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, llama_folder, llama_expert_folder):
    """Runs on 1 and 2 processes: 7 steps, again from the checkpoint after 3, 3 steps alone and then 4 more.

    And 2 steps on 1, 2, 3 and 4 processes, of 5 problems, which they do not divide, and of 2, fewer than 3 are.
    """
    folder = tmp_path_factory.mktemp("parallel")
    shutil.copy(ROOT / "tests/fixtures/probe.py", folder)  # a reward and a callback of the user's own
    words = ("we", "try", "the", "walk", "check", "sum", "answer")
    problems = [" ".join(words[(i * k + k) % 7] for k in (1, 2, 3)) for i in range(40)]
    rows = "".join(f'{{"problem": "{problem}", "answer": "the"}}\n' for problem in problems)
    (folder / "problems.jsonl").write_text(rows, encoding="utf-8")
    config = {
        "seed_everything": 3,
        "trainer": {
            "accelerator": "cpu",
            "devices": 1,
            "max_epochs": 1,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "logger": False,
            "callbacks": [
                {"class_path": "callbacks.AlphaDecay"},
                {"class_path": "probe.Probe", "init_args": {"folder": "unset"}},
                {
                    "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                    "init_args": {"every_n_train_steps": 2, "save_top_k": -1, "filename": "{step}"},
                },
                {"class_path": "callbacks.RolloutRecord"},
            ],
        },
        "model": {
            "policy": str(llama_folder),
            "expert": str(llama_expert_folder),
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}},
            "micro_batch_tokens": 40,  # ranks then need different numbers of passes
            "recompute_logprobs": True,
        },
        "data": {
            "train": "problems.jsonl",
            "steps": 7,
            "prompts_per_step": 4,
            "sampling": {"max_new_tokens": 8},
            "sampler": {"class_path": "mentor_pl.decoding.coin.Coin", "init_args": {"schedule": SCHEDULE}},
            "reward": {"class_path": "probe.CountWord"},
            "system_prompt": None,
            "max_prompt_tokens": 8,
        },
    }

    def words_of(name, *options):
        config["trainer"]["callbacks"][1]["init_args"]["folder"] = name
        config["trainer"]["default_root_dir"] = name  # of the records
        config["trainer"]["callbacks"][2]["init_args"]["dirpath"] = f"{name}/checkpoints"
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        return ["fit", "--config", f"{name}.yaml", *options]

    def runs(processes, *options):
        probe = ("--resume_changes", "trainer.callbacks")  # whose folder is another
        return [
            words_of(f"whole{processes}", *options),
            words_of(
                f"resumed{processes}", "--ckpt_path", f"whole{processes}/checkpoints/step=6.ckpt", *probe, *options
            ),
            words_of(f"short{processes}", "--data.steps", "3", *options),
            words_of(
                f"longer{processes}", "--ckpt_path", f"short{processes}/checkpoints/step=6.ckpt", *probe, *options
            ),
        ]

    def uneven(processes, *options):
        return [
            words_of(f"{count}on{processes}", "--data.steps", "2", "--data.prompts_per_step", str(count), *options)
            for count in (5, 2)
        ]

    with pytest.MonkeyPatch.context() as patch:  # in this process, which has everything imported
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        assert [main(words) for words in [*runs(1), *uneven(1)]] == [0] * 6
    sharded = ("--config", str(ROOT / "configs/trainer/fsdp.yaml"), "--trainer.devices")
    placed = words_of("sharded2", *uneven(2, *sharded, "2")[0][3:], "--model.expert_placement", "sharded")
    for name in ("launched2", "compiled2"):
        launched = words_of(name, *uneven(2, *sharded, "2")[0][3:])
        (folder / f"{name}.txt").write_text("\n".join(launched), encoding="utf-8")
    said = on_two_processes(folder, [*runs(2, *sharded, "2"), *uneven(2, *sharded, "2"), placed])
    said += on_processes(folder, uneven(3, *sharded, "3"), 3)
    replicas = (*sharded, "4", "--trainer.strategy.init_args.shard_size", "2")  # two copies of two shards each
    said += on_processes(folder, uneven(4, *replicas), 4)
    assert all((folder / name / "rank1.pt").exists() for name in ("longer2", "2on2", "2on3", "2on4")), said
    return folder


def read(path: Path):
    return torch.load(path, weights_only=True)


def launch(name, trained, *options):
    """Has the command start 2 processes itself, and sees that its tokens are those of the run `5on2`."""
    words = (trained / f"{name}.txt").read_text(encoding="utf-8").split("\n")
    command = [sys.executable, "-m", "mentor_pl.cli", *words, *options]
    done = subprocess.run(command, cwd=trained, env=child_environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    for rank in (0, 1):
        one, other = (read(trained / f"{folder}/rank{rank}.pt")["rollouts"] for folder in ("5on2", name))
        assert [a["response_ids"].tolist() for a in one] == [b["response_ids"].tolist() for b in other]


def test_the_command_starts_the_other_process_itself(trained):
    launch("launched2", trained)


@pytest.mark.slow
def test_two_processes_sample_the_same_through_what_is_compiled(trained):
    """Takes a C++ compiler and a minute."""
    launch("compiled2", trained, "--data.sampler.init_args.torch_compile", "true")


def test_two_processes_sample_what_one_does(trained):
    """Tokens, guided and replaced flags and rewards of 7 steps, bit for bit; γ_p to float32 rounding."""
    one = read(trained / "whole1/rank0.pt")["rollouts"]
    ranks = [read(trained / f"whole2/rank{rank}.pt")["rollouts"] for rank in (0, 1)]
    assert any(bool(batch["replaced"].any()) for batch in one)
    for step, whole in enumerate(one):
        for name in ("prompt_ids", "response_ids", "rewards", "guided", "replaced", "origin"):
            groups = whole[name].unflatten(0, (4, 8))  # 4 prompts, dealt to the ranks in turn
            for rank in (0, 1):
                ours, theirs = groups[rank::2].flatten(0, 1), ranks[rank][step][name]
                width = min(ours.shape[-1], theirs.shape[-1]) if ours.ndim == 2 else None
                assert torch.equal(ours[..., :width], theirs[..., :width]), (step, name)
        assert ranks[0][step]["gamma"] == ranks[1][step]["gamma"] == pytest.approx(whole["gamma"], abs=1e-5)


def test_no_forward_of_decoding_runs_a_hook_of_fsdp_and_training_has_them_again(trained):
    for place in range(2):
        found = read(trained / f"whole2/rank{place}.pt")
        assert found["hooks while decoding"] == [0]
        assert found["hooks"] > 0  # and gradients that are those of one process: the next test


def test_all_ranks_report_the_largest_gap_of_any(trained):
    for processes in (1, 2):
        gaps = [
            [b["gap"] for b in read(trained / f"whole{processes}/rank{r}.pt")["rollouts"]] for r in range(processes)
        ]
        assert all(gap == gaps[0] for gap in gaps)
        assert max(gaps[0]) <= 1e-5


def test_two_processes_have_the_gradients_of_one(trained):
    """Of the first two steps, four optimizer steps: equal to 1e-6 in float32, and the same on both ranks."""
    one = read(trained / "whole1/rank0.pt")["gradients"]
    first, second = (read(trained / f"whole2/rank{rank}.pt")["gradients"] for rank in (0, 1))
    assert len(one) == 4
    for alone, a, b in zip(one, first, second, strict=True):
        for x, y, z in zip(alone, a, b, strict=True):
            assert torch.equal(y, z)
            assert (x - y).abs().max() <= 1e-6


@pytest.mark.parametrize("processes", [2, 3, 4])
@pytest.mark.parametrize("problems", [5, 2])
def test_problems_that_processes_do_not_divide_are_sampled_and_learned_from_as_on_one(trained, problems, processes):
    """Of the first step: tokens bit for bit, both gradients to 1e-6; a rank may have less than others, or nothing."""
    one = read(trained / f"{problems}on1/rank0.pt")
    ranks = [read(trained / f"{problems}on{processes}/rank{rank}.pt") for rank in range(processes)]
    for name in ("prompt_ids", "response_ids", "rewards", "guided", "replaced", "origin"):
        groups = one["rollouts"][0][name].unflatten(0, (problems, 8))
        for rank in range(processes):
            ours, theirs = groups[rank::processes].flatten(0, 1), ranks[rank]["rollouts"][0][name]
            width = min(ours.shape[-1], theirs.shape[-1]) if ours.ndim == 2 else None
            assert len(ours) == len(theirs)
            assert torch.equal(ours[..., :width], theirs[..., :width]), name
    for number in (0, 1):
        norm = torch.stack([gradient.norm() for gradient in one["gradients"][number]]).norm()
        assert norm > 1e-3
        for alone, *others in zip(*(run["gradients"][number] for run in (one, *ranks)), strict=True):
            assert all(torch.equal(other, others[0]) for other in others)
            assert (alone - others[0]).abs().max() <= 1e-6


def test_copies_of_the_shards_learn_alike_and_are_saved_once(trained):
    """After the first step: AdamW's moves of each weight, which are 1e-3 at first, to a thousandth."""
    one, four = (read(trained / f"5on{processes}/checkpoints/step=2.ckpt")["state_dict"] for processes in (1, 4))
    assert one.keys() == four.keys()
    assert max(float((value - four[name]).abs().max()) for name, value in one.items()) <= 1e-4


def test_an_expert_that_is_sharded_says_what_a_replicated_one_does(trained):
    for rank in (0, 1):
        one, other = (read(trained / f"{name}/rank{rank}.pt") for name in ("5on2", "sharded2"))
        for ours, theirs in zip(one["rollouts"], other["rollouts"], strict=True):
            assert ours["replaced"].any()
            assert all(torch.equal(ours[name], theirs[name]) for name in ("response_ids", "guided", "replaced"))
        for ours, theirs in zip(one["gradients"], other["gradients"], strict=True):
            assert all(map(torch.equal, ours, theirs))


def test_two_processes_cost_the_tokens_of_one(trained):
    one, two = (
        read(trained / f"whole{processes}/checkpoints/step=14.ckpt")["ledger"]["counts"] for processes in (1, 2)
    )
    for name in ("sampled_tokens", "trained_tokens"):
        assert one[name] == two[name] > 0
    assert two["flops"] == pytest.approx(one["flops"], rel=0.1)  # ranks wait for one another and share fewer prompts


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("run", ["resumed", "longer"], ids=["cut off", "finished"])
def test_three_steps_and_four_resumed_are_seven_bit_for_bit(trained, processes, run):
    """Weights, optimizer, α, γ_p and the loader's place, and every rollout after the checkpoint.

    The first three may be part of a longer run that was cut off, or a run that had finished.
    """
    whole, resumed = (read(trained / f"{name}{processes}/checkpoints/step=14.ckpt") for name in ("whole", run))
    assert whole["state_dict"].keys() == resumed["state_dict"].keys()
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][name]), name
    random = [state["mentor"].pop("random_states") for state in (whole, resumed)]
    assert whole["mentor"] == resumed["mentor"]
    assert whole["ledger"]["counts"] == resumed["ledger"]["counts"]
    assert all(torch.equal(ours["cpu"], theirs["cpu"]) for ours, theirs in zip(*random, strict=True))
    moments, restored = (checkpoint["optimizer_states"][0]["state"] for checkpoint in (whole, resumed))
    assert moments.keys() == restored.keys()
    for parameter, state in moments.items():
        assert all(torch.equal(value, restored[parameter][name]) for name, value in state.items()), parameter
    before, after = (read(trained / f"{name}{processes}/rank0.pt")["rollouts"] for name in ("whole", run))
    assert (len(before), len(after)) == (7, 4)
    for a, b in zip(before[3:], after, strict=True):
        assert torch.equal(a["response_ids"], b["response_ids"])
        assert a["gamma"] == b["gamma"]


def test_a_sharded_run_leaves_a_checkpoint_that_loads_strictly_into_the_plain_model(trained, llama_folder):
    from transformers import AutoModelForCausalLM

    state = read(trained / "whole2/checkpoints/step=14.ckpt")["state_dict"]
    plain = AutoModelForCausalLM.from_pretrained(llama_folder)
    plain.load_state_dict({name.removeprefix("policy."): value for name, value in state.items()}, strict=True)


def test_two_processes_record_what_one_does(trained):
    """Of the first step and of a later one: the same rows in the same order, numbers to float32 rounding."""
    same = ("number", "problem", "origin", "prompt", "text", "length", "reward", "ids", "pieces", "coins", "drafts")
    flags = ("truncated", "guided", "replaced", "given", "trained")
    for step in (1, 4):
        one, two = (read_step(trained / f"whole{processes}", step).to_pydict() for processes in (1, 2))
        for name in (*same, *flags):
            assert one[name] == two[name], (step, name)
        assert set(two["rank"]) == {0, 1}
        assert any(one["alternatives"])
        for name in ("logprobs", "entropies", "gate_weights", "advantages"):
            for ours, theirs in zip(one[name], two[name], strict=True):
                assert ours == pytest.approx(theirs, abs=1e-3), (step, name)
        places = [[(one["position"], one["expert_ids"]) for one in row] for row in one["alternatives"]]
        assert places == [[(one["position"], one["expert_ids"]) for one in row] for row in two["alternatives"]]
        assert (one["weights"] == two["weights"]) is (step == 1)  # sums over ranks round in another order


def test_a_replay_is_the_run_bit_for_bit_on_one_process_and_on_two(trained, monkeypatch, capfd):
    monkeypatch.chdir(trained)
    monkeypatch.syspath_prepend(str(trained))
    assert main(["replay", "whole1", "--step", "4"]) == 0
    for said in (capfd.readouterr().out, on_two_processes(trained, [["replay", "whole2", "--step", "4"]])):
        assert "step 4, from checkpoint step=6.ckpt and 1 record\n" in said
        assert "the weights are those of step=8.ckpt, bit for bit" in said
        assert "the weights are those that sampled step 5, bit for bit" in said
