"""How far log-probabilities of sampling, of a plain forward and of float64 are apart, with adapters and without.

python scripts/bench/rounding.py --model data/models/smollm2-135m

32 rollouts of four questions are sampled in float32 on a CPU, then read again: by a forward over each whole sequence,
as an update reads it, and by the same in float64. Adapters (peft, `pip install mentor-pl[lora]`) are of rank 16 on all
linear layers, with B drawn at 0.01; "merged" is the same function in weights alone. A few minutes for 135 million.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import torch
from report import Figure, add_report_options, finish, machine
from rollout_work import asked, check_model, quiet
from torch import Tensor

from mentor_pl.decoding.coin import Coin

QUESTIONS = (
    "What is 12 + 45 - 7? Think step by step.",
    "Explain why the sky is blue.",
    "Write a short poem on rivers.",
    "Find x with 3x + 4 = 19.",
)
GROUP, TOKENS, RANK, SPREAD = 8, 38, 16, 0.01


def policies(folder: str) -> Iterator[tuple[str, Any]]:
    """Name, model; one at a time."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    def adapted() -> Any:
        torch.manual_seed(0)
        config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear")
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), config)
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weights.data, std=SPREAD)
        return model

    yield "without adapters", AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    yield "with adapters", adapted().base_model.model
    yield "merged", adapted().merge_and_unload()


@torch.no_grad()
def read_again(model: Any, prompts: list[list[int]], ids: Tensor) -> Tensor:
    """Log-probabilities [N, T] of responses `ids` [N, T] by a forward over each whole sequence, float64."""
    found = []
    for prompt, response in zip(prompts, ids, strict=True):
        logp = model(torch.tensor([prompt + response.tolist()])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        found.append(logp.gather(1, response[:, None])[:, 0])
    return torch.stack(found).double()


def figures(folder: str) -> Iterator[Figure]:
    """Greatest and mean distances of each policy."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    questions = [question for question in QUESTIONS for _ in range(GROUP)]
    for name, model in policies(folder):
        model.eval()
        task = asked(model, tokenizer, questions, TOKENS)
        samples = task.sample(Coin())
        read = {"sampling": samples.logprobs.double(), "update": read_again(model, task.prompts, samples.ids)}
        read["float64"] = read_again(model.double(), task.prompts, samples.ids)
        for one, other in (("sampling", "update"), ("sampling", "float64"), ("update", "float64")):
            distance = (read[one] - read[other]).abs()
            detail = f"mean {distance.mean():.1e}, of {distance.numel():,} tokens"
            yield Figure(f"{name}: {one} − {other}, greatest", float(distance.max()), "nats", detail=detail)


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, metavar="FOLDER", help="a model folder with a chat template")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    add_report_options(parser)
    options = parser.parse_args()
    if find_spec("peft") is None:
        parser.error("adapters need peft, which is not installed: run `pip install mentor-pl[lora]`")
    check_model(parser, options.model)
    torch.set_num_threads(options.threads)
    quiet()
    return finish("Rounding", list(figures(options.model)), machine(), options, [])


if __name__ == "__main__":
    sys.exit(main())
