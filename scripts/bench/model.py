"""A random causal LM with its tokenizer and problems, made on the spot: nothing is downloaded, nothing is learned from.

The policy never says its stop token, so that every rollout has the same length whoever samples it.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mentor_pl.models.loading import save_folder

ALIKE = "alike"  # the answer to a problem whose rollouts are all graded alike
SILENCE = -100.0  # times the constant coordinate of the last hidden state: the stop token's logit


def make_model(folder: Path, vocabulary: int, hidden: int, layers: int, window: int) -> None:
    """Write a Llama of one word per id, about 1 million parameters at 1,024 ids, hidden 128 and 4 layers.

    Args:
        folder: to be made.
        vocabulary: ids, the stop token included.
        hidden: size of the hidden state, a multiple of 32.
        layers: decoder layers.
        window: positions.
    """
    tokenizer = word_tokenizer(vocabulary)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=1,
        max_position_embeddings=window,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    _silence(model, tokenizer.eos_token_id)
    save_folder(model, tokenizer, folder)


def word_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """A word per id: w0, w1, …, and last <pad> and <eos>."""
    words = [f"w{i}" for i in range(vocabulary - 2)]
    backend = Tokenizer(WordLevel({word: i for i, word in enumerate([*words, "<pad>", "<eos>"])}, unk_token="w0"))
    backend.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", pad_token="<pad>")


@torch.no_grad()
def _silence(model: LlamaForCausalLM, token: int) -> None:
    """Make `token` impossible: one coordinate of the residual stream stays 1, and its logit reads that alone."""
    model.model.embed_tokens.weight[:, 0] = 1
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight[0] = 0
        layer.mlp.down_proj.weight[0] = 0
    model.lm_head.weight[token] = 0
    model.lm_head.weight[token, 0] = SILENCE


def make_problems(
    path: Path, count: int, vocabulary: int, shortest: int, longest: int, without_signal: float = 0.0
) -> None:
    """Write JSON lines of random words, between `shortest` and `longest` in each problem.

    To a share of them, spread evenly, the answer is `ALIKE`.
    """
    rng = random.Random(0)
    texts = [
        " ".join(f"w{rng.randrange(vocabulary - 2)}" for _ in range(rng.randint(shortest, longest)))
        for _ in range(count)
    ]
    alike = [int((i + 1) * without_signal) > int(i * without_signal) for i in range(count)]
    rows = [{"problem": text, "answer": ALIKE if same else "w0"} for text, same in zip(texts, alike, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
