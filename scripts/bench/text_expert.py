"""What asking an expert for text costs: the same expert by its probabilities (the coin), and as one of another family.

python scripts/bench/text_expert.py

Models are those of `rollout.py`, and their tokens words of their own, so that both laws are one and the same: what
differs is the cost. Every figure is a median over rounds, and within a round all cases run one after the other: quote
ratios.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import torch
from report import Figure, add_report_options, finish, machine
from rich.console import Console
from rich.progress import Progress
from rollout_cases import Case, ratio, rounds
from rollout_work import HIGH, LARGE, LOW, NEVER, SMALL, Work, work
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Samples, decoding
from mentor_pl.models.text_expert import TextExpert
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.types import ExpertPrompt

VOCABULARY = 1024


def words(size: int) -> PreTrainedTokenizerFast:
    """A tokenizer of so many words."""
    backend = Tokenizer(WordLevel({f"w{i}": i for i in range(size)}, unk_token="w0"))
    backend.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def by_text(task: Work, heal: bool) -> Case:
    """The same rollouts, by an expert that is asked for text."""
    tokenizer, gate = words(VOCABULARY), task.gate
    assert gate is not None
    vocabulary = Vocabulary(VOCABULARY, (NEVER,), task.models.vocabulary.window)
    models = replace(task.models, tokenizer=tokenizer, text_expert=TextExpert(tokenizer, vocabulary, tokenizer))
    told = [ExpertPrompt(tuple(prompt)) for prompt in task.prompts]
    sampler, sampling, blend = Coin(heal=heal), SamplingParams(max_new_tokens=task.length), GatedMixture(gate)

    def run() -> Samples:
        with decoding(models.policy):
            return sampler(models, task.prompts, task.keys, sampling, blend, expert_prompts=told)

    return Case(run)


def compared(label: str, task: Work, options: argparse.Namespace, progress: Progress) -> list[Figure]:
    """Figures of one profile."""
    coin = Coin()
    cases = {
        "plain": Case(lambda: task.sample(Coin())),
        "coin": Case(lambda: task.sample(coin, guided=True)),
        "text": by_text(task, heal=False),
        "healed": by_text(task, heal=True),
    }
    rounds(cases, options.rounds, label, progress)
    figures = []
    for name in ("coin", "text", "healed"):
        samples = cases[name].samples
        assert samples is not None
        per, guided = samples.stats.rates(), int(samples.guided.sum()) / samples.stats.tokens
        detail = (
            f"{per['expert_tokens']:.2f} expert tokens per token, {1000 * per['expert_calls']:.0f} calls per 1,000, "
            f"{guided:.3f} guided, {per['rolled_back']:.3f} drafts lost"
        )
        figures.append(Figure(f"{label}: {name} ÷ plain, time", ratio(cases, name, "plain"), detail=detail))
    figures.append(Figure(f"{label}: text ÷ coin, time", ratio(cases, "text", "coin")))
    return figures


def main() -> int:
    """Run and tabulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of each comparison")
    parser.add_argument("--rows", type=int, default=16, help="rollouts, all decoded at a time")
    parser.add_argument("--threads", type=int, default=None, help="threads of torch; by default torch's own choice")
    add_report_options(parser)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console = Console(width=None if sys.stdout.isatty() else 120)
    settings = machine() | {"rounds": options.rounds, "rows": options.rows}
    figures = []
    with Progress(console=console, transient=True) as progress:
        for label, profile, weight in (("seldom asked", LOW, 0.07), ("often asked", HIGH, 0.10)):
            task = work(SMALL, LARGE, profile, options.rows, 256, mean_weight=weight, vocabulary=VOCABULARY)
            figures += compared(label, task, options, progress)
    return finish("Experts that are asked for text", figures, settings, options, [])


if __name__ == "__main__":
    sys.exit(main())
