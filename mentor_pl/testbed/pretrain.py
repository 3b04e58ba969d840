"""Supervised training of the testbed's small models: batches of encoded demonstrations, and the loop over them.

Loss = mean cross-entropy of the response tokens, the stop token included; AdamW with a short warm-up and a cosine to
zero. Where several words are right, a sequence has several lists of labels, and the loss is the mean over all labels.

Shapes: B sequences, T tokens, L lists of labels.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mentor_pl.testbed.tokenizer import EOS, MAX_LENGTH, PAD, SPECIAL

BATCH = 64
WARM_UP = 50  # optimizer steps
IGNORED = -100  # label of tokens without loss

Encoded = tuple[list[int], ...]  # token ids, and one or more lists of labels of the same length


def build_model(
    tokenizer: PreTrainedTokenizerFast, seed: int, width: int = 64, layers: int = 2, expansion: int = 3
) -> LlamaForCausalLM:
    """A Llama with fresh weights, ReLU and tied embeddings; by default of about 110,000 parameters.

    Args:
        width: of the residual stream; a head has 16 channels.
        layers: how many.
        expansion: width of an MLP, in that of the stream.

    The architecture must be one for which AutoTokenizer trusts the tokenizer that lies in the folder: next to a Qwen2
    configuration it would read any tokenizer as Qwen2's and silently drop every word of ours.
    """
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=expansion * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 16,
        num_key_value_heads=width // 16,
        max_position_embeddings=2 * MAX_LENGTH,
        hidden_act="relu",
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    return LlamaForCausalLM(config)


def encode(prompt: Sequence[str], response: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> Encoded:
    """Token ids of a prompt, a response and the stop token; labels ignore the prompt."""
    vocabulary = tokenizer.get_vocab()
    ids = [vocabulary[word] for word in (*prompt, *response, EOS)]
    return ids, [IGNORED] * len(prompt) + ids[len(prompt) :]


def encode_text(prompt: str, response: str, tokenizer: PreTrainedTokenizerFast) -> Encoded:
    """Likewise of a text and the text behind it, by a tokenizer whose tokens are no words.

    Raises:
        ValueError: for what is no text of the tokenizer's.
    """
    parts = [tokenizer(text)["input_ids"] for text in (prompt, response)]
    ids = [*parts[0], *parts[1], tokenizer.eos_token_id]
    if tokenizer.unk_token_id in ids:
        raise ValueError(f"{prompt!r} or {response!r} has unknown words")
    return ids, [IGNORED] * len(parts[0]) + ids[len(parts[0]) :]


def collate(batch: list[Encoded], pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids [B, T], padded on the right, and labels [L · B, T], list by list, that ignore prompts and padding."""
    longest, lists = max(len(ids) for ids, *_ in batch), max(map(len, batch)) - 1
    inputs = torch.full((len(batch), longest), pad_id)
    labels = torch.full((lists, len(batch), longest), IGNORED)
    for row, (ids, *targets) in enumerate(batch):
        inputs[row, : len(ids)] = torch.tensor(ids)
        labels[: len(targets), row, : len(ids)] = torch.tensor(targets)
    return inputs, labels.flatten(0, 1)


def batches(data: list[Encoded], count: int, seed: int) -> Iterator[list[Encoded]]:
    """`count` random batches whose sequences are of like length, so that little of a batch is padding."""
    rng = random.Random(seed)
    size = min(BATCH, len(data))
    waiting: list[list[Encoded]] = []
    for _ in range(count):
        if not waiting:
            drawn = sorted(rng.sample(data, min(8 * size, len(data))), key=lambda sequence: len(sequence[0]))
            waiting = [drawn[first : first + size] for first in range(0, len(drawn) - size + 1, size)]
            rng.shuffle(waiting)
        yield waiting.pop()


def train(
    model: LlamaForCausalLM,
    data: list[Encoded],
    steps: int,
    lr: float,
    seed: int,
    progress: Callable[[float], None] = lambda loss: None,
) -> list[float]:
    """Train `model` in place for `steps` batches drawn from `data` and return the loss of each, in nats per token.

    Right padding needs no attention mask: causal attention never looks at what follows a token.

    Args:
        progress: called after every step with its loss.
    """
    pad_id = SPECIAL.index(PAD)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    warm_up = min(WARM_UP, max(1, steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * step / steps)))
    )
    losses: list[float] = []
    model.train()
    for batch in batches(data, steps, seed):
        inputs, labels = collate(batch, pad_id)
        logits = model(input_ids=inputs, use_cache=False).logits[:, :-1]  # [B, T − 1, V]
        logits = logits.repeat(len(labels) // len(inputs), 1, 1)  # [L · B, T − 1, V]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        progress(losses[-1])
    model.eval()
    return losses
