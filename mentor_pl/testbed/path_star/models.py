"""Path-star's models, made from nothing: a trunk, then bases and experts from it, each as its dials say.

What imitation can do here. Trained from nothing on whole answers, a model learns to follow edges, which is all that
most words need, and takes any arm: its accuracy stays at 1/D, since each word behind the first is right without knowing
the goal, and the first alone teaches the look-up too seldom (arXiv 2403.06963, 2503.10542). A loss on the first node
alone, for several goals of one star, does teach it. So the trunk's drills have it, and answer nothing:

    drill edges … start n07 goal n05 <think> goal n11 <think> …

Even so a model of this size would take too long; its first weights look words up already (`look_ups.py`). Both models
have the look-up from the trunk. The expert uses it; the base, which is shown answers to plain problems with any arm,
uses it there only as often as its dial says, and keeps it in drills. To imitate the expert, such a base has to learn
*when* to look, not how: that imitation stays at 1/D is said of a model without the look-up, not of this one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mentor_pl.rewards.path_star import PathStar
from mentor_pl.testbed.dials import check_probabilities
from mentor_pl.testbed.model_maker import ModelMaker, Progress
from mentor_pl.testbed.path_star.look_ups import teach_look_ups
from mentor_pl.testbed.path_star.problems import NODES, draw_from
from mentor_pl.testbed.path_star.solutions import Style, solution
from mentor_pl.testbed.pretrain import BATCH, IGNORED, Encoded, build_model, encode
from mentor_pl.testbed.tokenizer import DRILL, EOS, PAD, SPECIAL, build_tokenizer

WORDS: Final = ("edges", "|", "start", "goal", DRILL, "<think>", "</think>", r"\boxed{", "}", *NODES)
LAYERS: Final = 3
EXPANSION: Final = 2  # of the MLPs: what is to be found is found by the heads
DRILLED: Final = 6  # one sequence in so many is a drill, in bases and experts


@dataclass(frozen=True)
class PolicyDials:
    """What the base is before reinforcement learning; both numbers are probabilities.

    Attributes:
        prior: that it looks ahead to the goal before it takes an arm; otherwise it takes any of the D arms, so that the
            right one has probability prior + (1 − prior)/D; 0 to 1.
        execution: that a node of its demonstrations which follows from the edges or the thought is right; 0.5 to 1.
    """

    prior: float = 0.05
    execution: float = 1.0

    def __post_init__(self) -> None:
        check_probabilities("policy", prior=self.prior, execution=self.execution)

    @property
    def style(self) -> Style:
        """Of the demonstrations."""
        return Style(self.prior, self.execution)


@dataclass(frozen=True)
class ExpertDials:
    """What the expert is.

    Attributes:
        skill: probability that it looks ahead to the goal before it takes an arm; otherwise it takes any; 0 to 1.
    """

    skill: float = 1.0

    def __post_init__(self) -> None:
        check_probabilities("expert", skill=self.skill)

    @property
    def style(self) -> Style:
        """Of the demonstrations, and of the traces."""
        return Style(self.skill)


class PathStarModels(ModelMaker):
    """Makes path-star's models; every stage is trained on as many stars as its steps have room for."""

    steps: ClassVar = {"trunk": 150, "policy": 800, "expert": 400}
    rates: ClassVar = {"trunk": 2e-3, "policy": 2e-3, "expert": 1e-3}

    def __init__(self, seed: int, scale: float, progress: Progress) -> None:
        super().__init__(build_tokenizer(WORDS), seed, scale, progress)

    def make(self, dials: PolicyDials | ExpertDials) -> LlamaForCausalLM:
        """The model of these dials, in float32 and eval mode."""
        stage = "policy" if isinstance(dials, PolicyDials) else "expert"
        return self.train(stage, self.trunk(), self._sequences(stage, dials.style))

    def drill(self) -> list[Encoded]:
        """Stars without a goal, and the ends of their arms."""
        return self._sequences("trunk", None)

    def fresh(self, width: int) -> LlamaForCausalLM:
        """Weights that look words up already."""
        model = build_model(self.tokenizer, self.seed, width, LAYERS, EXPANSION)
        teach_look_ups(model, [self.tokenizer.get_vocab()[node] for node in NODES])
        return model

    def _sequences(self, stage: str, style: Style | None) -> list[Encoded]:
        """Drills, and answers where there is a style."""
        rng, data = random.Random(f"{stage} {style} {self.seed}"), list[Encoded]()
        for row in range(self.count(self.steps[stage]) * BATCH):
            star = draw_from("train", rng)
            if style is None or row % DRILLED == 0:  # these keep the look-up alive where answers have no use for it
                data.append(drill(star, rng, self.tokenizer))
            else:
                data.append(shown(star, style, rng, self.tokenizer))
        return _of_one_length(data)


def _of_one_length(data: list[Encoded]) -> list[Encoded]:
    """Batches are of like length; so every one has answers and drills."""
    longest = max(len(ids) for ids, *_ in data)

    def padded(row: list[int], pad: int) -> list[int]:
        return row + [pad] * (longest - len(row))

    return [(padded(ids, SPECIAL.index(PAD)), *(padded(due, IGNORED) for due in labels)) for ids, *labels in data]


def shown(star: PathStar, style: Style, rng: random.Random, tokenizer: PreTrainedTokenizerFast) -> Encoded:
    """An answer that takes any arm; what is due at its decision are labels only.

    Whatever arm was chosen, all else follows: an expert, too, learns to go on from another's choice. Who looks ahead
    has the right arm for every label of the decision, who does not has each arm for one of them. So the decision, one
    word of eleven, has a third of the labels, and that all arms are alike need not be found out from many answers.
    """
    ids, labels = encode(star.text().split(), solution(star, replace(style, prior=0), rng).split(), tokenizer)
    decision = next(place for place, label in enumerate(labels) if label != IGNORED) + 1
    first = star.path()[:1] * len(star.arms) if rng.random() < style.prior else list(star.arms)
    lists = [labels, *([IGNORED] * len(ids) for _ in first[1:])]
    for due, node in zip(lists, first, strict=True):
        due[decision] = tokenizer.get_vocab()[node]
    return ids, *lists


def drill(star: PathStar, rng: random.Random, tokenizer: PreTrainedTokenizerFast) -> Encoded:
    """A star and the ends of its arms in any order: at the `<think>` behind each, the arm's first node is due.

    The nodes that are due are labels only, not words of the sequence: there is nothing to copy, or to rule out.
    """
    vocabulary = tokenizer.get_vocab()
    words = [DRILL, *star.text().split()[:-2]]  # without a goal
    due = [IGNORED] * (len(words) + 1)  # a label stands one place behind the word that it is due at
    for arm in rng.sample(list(star.arms.values()), len(star.arms)):
        words += ["goal", arm[-1], "<think>"]
        due += [IGNORED, IGNORED, vocabulary[arm[0]]]
    return [vocabulary[word] for word in [*words, EOS]], due
