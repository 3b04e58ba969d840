"""What an expert with a tokenizer and a template of its own reads of a row."""

from __future__ import annotations

from functools import lru_cache

from mentor_pl.models.text_expert import TextExpert
from mentor_pl.problems.prompts import render
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import ExpertPrompt, Row


class ExpertPrompts:
    """From rows to what such an expert reads.

    Args:
        expert: it.
        system_prompt: put before every problem; None for none.
        template: a plain template, taken where the expert has no chat template.
    """

    def __init__(self, expert: TextExpert, system_prompt: str | None, template: str | None) -> None:
        self.expert, self.system_prompt = expert, system_prompt
        self.template = None if expert.tokenizer.chat_template else template
        self._rendered = lru_cache(maxsize=4096)(self._render)

    def __call__(self, row: Row) -> ExpertPrompt:
        """The problem by the expert's template, and what the response begins with.

        Raises:
            UsageError: for a row whose context is more than the problem, such as one with a hint.
        """
        prompt = row.prompt
        if row.context != prompt.token_ids:
            raise UsageError(
                f"problem {prompt.index}: the policy reads more than the problem, which an expert of another "
                "vocabulary cannot be told: take an expert of the policy's family"
            )
        # what its own template writes of a response is left out: it goes on from the policy's
        return ExpertPrompt(
            self._rendered(prompt.problem),
            prompt.response_prefix + self.expert.ours.text(row.given, prompt.token_ids[-1:]),
        )

    def _render(self, problem: str) -> tuple[int, ...]:
        return tuple(render(self.expert.tokenizer, problem, self.system_prompt, self.template, opened=False)[0])
