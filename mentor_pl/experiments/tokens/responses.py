"""Responses whose tokens are labelled: sampled from the policy and labelled by a function, or read from a file.

A label belongs to a word of the response, what stands between white space; a stop token is a word of its own. The
token in which a word begins has the word's label, and the others of the word, which follow from it, have none.

Shapes: T tokens of a response.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from mentor_pl.decoding.sampler import Sampler, as_response
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.evaluation.evaluate import block_size
from mentor_pl.models.loading import Models
from mentor_pl.problems.sources import read_rows
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.noise import rollout_keys
from mentor_pl.runtime.progress import Progress
from mentor_pl.types import Prompt

Label = bool | None  # a decision, forced, or not known
Labels = Callable[[str, Sequence[str]], Sequence[Label]]  # of a problem and the words of a response, one per word


@dataclass(frozen=True)
class Labelled:
    """A response.

    Attributes:
        prompt: what it answers.
        number: among those of its problem.
        ids: [T] tokens, the stop token included.
        texts: [T] what each token adds to the text.
        labels: [T].
    """

    prompt: Prompt
    number: int
    ids: tuple[int, ...]
    texts: tuple[str, ...]
    labels: tuple[Label, ...]


def sample(
    models: Models,
    problems: Benchmark,
    prompts: Sequence[Prompt],
    labels: Labels | None,
    sampler: Sampler,
    seed: int,
    progress: Progress,
) -> list[Labelled]:
    """As many responses to each prompt as `problems` says; call inside `decoding(models.policy)`.

    Args:
        models: the policy and its vocabulary.
        problems: how they are sampled.
        prompts: its prompts.
        labels: labels the words; without, no token has one.
        sampler: decoder.
        seed: of the noise, which is that of no evaluation.
        progress: of responses.
    """
    found: list[Labelled] = []
    count, block = problems.samples, block_size(problems.samples)
    for start in range(0, len(prompts), block):
        owners = [prompt for prompt in prompts[start : start + block] for _ in range(count)]
        places = torch.arange(len(owners), device=models.device) % count
        indices = torch.tensor([prompt.index for prompt in owners], device=models.device)
        keys = rollout_keys(seed, zlib.crc32(f"{problems.name}/labelled".encode()), indices, places)
        ended: list[list[int]] = [[] for _ in owners]

        def end(row: int, ids: list[int], ended: list[list[int]] = ended, before: int = start * count) -> None:
            ended[row] = ids
            progress(before + sum(map(bool, ended)), len(prompts) * count)

        sampler(models, [prompt.token_ids for prompt in owners], keys, problems.sampling, on_end=end)
        for prompt, number, ids in zip(owners, places.tolist(), ended, strict=True):
            source = f"labels of {getattr(labels, '__module__', '')}, problem {prompt.index},"
            found.append(labelled(models, prompt, number, ids, labels, source))
    return found


def read_annotated(models: Models, problems: Benchmark, prompts: Sequence[Prompt], file: Path) -> list[Labelled]:
    """The responses of a file of JSON lines, with the labels of their words.

    Each line has `problem`, the text of one of the problems; `response`, a text; and `labels`, a list with true (a
    decision), false (forced) or null (not known) for every word of the response.

    Args:
        models: the policy and its vocabulary.
        problems: from which the prompts come.
        prompts: its prompts.
        file: the file.

    Raises:
        UsageError: for a file that cannot be read, or a line that is not like this; it names the line.
    """
    if not file.is_file():
        raise UsageError(f"annotations is '{file}', but there is no such file: give one of JSON lines")
    known, counts, found = {prompt.problem: prompt for prompt in prompts}, dict[str, int](), list[Labelled]()
    for row in read_rows(str(file), split="train"):
        problem, response, labels = (row.values.get(name) for name in ("problem", "response", "labels"))
        if not isinstance(problem, str) or problem not in known:
            raise UsageError(
                f"{row.place}: problem is {problem!r:.60}, which is none of the {len(known)} of problems.path: give "
                "its text as it stands there, or raise problems.limit"
            )
        if not isinstance(response, str) or not response.split():
            raise UsageError(f"{row.place}: response is {response!r:.60}: give a text with at least one word")
        ids = models.tokenizer(response, add_special_tokens=False, verbose=False)["input_ids"]
        if len(ids) > problems.sampling.max_new_tokens:
            raise UsageError(
                f"{row.place}: response has {len(ids)} tokens, but problems.sampling.max_new_tokens is "
                f"{problems.sampling.max_new_tokens}: raise it"
            )
        number = counts[problem] = counts.get(problem, -1) + 1
        found.append(labelled(models, known[problem], number, ids, partial(_same, labels), f"{row.place}: labels"))
    return found


def _same(labels: Any, problem: str, words: Sequence[str]) -> Any:
    return labels


def labelled(
    models: Models, prompt: Prompt, number: int, ids: Sequence[int], labels: Labels | None, source: str
) -> Labelled:
    """A response with the labels of its words, if they are known.

    Args:
        models: the policy and its vocabulary.
        prompt: what it answers.
        number: among those of its problem.
        ids: [T] its tokens.
        labels: labels the words.
        source: of the labels, for messages.

    Raises:
        UsageError: for labels that are not one of true, false and null for each word.
    """
    stop = len(ids) > 0 and ids[-1] in models.vocabulary.stop_ids
    texts = _texts(models, ids[: len(ids) - stop])
    words = [(match.group(), match.start()) for match in re.finditer(r"\S+", "".join(texts))]
    starts, place = [0], 0
    for text in texts:
        starts.append(starts[-1] + len(text))
    if stop:
        texts.append(str(models.tokenizer.decode([ids[-1]], skip_special_tokens=False)))
        words.append((texts[-1], starts[-1]))
    marks: list[Label] = [None] * len(ids)
    if labels is not None:
        given = labels(prompt.problem, [word for word, _ in words])
        _check(given, len(words), source)
        for label, (_, start) in zip(given, words, strict=True):
            while place + 1 < len(starts) and starts[place + 1] <= start:
                place += 1
            marks[place] = label if marks[place] is None else marks[place] or label
    return Labelled(prompt, number, tuple(ids), tuple(texts), tuple(marks))


def _texts(models: Models, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text of those before it: tokens alone would lose their white space."""
    wholes = [""] + [as_response(models, ids[: place + 1]).text for place in range(len(ids))]
    longest = len(wholes[-1])
    ends = [0]
    for whole in wholes[1:]:  # a token may complete a character that those before it have begun
        ends.append(max(ends[-1], min(longest, len(whole))))
    return [wholes[-1][start:end] for start, end in pairwise(ends)]


def _check(given: Any, words: int, source: str) -> None:
    listed = isinstance(given, list | tuple)
    if listed and len(given) == words and all(one is None or isinstance(one, bool) for one in given):
        return
    shown = f"{len(given)} values" if listed and len(given) != words else f"{given!r:.60}"
    raise UsageError(f"{source} are {shown} for {words} words: give true, false or null for each")
