"""`mentor expert sample`: demonstrations for a data set by any causal LM, whatever its tokenizer and template are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_info
from transformers import PreTrainedTokenizerBase

from mentor_pl.cli.quiet import quiet
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.demonstrations import (
    Kept,
    Written,
    answer_missing,
    check_column,
    check_out,
    samples_folder,
    write,
)
from mentor_pl.evaluation.evaluate import protocol_of
from mentor_pl.evaluation.samples_file import check_settings, write_header
from mentor_pl.models.fingerprint import fingerprint
from mentor_pl.models.loading import Models, load_frozen
from mentor_pl.models.source import ModelSource
from mentor_pl.models.vocabulary import Vocabulary, shared_vocabulary
from mentor_pl.problems.prompts import PAPER_SYSTEM_PROMPT, load_prompts
from mentor_pl.problems.selection import Selection
from mentor_pl.rewards.base import Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.folders import check_folder
from mentor_pl.runtime.progress import progress_bar
from mentor_pl.runtime.ranges import MAX_GROUP, check, check_seed
from mentor_pl.types import Prompt

NAME = "demonstrations"  # in messages, and in the key of the noise


def sample(
    model: str,
    data: str,
    out: Path,
    select: Selection = Selection(),  # noqa: B008 (frozen)
    limit: int | None = None,
    samples: int = 4,
    at_most: int | None = None,
    wrong: bool = False,
    column: str = "demonstrations",
    sampling: SamplingParams = SamplingParams(max_new_tokens=8192),  # noqa: B008 (frozen)
    system_prompt: str | None = PAPER_SYSTEM_PROMPT,
    template: str | None = None,
    max_prompt_tokens: int = 1024,
    reward: Reward | None = None,
    correct: str = "outcome",
    rows: int = 256,
    cache_tokens: int | None = None,
    seed: int = 0,
    trust_remote_code: bool = False,
) -> None:
    """Have a model answer the problems of a data set, and write its right responses beside them, to train on.

    The model may be of any family: it reads problems by its own tokenizer and chat template, and what is written is
    text. So it can teach a policy with another tokenizer: `mentor expert sample --model Qwen/QwQ-32B --data math.jsonl
    --out data/qwq.jsonl`, then `mentor fit --config configs/math.yaml --config configs/algorithms/luffy.yaml
    --data.train data/qwq.jsonl`, or sft.yaml, questa.yaml and others that read demonstrations. The file has every
    problem's row as the data set has it, and its demonstrations beside that, none where no response was right.
    Responses that were cut off are never demonstrations.

    Killed at any moment, the same command goes on where it was. `limit`, `rows` and `cache_tokens` may differ then;
    another setting is refused for a file that is there or begun.

    Args:
        model: folder or Hub name of the model that answers.
        data: problems with answers, as data.train of `mentor fit`: a file, a folder, or a name on the Hub.
        out: the file to write, .jsonl. The answers so far lie beside it in a hidden folder, .NAME.samples.
        select: which rows become problems, and which columns hold what, as data.select of `mentor fit`, such as
            --select.columns.answer reward_model.ground_truth.
        limit: only the first so many problems; all by default.
        samples: responses to each problem.
        at_most: demonstrations kept of a problem, the first right ones; all by default.
        wrong: keep the responses that are not right too.
        column: that demonstrations are written to; `mentor fit` reads it by data.select.columns.demonstrations.
        sampling: temperature, filters, maximum length of a response, such as --sampling.temperature 0.6.
        system_prompt: put before every problem, by default as in training; null for none, which some templates want.
        template: a plain text with {system} and {problem}, in place of the model's chat template.
        max_prompt_tokens: problems with longer prompts, by the model's tokenizer, are left out.
        reward: grader; by default as in training, PaperReward for mathematics.
        correct: the reward's part that is 1 where a response is right.
        rows: responses decoded at a time, at most; fewer take less memory.
        cache_tokens: places of the KV cache, over all rows; by default as many as half of the free memory holds.
        seed: of the sampling noise.
        trust_remote_code: whether Python code that comes with the model may run.

    Raises:
        UsageError: for settings out of range, a model or data that cannot be read or do not fit, and a file that was
            made with other settings.
    """
    for name, value in (
        ("samples", samples),
        ("limit", limit),
        ("at_most", at_most),
        ("max_prompt_tokens", max_prompt_tokens),
    ):
        check(name, value, at_least=1, at_most=MAX_GROUP if name == "samples" else math.inf)
    check_seed("seed", seed)
    check_folder("out", out.parent)
    check_out(out, data)
    protocol = Benchmark(NAME, data, reward, samples, sampling, system_prompt=system_prompt, correct=correct)
    kept, folder = Kept(column, at_most, wrong), samples_folder(out)
    sampler = Coin(rows=rows, cache_tokens=cache_tokens)
    source = ModelSource(model, "expert", trust_remote_code)
    tokenizer, vocabulary = shared_vocabulary(source, None)
    settings = {
        **protocol_of(protocol, vocabulary, seed), **vars(kept), "data": data, "select": asdict(select),
        "template": template, "max_prompt_tokens": max_prompt_tokens,
    }  # fmt: skip
    remedy = f"name another out; or to begin {out} anew, delete it and that folder"
    check_settings(folder, settings, unknown=("weights", "dtype"), remedy=remedy)  # before weights are loaded
    try:
        with quiet():
            prompts = _prompts(protocol, tokenizer, vocabulary.window, select, template, max_prompt_tokens)[:limit]
            check_column(data, select, prompts, column)
            with _loaded(source, tokenizer, vocabulary) as models, progress_bar("problems") as progress:
                settings |= {"weights": fingerprint(models.policy), "dtype": str(models.policy.dtype)}
                check_settings(folder, settings, remedy=remedy)
                write_header(folder, {"settings": settings, "model": model})
                sampled = answer_missing(
                    models, protocol, prompts, sampler, seed=seed, folder=folder, progress=progress
                )
    finally:
        protocol.grader.end()
    print(summary(out, write(out, data, select, prompts, kept), *sampled))


def _prompts(
    protocol: Benchmark,
    tokenizer: PreTrainedTokenizerBase,
    window: int,
    select: Selection,
    template: str | None,
    max_prompt_tokens: int,
) -> list[Prompt]:
    """The problems as the model reads them; those left out are told.

    Raises:
        UsageError: for data that cannot be read, and where prompt and response have no room in the model's window.
    """
    data, longest_response = str(protocol.path), protocol.sampling.max_new_tokens
    with progress_bar(f"reading {data}") as progress:
        loaded = load_prompts(
            data,
            tokenizer,
            protocol.system_prompt,
            max_prompt_tokens,
            select=select,
            template=template,
            progress=progress,
        )
    for line in loaded.filter_report.lines(data):
        rank_zero_info(line)
    longest = max(len(prompt.token_ids) for prompt in loaded.prompts) + longest_response
    if longest > window:
        raise UsageError(
            f"the longest prompt and sampling.max_new_tokens = {longest_response} make {longest} tokens, but the model "
            f"attends to {window} at most: lower max_new_tokens, or leave out long prompts by max_prompt_tokens"
        )
    return loaded.prompts


@contextmanager
def _loaded(source: ModelSource, tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary) -> Iterator[Models]:
    """The model as it samples, on a GPU where there is one: there in bfloat16, else in float32."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = device.type == "cuda"
    model = load_frozen(source, torch.bfloat16 if half else torch.float32).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        yield Models(model, None, tokenizer, vocabulary)


def summary(out: Path, written: Written, tokens: int, seconds: float) -> str:
    """What is in the file, and what it took, in a few lines.

    Args:
        tokens, seconds: of this call, which may have answered a part.
    """
    problems, samples = len(written.right), len(written.right[0])
    responses, right = problems * samples, sum(map(sum, written.right))
    solved = sum(map(any, written.right))
    ks = sorted({k for k in (1, 2, 4, 8, 16, 32, 64) if k < samples} | {samples})
    return "\n".join(
        (
            f"{out}: {problems:,} problems, {solved:,} solved ({solved / problems:.1%}); {written.demonstrated:,} with "
            f"demonstrations, {written.demonstrations:,} in all",
            ", ".join(f"pass@{k} {written.pass_at(k):.1%}" for k in ks),
            f"{responses:,} responses: {right:,} right, {written.truncated:,} cut off, {written.without_verdict:,} "
            f"without verdict; {written.tokens / responses:,.0f} tokens on average",
            f"{tokens / seconds:,.0f} tokens/s ({tokens:,} in {seconds:,.0f} s)"
            if tokens
            else "all of them had been answered before",
        )
    )
