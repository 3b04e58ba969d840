"""The finished weights are what they are said to be, on problems that they have not seen."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import mentor_pl.testbed.path_star
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.rewards.path_star import PathStarReward
from mentor_pl.testbed.path_star.labels import labels
from mentor_pl.testbed.path_star.problems import ARMS, problems
from mentor_pl.testbed.path_star.solutions import Style, solution
from mentor_pl.types import Prompt, Response

FOLDER = Path(mentor_pl.testbed.path_star.__file__).parent / "finished"
STARS = problems("heldout", 300)


def parts(name: str) -> dict[str, float]:
    """Mean parts of one response to each problem, drawn at temperature 1."""
    model = AutoModelForCausalLM.from_pretrained(FOLDER / name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / name)
    prompts = tokenizer([star.text() for star in STARS], return_tensors="pt")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = model.generate(**prompts, max_new_tokens=16)
    texts = tokenizer.batch_decode(out[:, prompts["input_ids"].shape[1] :], skip_special_tokens=True)
    asked = [Prompt(0, star.text(), " ".join(star.path()), ()) for star in STARS]
    grades = PaperReward(PathStarReward())(asked, [Response(text) for text in texts])
    return {part: sum(values) / len(values) for part, values in grades.parts.items()}


def test_the_base_walks_rightly_and_chooses_hardly_better_than_by_chance() -> None:
    found = parts("policy")
    assert abs(found["arm"] - (0.05 + 0.95 / ARMS)) < 0.1  # four standard errors
    assert found["format"] > 0.95
    assert found["faithful"] > 0.93


def test_the_expert_chooses_the_right_arm() -> None:
    found = parts("expert")
    assert found["outcome"] > 0.93
    assert found["format"] > 0.95


@pytest.mark.parametrize("name", ["policy", "expert"])
def test_forced_words_follow_from_any_arm_and_decisions_are_where_the_labels_say(name: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(FOLDER / name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / name)
    rng = random.Random(0)
    answers = [[*solution(star, Style(prior=0.0), rng).split(), "<eos>"] for star in STARS]
    texts = [f"{star.text()} {' '.join(words)}" for star, words in zip(STARS, answers, strict=True)]
    ids, length = tokenizer(texts, return_tensors="pt")["input_ids"], len(answers[0])
    with torch.no_grad():
        logprobs = model(input_ids=ids).logits[:, -length - 1 : -1].log_softmax(-1)  # [N, T, V]
    entropy = -(logprobs.exp() * logprobs).sum(-1).mean(0)
    said = logprobs.exp().gather(2, ids[:, -length:, None])[..., 0].mean(0)
    for place, decision in enumerate(labels(STARS[0].text(), answers[0])):
        if not decision:
            assert said[place] > 0.98
        elif name == "policy":
            assert abs(entropy[place] - math.log(ARMS)) < 0.15
            begun = logprobs[:, place].exp()
            next_to_the_centre = [tokenizer.convert_tokens_to_ids(list(star.arms)) for star in STARS]
            assert begun.gather(1, torch.tensor(next_to_the_centre)).sum(1).mean() > 0.96
