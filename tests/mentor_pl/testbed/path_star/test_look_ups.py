"""Before any training the heads already look where their table says."""

from __future__ import annotations

import torch

from mentor_pl.testbed.path_star.look_ups import teach_look_ups
from mentor_pl.testbed.path_star.models import EXPANSION, LAYERS, WORDS
from mentor_pl.testbed.path_star.problems import NODES, problems
from mentor_pl.testbed.pretrain import build_model
from mentor_pl.testbed.tokenizer import build_tokenizer


def test_fresh_heads_look_at_the_word_before_the_centre_and_the_edges_that_matter() -> None:
    tokenizer = build_tokenizer(WORDS)
    with torch.random.fork_rng():  # several: fresh small weights add to the purpose or take from it
        models = [build_model(tokenizer, seed, layers=LAYERS, expansion=EXPANSION) for seed in range(4)]
    for model in models:
        teach_look_ups(model, tokenizer.convert_tokens_to_ids(list(NODES)))
        model.set_attn_implementation("eager")
    seen: dict[str, list[float]] = {name: [] for name in ("before", "centre", "goal", "behind", "arms")}
    for model, star in zip(models * 10, problems("heldout", 40), strict=True):
        words = [*star.text().split(), "<think>", *star.path()]
        with torch.no_grad():
            first, second, _ = model(
                input_ids=tokenizer(" ".join(words), return_tensors="pt")["input_ids"], output_attentions=True
            ).attentions  # [1, heads, T, T] of each layer
        think = words.index("<think>")
        far = {node: 3 * edge + 2 for edge, (_, node) in enumerate(star.edges)}  # where a node ends its edge
        seen["before"].append(first[0, 0].diagonal(-1).mean().item())
        seen["centre"].append(first[0, 1, think, think - 3].item())
        seen["goal"].append(second[0, 0, think, far[star.goal]].item())
        seen["behind"].append(second[0, 1, think + 1, far[star.path()[1]]].item())
        seen["arms"].append(sum(second[0, 2, think, far[node]].item() for node in star.arms))
    shares = {name: sum(values) / len(values) for name, values in seen.items()}
    assert shares["before"] > 0.9
    assert shares["centre"] > 0.9
    assert shares["goal"] > 0.2  # most of the rest is on the goal's own place in the question
    assert shares["behind"] > 0.2
    assert shares["arms"] > 0.6  # of some fifty words, five
