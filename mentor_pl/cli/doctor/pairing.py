"""Policy against expert: ids, special tokens, templates, stop ids and windows. Tokenizers and configurations only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import PreTrainedTokenizerBase

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.report import Finding, detail, ok, problem, warning
from mentor_pl.models.source import ModelSource
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.runtime.errors import UsageError

_SHOWN = 5  # ids that differ


@dataclass(frozen=True)
class Side:
    """What can be known of a model without its weights."""

    source: ModelSource
    config: Any
    tokenizer: PreTrainedTokenizerBase

    @property
    def role(self) -> str:
        return self.source.role

    def named(self, ids: set[int] | tuple[int, ...]) -> str:
        """Tokens by their spelling and id."""
        return ", ".join(f"{self.tokenizer.convert_ids_to_tokens(i)!r} ({i})" for i in sorted(ids)) or "none"

    def stop_ids(self) -> set[int]:
        return self.source.stop_ids(self.tokenizer, self.config)


def examine(configuration: Configuration) -> list[Finding]:
    """All that policy and expert must have in common, and how a prompt of theirs begins and ends."""
    findings, sides = _read(configuration)
    policy, expert = sides.get("policy"), sides.get("expert")
    if policy and expert and configuration.text_expert is not None:
        findings += differing_ids(policy, expert)
    if configuration.refusal and len(sides) == len(_sources(configuration)):
        findings.append(problem(configuration.refusal))
    if policy is not None:
        if configuration.vocabulary is None:  # so that the rest can be examined
            configuration.use_policy_alone()
        else:
            findings += _vocabulary(configuration, configuration.vocabulary, policy, expert)
    if policy and expert:
        findings += _special(policy, expert, configuration.text_expert is not None)
    if policy is not None:
        findings += _template(configuration, policy, expert)
    if configuration.source("expert") is not None and configuration.expert is None:
        name = type(configuration.algorithm).__name__
        findings.append(
            warning(f"{name} asks no expert: {configuration.arguments['expert']} is compared with, and not loaded")
        )
    return findings


def _sources(configuration: Configuration) -> list[ModelSource]:
    return [source for source in map(configuration.source, ("policy", "expert")) if source is not None]


def _read(configuration: Configuration) -> tuple[list[Finding], dict[str, Side]]:
    findings, sides = [], {}
    for source in _sources(configuration):
        try:
            side = Side(source, source.config(), source.tokenizer())
        except UsageError as error:
            findings.append(problem(str(error)))
            continue
        sides[source.role] = side
        kind = (getattr(side.config, "architectures", None) or [type(side.config).__name__])[0]
        findings.append(ok(f"{source.role} {source.path}: {kind}, {side.config.num_hidden_layers} layers"))
        findings += _weights(source)
    return findings, sides


def _weights(source: ModelSource) -> list[Finding]:
    """A problem where files of weights are missing or cut off, as far as their beginnings tell."""
    folder = Path(source.folder)
    if source.from_config or not folder.is_dir() or any(folder.glob("*.bin")):
        return []  # random, or of the Hub; a .bin tells nothing before it is read
    name = "model.safetensors"
    try:
        index = folder / f"{name}.index.json"
        listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values() if index.exists() else [name]
        for name in sorted(set(listed)):
            safe_open(folder / name, "pt")
    except Exception as error:  # of many kinds, for what is missing, cut off or no such file
        reason = " ".join(str(error).split())[:200]
        text = f"{source.role} {source.path}: its weights, {name}, cannot be read: {reason}"
        return [problem(text, "copy or download them anew")]
    return []


def differing_ids(policy: Side, expert: Side) -> list[Finding]:
    """How many ids are another token to the expert, and the first of them; a warning where most are the same."""
    ours, theirs = ({i: token for token, i in side.tokenizer.get_vocab().items()} for side in (policy, expert))
    differing = [i for i in sorted({*ours, *theirs}) if ours.get(i) != theirs.get(i)]
    text = (
        f"{len(differing):,} of {max(*ours, *theirs) + 1:,} ids are not the same token to both, so the expert guides "
        "by its text: it reads problems by its own tokenizer and template"
    )
    remedy = "if they are meant to be of one family, take the tokenizer of one of them for both"
    lines = [detail(f"id {i}: policy {ours.get(i)!r}, expert {theirs.get(i)!r}") for i in differing[:_SHOWN]]
    more = [detail(f"and {len(differing) - _SHOWN:,} more")] if len(differing) > _SHOWN else []
    return [
        ok(text) if 2 * len(differing) > len(ours) else warning(text, remedy),
        *lines,
        *more,
    ]


def _vocabulary(
    configuration: Configuration, vocabulary: Vocabulary, policy: Side, expert: Side | None
) -> list[Finding]:
    own = configuration.text_expert
    alike = expert if own is None else None  # the expert, where its ids are the policy's
    rows = [f"the {side.role} embeds {side.config.vocab_size:,}" for side in (policy, alike) if side]
    both = "the same tokens to both" if alike else "of the policy"
    findings = [ok(f"{vocabulary.size:,} token ids, {both} ({', '.join(rows)}; rows beyond the ids are not used)")]
    named = configuration.arguments["stop_tokens"] is not None
    text = f"a response ends with {policy.named(vocabulary.stop_ids)}"
    if named:
        findings.append(ok(f"{text}: model.stop_tokens"))
    elif alike is not None and policy.stop_ids() != alike.stop_ids():
        spelled = [str(policy.tokenizer.convert_ids_to_tokens(i)) for i in vocabulary.stop_ids]
        findings.append(
            warning(
                f"{text}: the policy's {policy.named(policy.stop_ids())}, the expert's {alike.named(alike.stop_ids())}",
                f"name them, so that a run without the expert has the same: model.stop_tokens {spelled}",
            )
        )
    else:
        findings.append(ok(text))
    if own is not None and expert is not None:
        size, rows_there = own.vocabulary.size, expert.config.vocab_size
        ends = f"where it ends its turn with {expert.named(own.vocabulary.stop_ids)}, the response ends"
        findings.append(ok(f"the expert has {size:,} ids of its own (it embeds {rows_there:,}); {ends}"))
    sampling, data = configuration.data.sampling, configuration.data
    longest = data.max_prompt_tokens + sampling.max_new_tokens
    window = f"{vocabulary.window:,}" if vocabulary.window < 2**31 else "any number of"
    who = "the models attend to" if own is None else "the policy attends to"
    if longest <= vocabulary.window:  # else the data say so
        findings.append(ok(f"context: {longest:,} tokens of prompt and response, of {window} that {who}"))
    return findings


def _special(policy: Side, expert: Side, by_text: bool) -> list[Finding]:
    findings = []
    for name in ("eos_token", "bos_token", "pad_token"):
        ours, theirs = (getattr(side.tokenizer, name) for side in (policy, expert))
        text = f"{name}: {ours!r}" if ours == theirs else f"{name}: policy {ours!r}, expert {theirs!r}"
        findings.append(detail(text))
    ours, theirs = (
        side.tokenizer("a")["input_ids"] != side.tokenizer("a", add_special_tokens=False)["input_ids"]
        for side in (policy, expert)
    )
    if ours != theirs and not by_text:
        who = "policy" if ours else "expert"
        findings.append(
            warning(
                f"only the {who}'s tokenizer puts special tokens around a text; the expert reads the policy's prompts",
                "see below how a prompt begins; data.template can write what the expert expects",
            )
        )
    return findings


def _template(configuration: Configuration, policy: Side, expert: Side | None) -> list[Finding]:
    own = configuration.data.template is not None
    theirs = "the policy's chat template" if policy.tokenizer.chat_template else "a plain template"
    what = "data.template" if own else theirs
    if expert is not None and configuration.text_expert is not None:
        by = (
            "its own chat template"
            if expert.tokenizer.chat_template
            else "data.template"
            if own
            else "a plain template"
        )
        return [ok(f"prompts are written by {what} for the policy, and by {by} for the expert")]
    if expert is None or own or policy.tokenizer.chat_template == expert.tokenizer.chat_template:
        return [ok(f"prompts are written by {what}")]
    has = "has another" if expert.tokenizer.chat_template else "has none"
    return [
        warning(
            f"prompts are written by {what}, and the expert {has}: it reads the policy's",
            "see that the expert answers well behind it; data.template sets one for both",
        )
    ]
