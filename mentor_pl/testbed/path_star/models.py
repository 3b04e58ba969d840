"""Path-star's models, made from nothing: a trunk, then bases and experts from it, each as its dials say.

What imitation can do here. Trained from nothing on whole answers, a model learns to follow edges, which is all that
most words need, and takes any arm: its accuracy stays at 1/D, since each word behind the first is right without knowing
the goal, and the first alone teaches the look-up too seldom (arXiv 2403.06963, 2503.10542). What teaches it is a loss on
the first node alone, short arms before long ones, and several goals of one star. So the trunk does: its drills ask

    drill edges … goal n05 <think> n20 goal n11 <think> n03 …

and both models have the look-up. The expert uses it; the base, which is shown answers to plain problems with any
arm, uses it there only as often as its dial says. To imitate the expert, such a base has to learn *when* to look, not
how: that imitation stays at 1/D is said of a model without the look-up, not of this one.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from transformers import LlamaForCausalLM

from mentor_pl.rewards.path_star import PathStar
from mentor_pl.runtime.ranges import check
from mentor_pl.testbed.path_star.problems import NODES, draw_from
from mentor_pl.testbed.path_star.solutions import Style, solution
from mentor_pl.testbed.pretrain import IGNORED, Encoded, build_model, encode, train
from mentor_pl.testbed.tokenizer import DRILL, build_tokenizer

WORDS: Final = ("edges", "|", "start", "goal", DRILL, "<think>", "</think>", r"\boxed{", "}", *NODES)
