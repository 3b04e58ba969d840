"""A line of `gpu.py`: our plain decoding beside vLLM's, where vLLM is installed; a 1.5B in bfloat16.

Both draw 64 responses of one length from random weights at temperature 1 and keep log-probabilities; ours keeps
entropies as well, and records its steps anew in every call.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from gpu_setup import REPEATS, Setup, unmeasured
from report import Figure
from rich.progress import Progress
from rollout_cases import Case, rounds

from mentor_pl.decoding.coin import Coin

VLLM = "plain decoding ÷ vLLM, tokens/s"


def vllm(setup: Setup) -> Iterator[Figure]:
    """Tokens per second of both."""
    folder = Path(setup.folder) / "vllm"
    prompts, length, ours = _ours(setup, folder)
    detail = f"{len(prompts)} rows of {length} tokens behind {len(prompts[0])}, 1.5B"
    yield Figure("plain decoding", ours, "tokens/s", detail=detail)
    if find_spec("vllm") is None:
        yield unmeasured(VLLM, "vLLM is not installed")
        return
    gc.collect()
    if setup.on_gpu:
        torch.cuda.empty_cache()
    theirs = len(prompts) * length / _seconds(_generating(folder, prompts, length, setup))
    yield Figure(VLLM, ours / theirs, detail=f"vLLM {theirs:,.0f} tokens/s")


def _ours(setup: Setup, folder: Path) -> tuple[list[list[int]], int, float]:
    """Prompts, tokens of a response, and our tokens per second; the model's configuration is written to the folder."""
    rows, prompt_tokens, length = setup.of(64, 4), setup.of(128, 8), setup.of(1024, 16)
    models = setup.models(setup.shape("1.5B"), prompt_tokens + length)
    models.policy.config.architectures = [type(models.policy).__name__]
    models.policy.config.save_pretrained(folder)
    task, sampler = setup.work(models, rows, prompt_tokens, length), setup.sampler(Coin)
    return task.prompts, length, task.tokens / _seconds(lambda: task.sample(sampler))


def _seconds(run: Callable[[], Any]) -> float:
    return rounds({"": Case(run)}, REPEATS, "", Progress(disable=True))[""].median


def _generating(folder: Path, prompts: list[list[int]], length: int, setup: Setup) -> Callable[[], None]:
    """A call of vLLM on the prompts."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # in this process, which is killed as a whole
    from vllm import LLM, SamplingParams

    engine = LLM(
        model=str(folder),
        skip_tokenizer_init=True,
        load_format="dummy",
        dtype=str(setup.dtype).removeprefix("torch."),
        max_model_len=len(prompts[0]) + length,
        max_num_seqs=len(prompts),
        gpu_memory_utilization=0.6,
        enable_prefix_caching=False,
        seed=0,
    )
    params = SamplingParams(temperature=1.0, max_tokens=length, ignore_eos=True, detokenize=False, logprobs=0)
    asked = [{"prompt_token_ids": prompt} for prompt in prompts]

    def generate() -> None:
        outputs = engine.generate(asked, params, use_tqdm=False)
        found = {len(output.outputs[0].token_ids) for output in outputs}
        if found != {length}:
            raise RuntimeError(f"vLLM's responses have {sorted(found)} tokens, not {length}")

    return generate
