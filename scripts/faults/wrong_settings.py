"""Settings that are out of range, without effect, or that do not go together, on the command line of the Trainer's commands."""

from __future__ import annotations

from faults.wrong import Case, cases

GATE = "--model.algorithm.gate=mentor_pl.algorithms.parts.gates.EntropyGate"
LOSS = "--model.algorithm.loss=mentor_pl.algorithms.parts.losses.clipped.ClippedSurrogate"
PARTS = "mentor_pl.algorithms.parts"
MEASURE = "{class_path: callbacks.BenchmarkValidation, init_args: {benchmarks: [{name: other, path: data/testbed/heldout.jsonl, %s}], %s}}"

RANGES = {
    "--model.alpha=.nan": "model.alpha is nan|give at least 0",
    "--model.alpha=nan": "--model.alpha: expected a number|'nan'",
    "--model.alpha=-0.5": "model.alpha is -0.5|give at least 0",
    "--model.alpha=.inf": "model.alpha is inf|give at least 0",
    "--model.warmup_steps=-5": "model.warmup_steps is -5|give at least 0",
    "--model.mini_batches=0": "model.mini_batches is 0|give at least 1",
    "--model.micro_batch_tokens=-1": "model.micro_batch_tokens is -1|give at least 1",
    "--model.max_grad_norm=0": "model.max_grad_norm is 0|give more than 0",
    "--model.max_grad_norm=.nan": "model.max_grad_norm is nan|give more than 0",
    "--model.algorithm.on_policy=1": "on_policy is 1|give at least 2",
    "--model.algorithm.mixed=0": "mixed is 0|configs/algorithms/grpo.yaml",
    "--model.algorithm.eps=-1": "eps is -1|give at least 0",
    f"{GATE} --model.algorithm.gate.p=1.0": "gate p is 1.0|give more than 0 and less than 1",
    f"{GATE} --model.algorithm.gate.floor=.nan": "gate floor is nan|give at least 0",
    f"{LOSS} --model.algorithm.loss.clip_low=.nan": "clip_low is nan|give more than 0",
    f"{LOSS} --model.algorithm.loss.dual_clip=.inf": "dual_clip is inf|or null",
    "--data.steps=0": "data.steps is 0|give at least 1",
    "--data.prompts_per_step=-12": "data.prompts_per_step is -12|give at least 1",
    "--data.prompts_per_step=7": "data.prompts_per_step is 7|give a multiple of 2",
    "--data.prompts_per_step=5000": "fewer than data.prompts_per_step = 5000|lower it",
    "--data.seed=-1": "data.seed is -1|give at least 0",
    "--seed_everything=-1": "seed_everything is -1|give at least 0",
    "--seed_everything=99999999999": "seed_everything is 99999999999|at most",
    "--data.sampling.temperature=0": "data.sampling.temperature is 0|give a positive one",
    "--data.sampling.temperature=.nan": "temperature is nan|0 is greedy",
    "--data.sampling.top_p=0": "top_p is 0|1 is off",
    "--data.sampling.top_p=.nan": "top_p is nan|1 is off",
    "--data.sampling.top_k=-1": "top_k is -1|0 is off",
    "--data.sampling.max_new_tokens=0": "max_new_tokens is 0|give at least 1",
    "--data.sampling.max_new_tokens=100000": "max_new_tokens = 100032|lower one",
    "--data.max_prompt_tokens=3": "max_prompt_tokens = 3|raise the limit",
    "--data.min_prompt_tokens=64": "data.max_prompt_tokens is 32|give at least 64",
    "--data.select.near=.nan": "near is nan|give more than 0",
    "--data.select.held_out=1.0": "held_out is 1.0|less than 1",
    "--data.sampler=mentor_pl.decoding.coin.Coin --data.sampler.rows=0": "rows is 0|give at least 1",
    "--data.reward.outcome_weight=.nan": "outcome_weight is nan|give a finite number",
    f"--trainer.callbacks+='{MEASURE % ('samples: 0', 'seed: 0')}'": "samples is 0|give at least 1",
    f"--trainer.callbacks+='{MEASURE % ('samples: 1', 'seed: -4')}'": "seed is -4|give at least 0",
    f"--trainer.callbacks+='{MEASURE % ('limit: 0', 'seed: 0')}'": "limit is 0|or null",
    f"--trainer.callbacks+='{MEASURE % ('samples: 1', 'every_n_steps: -2')}'": "every_n_steps is -2|give at least 1",
    "--trainer.callbacks+='{class_path: callbacks.EntropyLogging, init_args: {quantiles: [0.5, 7]}}'": "quantile is 7|at most 1",
}

TRAINER = {
    "--trainer.max_epochs=3": "trainer.max_epochs is 3|data.steps",
    "--trainer.min_epochs=2": "trainer.min_epochs is 2|data.steps",
    "--trainer.max_steps=10": "trainer.max_steps is 10|data.steps",
    "--trainer.limit_train_batches=0.5": "trainer.limit_train_batches is 0.5|data.steps",
    "--trainer.fast_dev_run=true": "trainer.fast_dev_run is|data.steps",
    "--trainer.overfit_batches=2": "trainer.overfit_batches is 2|data.train",
    "--trainer.accumulate_grad_batches=4": "trainer.accumulate_grad_batches is 4|model.micro_batch_tokens",
    "--trainer.gradient_clip_val=1.0": "trainer.gradient_clip_val is 1.0|model.max_grad_norm",
    "--trainer.val_check_interval=10": "trainer.val_check_interval is 10|BenchmarkValidation",
    "--trainer.check_val_every_n_epoch=2": "trainer.check_val_every_n_epoch is 2|BenchmarkValidation",
    "--trainer.use_distributed_sampler=false": "trainer.use_distributed_sampler is False|leave it out",
    "--trainer.enable_checkpointing=false": "trainer.enable_checkpointing is false|ModelCheckpoint",
    "--trainer.reload_dataloaders_every_n_epochs=1": "trainer.reload_dataloaders_every_n_epochs is 1|leave it out",
    "--trainer.barebones=true --trainer.logger=false": "barebones",
    "--trainer.precision=64-true": "trainer.precision is 64-true|32-true",
    "--trainer.precision=16-true": "trainer.precision is 16-true|32-true",
    "--trainer.precision=bf16-true": "trainer.precision is bf16-true|bf16-mixed",
    "--trainer.accelerator=tpu": "trainer.accelerator is 'tpu'|torch_xla",
    "--trainer.accelerator=quantum": "trainer.accelerator is 'quantum'|cpu",
    "--trainer.devices=0": "trainer.devices is '0'|cpu",
    "--trainer.devices=-7": "trainer.devices is '-7'|should be an int > 0",
    "--trainer.num_nodes=0": "trainer.num_nodes is 0|positive integer",
    "--trainer.strategy=ddp --trainer.devices=1": "DDPStrategy|FSDP2Strategy",
    "--trainer.strategy=fsdp --trainer.devices=1": "trainer.strategy is 'fsdp'",
    "--trainer.strategy=horovod": "trainer.strategy is 'horovod'|ddp",
    "--trainer.log_every_n_steps=-1": "log_every_n_steps is -1|give at least 1",
    "--trainer.max_time=tomorrow": "trainer.max_time is 'tomorrow'|DD:HH:MM:SS",
    "--trainer.profiler=fast": "trainer.profiler is 'fast'|simple",
}

OPTIMIZER = {
    "torch.optim.LBFGS": "LBFGS takes no step|torch.optim.AdamW",
    "torch.optim.SparseAdam": "SparseAdam takes no step|torch.optim.AdamW",
    "torch.optim.AdamW --model.optimizer.lr=-1": "learning rate: -1|torch.optim.AdamW",
    "torch.optim.SGD --model.optimizer.lr=.nan": "lr nan|torch.optim.AdamW",
    "torch.optim.AdamW --model.optimizer.lr=.inf": "lr inf|torch.optim.AdamW",
    "torch.optim.AdamW --model.optimizer.betas='[0.9, 1.5]'": "beta|1.5|torch.optim.AdamW",
    "torch.optim.AdamW --model.optimizer.weight_decay=-0.1": "weight_decay|-0.1|torch.optim.AdamW",
    "torch.optim.Adan": "torch.optim|Adan|did you mean",
    "torch.nn.Linear": "torch.nn.Linear",
}

CALLBACKS = {
    "callbacks.ExportPolicy": "ExportPolicy twice|leave one out",
    "callbacks.AlphaDecay": "AlphaDecay twice|leave one out",
    "callbacks.EntropyLogging": "EntropyLogging twice|leave one out",
    "callbacks.RunSummary": "RunSummary twice|leave one out",
    "'{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: val/maze/avg@8}}'": "EarlyStopping of val/maze/avg@8|callbacks.EarlyStopping",
    "'{class_path: callbacks.EarlyStopping, init_args: {monitor: val/mase/avg@8, mode: max}}'": "val/mase/avg@8|val/maze/",
    "'{class_path: callbacks.EarlyStopping, init_args: {monitor: val/maze/avg@9, mode: max}}'": "val/maze/avg@9|val/maze/avg@8",
    "'{class_path: callbacks.EarlyStopping, init_args: {monitor: train/loss, mode: most}}'": "mode|most|min, max",
    "'{class_path: callbacks.EarlyStopping, init_args: {monitor: train/loss, mode: min, patience: 0}}'": "patience is 0|give at least 1",
    "'{class_path: callbacks.AlphaDecay, init_args: {schedule: {class_path: mentor_pl.algorithms.parts.schedules.Cosine, init_args: {steps: 0}}}}'": "steps is 0|give at least 1",
    "'{class_path: callbacks.ExportPolicy, init_args: {folder: base.yaml}}'": "ExportPolicy folder is 'base.yaml'|name another folder",
    "'{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {mode: best}}'": "mode|best",
    "'{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {save_top_k: -3}}'": "save_top_k|-3",
    "'{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {monitor: val/mase/avg@8}}'": "val/mase/avg@8|val/maze/",
    "callbacks.AlphaDecy": "AlphaDecy|did you mean callbacks.AlphaDecay",
    "torch.optim.AdamW": "torch.optim.AdamW is not a Callback|known",
    "3": "trainer.callbacks|3",
}

CASES: list[Case] = [
    *cases("out of range", "fit", RANGES),
    *cases("Trainer", "fit", TRAINER),
    *cases("optimizer", "fit --model.optimizer", OPTIMIZER),
    *cases("callback", "fit --trainer.callbacks+", CALLBACKS),
]
