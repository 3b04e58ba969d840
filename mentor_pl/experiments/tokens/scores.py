"""What policy and expert say of every token of given responses, as the chunked head computes it: no [M, V] is held.

    entropy          H(π_θ)                 what MENTOR's gate looks at
    forward KL       KL(π* ‖ π_θ)           what a gate that asks the expert everywhere could look at
    reverse KL       KL(π_θ ‖ π*)
    entropy × KL     H(π_θ) · KL(π* ‖ π_θ)
    expert entropy   H(π*)

all in nats, over the whole vocabulary, at the temperature of sampling; filters such as top_p take no part.

Shapes: N responses, T tokens of one, M tokens of a forward, V vocabulary.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils import logging as transformers_logging

from mentor_pl.decoding.sampler import decoding
from mentor_pl.experiments.tokens.responses import Labelled
from mentor_pl.models.lm_head import ExpertStates, head_logprobs
from mentor_pl.models.loading import Models, load_frozen, load_policy
from mentor_pl.models.logprobs import response_states
from mentor_pl.models.source import ModelSource
from mentor_pl.models.vocabulary import shared_vocabulary
from mentor_pl.runtime.progress import Progress
from mentor_pl.training.batching import micro_batches
from mentor_pl.training.scoring import right_padded

ENTROPY, FORWARD_KL, REVERSE_KL, PRODUCT, EXPERT_ENTROPY = (
    "entropy", "forward KL", "reverse KL", "entropy × KL", "expert entropy",
)  # fmt: skip
TOKENS = 16_384  # of one forward
Scores = dict[str, NDArray[np.float32]]  # name -> [T]


@contextmanager
def loaded(policy: str, expert: str | None) -> Iterator[Models]:
    """The models as they sample, on a GPU where there is one: there as under bf16-mixed, else in float32.

    Args:
        policy: folder or Hub name.
        expert: likewise.

    Raises:
        UsageError: for models that cannot be read, or do not share their ids.
    """
    ours, theirs = ModelSource(policy, "policy"), None if expert is None else ModelSource(expert, "expert")
    tokenizer, vocabulary = shared_vocabulary(ours, theirs)
    if not sys.stderr.isatty():  # a bar in a log file is a thousand lines
        transformers_logging.disable_progress_bar()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = device.type == "cuda"
    asked = None if theirs is None else load_frozen(theirs, torch.bfloat16 if half else torch.float32).to(device)
    models = Models(load_policy(ours).to(device), asked, tokenizer, vocabulary)
    with decoding(models.policy), torch.autocast(device.type, torch.bfloat16, enabled=half):
        yield models


def score(models: Models, responses: Sequence[Labelled], temperature: float, progress: Progress) -> list[Scores]:
    """The scores of every response; without an expert the entropy alone. Call inside `loaded`.

    Args:
        models: policy, vocabulary and perhaps expert.
        responses: N of them, those of a problem one after the other.
        temperature: of sampling, above 0.
        progress: of responses.
    """
    found: list[Scores] = [{} for _ in responses]
    done = 0
    for rows, batch in forwards(models, responses):
        for name, flat in _scores(models, batch, temperature).items():
            lengths = [len(responses[row].ids) for row in rows]
            for row, part in zip(rows, flat.float().cpu().split(lengths), strict=True):
                found[row][name] = part.numpy()
        done += len(rows)
        progress(done, len(responses))
    return found


def forwards(models: Models, responses: Sequence[Labelled]) -> Iterator[tuple[list[int], tuple[Tensor, ...]]]:
    """The responses in batches of one forward: their numbers, and what `response_states` is given of them."""
    prompts, prompt_lengths = right_padded([one.prompt.token_ids for one in responses], models.device)
    ids, lengths = right_padded([one.ids for one in responses], models.device)
    everyone = torch.arange(len(responses))
    group = torch.tensor([one.prompt.index for one in responses]).unique(return_inverse=True)[1]
    for some in micro_batches(prompt_lengths, lengths, group, TOKENS, everyone):
        longest = int(lengths[some].max())
        yield some.tolist(), (prompts[some], prompt_lengths[some], ids[some, :longest], lengths[some])


def _scores(models: Models, batch: tuple[Tensor, ...], temperature: float) -> dict[str, Tensor]:
    """Of the M tokens of a batch, response by response, [M] each."""
    ids, lengths = batch[2:]
    targets = ids[torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]]

    def head(model: Any, expert: ExpertStates | None = None, states: Tensor | None = None) -> Any:
        states = response_states(model, *batch) if states is None else states
        size = models.vocabulary.size
        return head_logprobs(states, targets, model.get_output_embeddings(), size, temperature, expert=expert)

    if models.expert is None:
        return {ENTROPY: head(models.policy).entropies}
    states = response_states(models.expert, *batch)
    ours = head(models.policy, ExpertStates(states, models.expert.get_output_embeddings()))
    return {
        ENTROPY: ours.entropies,
        FORWARD_KL: ours.forward_kl,
        REVERSE_KL: ours.reverse_kl,
        PRODUCT: ours.entropies * ours.forward_kl,
        EXPERT_ENTROPY: head(models.expert, states=states).entropies,
    }
