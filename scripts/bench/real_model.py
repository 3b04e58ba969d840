"""Plain decoding of a real model beside transformers' `generate`: tokens per processor second, and greedy tokens.

python scripts/bench/real_model.py --model data/models/smollm2-135m --check

Questions are asked through the model's chat template, and responses are of 8 to 128 tokens, drawn once and the same
on both sides, since those of a real run end at different lengths: ours replace a row that has ended by the next
question, those of `generate` wait for the longest of their batch. Processor seconds are those of all threads. Twenty
minutes with one thread for 135 million.
"""

from __future__ import annotations

import argparse
import sys
import time

import torch
from report import Figure, add_report_options, finish, machine
from rich.console import Console
from rich.progress import Progress
from rollout_cases import Case, ratio, rounds
from rollout_work import Work, asked, check_model, generate, quiet
from transformers import AutoModelForCausalLM, AutoTokenizer

from mentor_pl.decoding.coin import Coin

SHORTEST, LONGEST = 8, 128  # response tokens


def sums(folder: str, count: int) -> Work:
    """So many sums for the model of a folder to answer, and how long each response is."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    generator = torch.Generator().manual_seed(2)
    terms = torch.randint(1, 1000, (count, 3), generator=generator).tolist()
    questions = [f"What is {a} + {b} - {c}? Think step by step." for a, b, c in terms]
    limits = torch.randint(SHORTEST, LONGEST + 1, (count,), generator=generator).tolist()
    return asked(model, tokenizer, questions, LONGEST, limits)


def figures(task: Work, rows: int, count: int, progress: Progress, torch_compile: bool = False) -> list[Figure]:
    """Speed by processor seconds, and the share of greedy tokens that both sides say."""
    sampler = Coin(rows=rows, torch_compile=torch_compile)
    greedy = task.sample(sampler, temperature=0.0)
    ours = [ids[:length] for ids, length in zip(greedy.ids.tolist(), greedy.lengths.tolist(), strict=True)]
    pairs = list(zip(ours, generate(task, rows, greedy=True), strict=True))
    equal = sum(a == b for one, other in pairs for a, b in zip(one, other, strict=True)) / task.tokens
    cases = {"plain": Case(lambda: task.sample(sampler)), "generate": Case(lambda: generate(task, rows))}
    rounds(cases, count, "plain beside generate", progress, time.process_time)
    speeds = ", ".join(f"{name} {task.tokens / case.median:,.1f}" for name, case in cases.items())
    speed = ratio(cases, "generate", "plain")
    return [
        Figure("plain ÷ generate, tokens per processor second", speed, "", 2.0, detail=speeds),
        Figure("greedy tokens that are equal, share", equal, "", 1.0, detail=f"{task.tokens:,} tokens"),
    ]


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, metavar="FOLDER", help="a model folder with a chat template")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default 5)")
    parser.add_argument("--prompts", type=int, default=48, help="questions (default 48)")
    parser.add_argument("--rows", type=int, default=16, help="rollouts decoded at a time (default 16)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--torch-compile", action="store_true", help="compile the steps of ours")
    add_report_options(parser)
    options = parser.parse_args()
    check_model(parser, options.model)
    torch.set_num_threads(options.threads)
    quiet()
    task = sums(options.model, options.prompts)
    with Progress(console=Console(width=None if sys.stdout.isatty() else 120), transient=True) as progress:
        found = figures(task, options.rows, options.rounds, progress, options.torch_compile)
    settings = machine() | {
        "rounds": options.rounds,
        "prompts": options.prompts,
        "rows": options.rows,
        "torch_compile": options.torch_compile,
    }
    return finish("Decoding of a real model", found, settings, options, [])


if __name__ == "__main__":
    sys.exit(main())
