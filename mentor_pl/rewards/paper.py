"""The paper's reward (appendix B): 0.9 · outcome + 0.1 · format for Qwen2.5; 0.8 and 0.2 are its weights for LLaMA-3.1.

In YAML, for another task than mathematics:

    class_path: mentor_pl.rewards.paper.PaperReward
    init_args: {outcome: mentor_pl.rewards.countdown.CountdownReward}
"""

from __future__ import annotations

from mentor_pl.rewards.base import Reward
from mentor_pl.rewards.format import Form, FormatReward
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.weighted import WeightedReward
from mentor_pl.runtime.ranges import check


class PaperReward(WeightedReward):
    """The weighted sum of an outcome and the paper's format; the outcome's parts, and `format`, are kept by name.

    Args:
        outcome: grader of the outcome; by default `MathReward`.
        outcome_weight: total of a right answer in the wrong format.
        format_weight: total of a wrong answer in the right format.
        form: which format, see `FormatReward`.
    """

    def __init__(
        self,
        outcome: Reward | None = None,
        outcome_weight: float = 0.9,
        format_weight: float = 0.1,
        form: Form = "strict",
    ) -> None:
        self.outcome = outcome if outcome is not None else MathReward()
        check("reward outcome_weight", outcome_weight)
        check("reward format_weight", format_weight)
        self.outcome_weight, self.format_weight = outcome_weight, format_weight
        super().__init__([self.outcome, FormatReward(form)], [outcome_weight, format_weight])
