"""From problems to prompts exactly as the models see them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_info
from transformers import PreTrainedTokenizerBase

from mentor_pl.problems.filter_report import FilterReport
from mentor_pl.problems.selection import Selection, select_problems
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.progress import Progress, silent
from mentor_pl.types import Prompt

# verbatim from the paper's Appendix B
PAPER_SYSTEM_PROMPT = (
    "You are a helpful AI Assistant that provides well-reasoned and detailed responses. You FIRST think about the "
    "reasoning process as an internal monologue and then provide the final answer. The reasoning process MUST BE "
    "enclosed within <think></think> tags. The final answer MUST BE put in \\boxed{}."
)
# for models without a chat template; without a system prompt they get the problem alone
PLAIN_TEMPLATE = "{system}\n\nUser: {problem}\n\nAssistant:\n"
THINK = "<think>"


def check_template(template: str | None) -> None:
    """See that a plain template has a place for the problem.

    Raises:
        UsageError: where it has none.
    """
    if template is not None and "{problem}" not in template:
        raise UsageError(f"template {template!r:.60} has no {{problem}}: write {{problem}} where the problem goes")


def render(
    tokenizer: PreTrainedTokenizerBase,
    problem: str,
    system_prompt: str | None,
    template: str | None = None,
    opened: bool = True,
) -> tuple[list[int], str]:
    """Token ids of a problem and the part of the response that the template has already written.

    Args:
        template: a plain text with `{problem}` and, where wanted, `{system}`. By default the tokenizer's chat template,
            or `PLAIN_TEMPLATE` where it has none.
        opened: whether what the template writes of the response stays at the prompt's end; else it is left out.

    Raises:
        UsageError: where the chat template refuses its messages, as some do with a system prompt.
    """
    chat = template is None and bool(tokenizer.chat_template)
    if chat:
        text = _chat_text(tokenizer, problem, system_prompt)
    else:
        text = _plain_text(problem, system_prompt, template or (PLAIN_TEMPLATE if system_prompt else "{problem}"))
    tail = text.rstrip()
    written = text[len(tail) - len(THINK) :] if tail.endswith(THINK) else ""
    text = text if opened else text.removesuffix(written)
    # a chat template writes BOS itself, and a plain one may
    has_bos = chat or (tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token))
    ids = tokenizer(text, add_special_tokens=not has_bos, verbose=False)["input_ids"]
    return list(ids), written


def _chat_text(tokenizer: PreTrainedTokenizerBase, problem: str, system_prompt: str | None) -> str:
    messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
    messages.append({"role": "user", "content": problem})
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except Exception as refusal:  # Jinja's sandbox refuses; what it lets through may raise anything
        raise UsageError(
            f"the tokenizer's chat template fails: {refusal!s:.200}: fix the template, or set system_prompt to null if "
            "it has no system role"
        ) from refusal


def _plain_text(problem: str, system_prompt: str | None, template: str) -> str:
    values = {"{problem}": problem, "{system}": system_prompt or ""}
    text = re.sub(r"\{(?:problem|system)\}", lambda name: values[name[0]], template)  # other braces are LaTeX's
    return text if system_prompt else text.lstrip("\n")


@dataclass(frozen=True)
class LoadedPrompts:
    """Prompts of a source, and the report on the rows that were left out."""

    prompts: list[Prompt]
    filter_report: FilterReport = field(default_factory=FilterReport)

    @property
    def too_long(self) -> int:
        """Rows left out because their prompt exceeds the limit."""
        return self.filter_report.counts["too long"]


def load_prompts(
    path: str | Path,
    tokenizer: PreTrainedTokenizerBase,
    system_prompt: str | None,
    max_prompt_tokens: int,
    *,
    select: Selection = Selection(),  # noqa: B008 (frozen)
    template: str | None = None,
    min_prompt_tokens: int = 1,
    progress: Progress = silent,
) -> LoadedPrompts:
    """Read, choose, render and measure the problems of a source.

    Args:
        path: file, folder or name on the Hub, as `sources.read_rows` takes it.
        tokenizer: the policy's.
        system_prompt: put before every problem; None for none.
        max_prompt_tokens: longer prompts are left out.
        select: which rows are taken, and what their columns mean.
        template: as of `render`.
        min_prompt_tokens: shorter prompts are left out.
        progress: called with the rows read, then with the prompts rendered and their number.

    Raises:
        UsageError: for a source that cannot be read, a template without a problem, or where no prompt is left.
    """
    check_template(template)
    filter_report = FilterReport()
    problems = select_problems([path], select, filter_report, progress)
    prompts: list[Prompt] = []
    lengths: list[int] = []
    for done, problem in enumerate(problems, start=1):
        ids, response_prefix = render(tokenizer, problem.problem, system_prompt, template)
        progress(done, len(problems))
        if not ids:
            raise UsageError(
                f"{path}: problem {problem.index} ({problem.problem[:40]!r}) has no tokens under this tokenizer: take "
                "the tokenizer that the policy was trained with"
            )
        lengths.append(len(ids))
        if len(ids) > max_prompt_tokens:
            filter_report.drop("too long", f"their prompts exceed max_prompt_tokens = {max_prompt_tokens}")
        elif len(ids) < min_prompt_tokens:
            filter_report.drop("too short", f"their prompts are below min_prompt_tokens = {min_prompt_tokens}")
        else:
            text, answer, metadata, demonstrations = (
                problem.problem,
                problem.answer,
                problem.metadata,
                problem.demonstrations,
            )
            filter_report.levels[problem.level] += 1
            prompts.append(Prompt(problem.index, text, answer, tuple(ids), response_prefix, metadata, demonstrations))
    longer = filter_report.counts["too long"]
    if longer == len(problems):
        raise UsageError(
            f"{path}: all {longer} prompts are longer than max_prompt_tokens = {max_prompt_tokens}; the shortest has "
            f"{min(lengths)} tokens: raise the limit to at least that"
        )
    if not prompts:
        raise UsageError(
            f"{path}: no prompt has min_prompt_tokens = {min_prompt_tokens} to max_prompt_tokens = {max_prompt_tokens} "
            f"tokens; they have {min(lengths)} to {max(lengths)}: widen the limits"
        )
    return LoadedPrompts(prompts, filter_report)


def with_traces(
    loaded: LoadedPrompts, tokenizer: PreTrainedTokenizerBase, stop_id: int, max_tokens: int, required: bool
) -> LoadedPrompts:
    """The prompts with their demonstrations as response tokens, `stop_id` at the end.

    Args:
        loaded: the prompts, and the report, which learns how many have no trace.
        tokenizer: the policy's.
        stop_id: ends a response.
        max_tokens: demonstrations with more tokens are no traces: cut off, they would teach not to end.
        required: leave out prompts without any.

    Raises:
        UsageError: where traces are required and there are none.
    """
    prompts = [replace(prompt, traces=_traces(prompt, tokenizer, stop_id, max_tokens)) for prompt in loaded.prompts]
    without = sum(not prompt.traces for prompt in prompts)
    remedy = "name their column in data.select.columns.demonstrations, or raise max_new_tokens"
    if required and without == len(prompts):
        raise UsageError(
            f"the method learns from an expert's traces, but no problem has one of at most {max_tokens} tokens: "
            + remedy
        )
    if without:
        meaning = "are left out" if required else "get no guidance"
        rank_zero_info(
            f"{without} of {len(prompts)} problems have no trace of at most {max_tokens} tokens, and {meaning}"
            + (f"; if they should have one, {remedy}" if without == len(prompts) else "")
        )
    return replace(loaded, prompts=[prompt for prompt in prompts if prompt.traces or not required])


def continuation(prompt: Prompt, response: str) -> str:
    """A whole response without what the template has already written of it, whatever white space stands behind that."""
    response, written = response.strip(), prompt.response_prefix
    if response.startswith(written):
        return response.removeprefix(written)
    return response.removeprefix(written.rstrip()).lstrip()


def _traces(
    prompt: Prompt, tokenizer: PreTrainedTokenizerBase, stop_id: int, max_tokens: int
) -> tuple[tuple[int, ...], ...]:
    texts = [continuation(prompt, text) for text in prompt.demonstrations]
    traces = [(*tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], stop_id) for text in texts]
    return tuple(trace for trace in traces if 1 < len(trace) <= max_tokens)
