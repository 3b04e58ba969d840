"""An expert of another family: what it reads of the problems, and what it will cost to ask it for text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.data import ends
from mentor_pl.cli.doctor.report import Finding, detail, ok, problem, warning
from mentor_pl.decoding.engine.sampler import BatchedSampler
from mentor_pl.decoding.text.cost import Walk, walk
from mentor_pl.decoding.text.healing import Healing
from mentor_pl.decoding.text.making import check_guidance
from mentor_pl.decoding.text.saying import MOST_SAID
from mentor_pl.models.text_expert import TextExpert
from mentor_pl.models.text_tokenizer import Tokens
from mentor_pl.problems.prompts import continuation
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.expert_prompts import ExpertPrompts
from mentor_pl.types import ExpertPrompt, Prompt, Row

PROBLEMS = 10
PLACES = 200  # of a text that are looked at
_NAMED, _TOKENS, _WIDTH = 8, 6, 40  # problems that are listed; tokens and characters of a text that are shown


def examine(configuration: Configuration) -> list[Finding]:
    """Nothing for an expert that shares the policy's ids, is not asked, or is refused."""
    expert, problems = configuration.text_expert, configuration.problems
    if expert is None or configuration.expert is None or configuration.refusal:
        return []
    findings = _refused_guidance(configuration)
    if problems is None:
        return [*findings, warning("not measured: there are no problems to measure it on")]
    data = configuration.data
    told, refused = _told(ExpertPrompts(expert, data.system_prompt, data.template), problems.prompts)
    findings += [problem(f"{_named(numbers, len(problems.prompts))}: {why}") for why, numbers in refused.items()]
    if not told:
        return findings
    configuration.expert_prompt_tokens = max(len(one.ids) for _, one in told)
    some = told[:: -(-len(told) // PROBLEMS)]
    heal = bool(getattr(data.sampler, "heal", False))
    healing = Healing(expert.theirs) if heal else None
    walked = sum((_walk(expert, *one, healing) for one in some), Walk())
    return [
        *findings,
        *_prompts(expert, told),
        *_window(expert, told, walked, data.sampling.max_new_tokens),
        *_tokens(expert, [prompt for prompt, _ in some], walked),
        *_cost(walked),
    ]


def _refused_guidance(configuration: Configuration) -> list[Finding]:
    """A sampler that asks for probabilities; a method that does is refused beside the models."""
    sampler, blend = configuration.data.sampler, configuration.algorithm.blend
    if blend is None or not isinstance(sampler, BatchedSampler):
        return []
    try:
        check_guidance(sampler.guidance(blend))
    except UsageError as error:
        return [problem(str(error))]
    return []


def _told(
    read: ExpertPrompts, prompts: Sequence[Prompt]
) -> tuple[list[tuple[Prompt, ExpertPrompt]], dict[str, list[int]]]:
    """What the expert reads of each problem, and why it cannot read others: reason -> their numbers."""
    told: list[tuple[Prompt, ExpertPrompt]] = []
    refused: dict[str, list[int]] = {}
    window = read.expert.vocabulary.window
    for prompt in prompts:
        try:
            one = read(Row(prompt, prompt.token_ids, 0))
        except UsageError as error:
            refused.setdefault(str(error), []).append(prompt.index)
            continue
        if len(one.ids) + MOST_SAID <= window:
            told.append((prompt, one))
        else:
            why = (
                f"the expert attends to {window:,} tokens, which the prompt, by its own tokenizer, and {MOST_SAID} "
                "that it may say exceed: lower data.max_prompt_tokens, or take an expert with a longer window"
            )
            refused.setdefault(why, []).append(prompt.index)
    return told, refused


def _named(numbers: Sequence[int], count: int) -> str:
    """Problems by their numbers, the first of them."""
    more = f" and {len(numbers) - _NAMED:,} more" if len(numbers) > _NAMED else ""
    return f"{len(numbers):,} of {count:,} problems ({', '.join(map(str, numbers[:_NAMED]))}{more})"


def _prompts(expert: TextExpert, told: Sequence[tuple[Prompt, ExpertPrompt]]) -> Iterator[Finding]:
    lengths = [len(one.ids) for _, one in told]
    yield ok(f"the expert reads prompts of {min(lengths):,} to {max(lengths):,} tokens of its own")
    yield ends(expert.tokenizer, told[0][1].ids)
    if begun := told[0][1].text.strip():
        yield detail(f"behind it stands {begun!r}, with which the policy's template opens every response")


def _window(
    expert: TextExpert, told: Sequence[tuple[Prompt, ExpertPrompt]], walked: Walk, max_new_tokens: int
) -> Iterator[Finding]:
    window, prompt = expert.vocabulary.window, max(len(one.ids) for _, one in told)
    likely = prompt + max_new_tokens * walked.theirs // max(1, walked.ours)
    if likely > window:
        yield warning(
            f"the longest prompt and response take some {likely:,} of the expert's tokens, but it attends to "
            f"{window:,}: behind these the policy is not guided",
            "lower data.sampling.max_new_tokens, or take an expert with a longer window",
        )


def _text(prompt: Prompt) -> str:
    """What stands for a response."""
    return continuation(prompt, prompt.demonstrations[0]) if prompt.demonstrations else prompt.problem


def _walk(expert: TextExpert, prompt: Prompt, told: ExpertPrompt, healing: Healing | None) -> Walk:
    return walk(expert, _text(prompt), told.ids, PLACES, healing)


def _tokens(expert: TextExpert, prompts: Sequence[Prompt], walked: Walk) -> Iterator[Finding]:
    """How both read the same texts."""
    what = "demonstrations" if all(prompt.demonstrations for prompt in prompts) else "problems and demonstrations"
    what = what if any(prompt.demonstrations for prompt in prompts) else "problems"
    apart, ratio = walked.apart / max(1, walked.boundaries), walked.theirs / max(1, walked.ours)
    yield ok(
        f"{len(prompts)} {what} as both read them: {apart:.1%} of the policy's tokens end inside one of the expert's, "
        f"which has {ratio:.2f} tokens for each of the policy's"
    )
    for prompt in prompts:
        text = _text(prompt)
        ours, theirs = expert.ours.tokens(text), expert.theirs.tokens(text)
        apart_at = sorted(set(ours.starts) ^ set(theirs.starts))
        begin = max((one for one in {*ours.starts} & {*theirs.starts} if one <= (apart_at or [0])[0]), default=0)
        mine, its = (_shown(text, tokens, begin) for tokens in (ours, theirs))
        yield detail(f"problem {prompt.index}: policy {mine:<{_WIDTH}} expert {its}")


def _shown(text: str, tokens: Tokens, begin: int) -> str:
    """Some tokens of a text, from a place on."""
    starts = [one for one in dict.fromkeys(tokens.starts) if one >= begin]
    bounds = [*starts, len(text)][: _TOKENS + 1]
    told = "|".join(repr(text[a:b])[1:-1] for a, b in pairwise(bounds))
    return told if len(told) <= _WIDTH else told[: _WIDTH - 1] + "…"


def _cost(walked: Walk) -> Iterator[Finding]:
    if walked.said:
        said, again = fmean(walked.said), fmean(walked.again)
        yield ok(
            f"for a guided token the expert says {said:.1f} tokens, {max(walked.said)} at most, a forward each, and "
            f"reads {again:.2f} again that it had read otherwise: {said + again:.1f} in all, beside the text once"
        )
