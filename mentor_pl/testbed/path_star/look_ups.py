"""First weights that already look words up: what a model of this size would take too long to find out by itself.

Looking up a node takes two heads in a row, the one of no use without the other, and a model of 125,000 parameters stays
for hundreds of steps where it only names any node. So some heads start with a purpose, on top of fresh small weights
(compare mimetic initialisation, arXiv 2305.09828). Training settles how sure they are, and when they are used.

    layer  head  stands on      looks for                                   writes
    0      0, 2  any word       the word before it                          `before`; `mark`, if it is no node
    0      1     any word       the word three before it: at `<think>`,     `centre`
                                behind `start n07 goal n05`, the centre
    1      0     `<think>`      the word before it, the goal, in an edge    `hop`: the node before it there
    1      1     a node         itself, in an edge                          `word`: the node behind it there
    1      2     `<think>`      the centre, in its edges                    `word`: the nodes next to it, all alike
    2      0     `<think>`      `hop`, in an edge                           `word`: the node before it there

The residual stream, 64 wide, has a field for each: `word`, of which the embedding of a node is one channel (a channel
of `mark` for other words, and one that is the same for all), `before`, `hop` and `centre`. Every place has a word
before it in one field or another, so that none stands out because it holds less. Three layers are just enough for arms
of three nodes. The factors in `teach_look_ups` make each head prefer what it looks for without being sure of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

_NODES, _HEAD, _WIDTH = 16, 16, 64  # nodes, channels of a head, of the residual stream
_WORD, _BEFORE, _HOP, _CENTRE, _MARK, _SAME = 0, 16, 32, 40, 48, 63  # where each field begins
_SLOW = (4, 5, 6, 7, 12, 13, 14, 15)  # channels of a head that rotary positions turn little over a problem

# Sixteen nodes in eight channels, [8, 16]: a channel stands for two of them, with opposite signs.
_CODE = torch.cat([torch.eye(8), -torch.eye(8)], dim=1)


@torch.no_grad()
def teach_look_ups(model: LlamaForCausalLM, nodes: Sequence[int]) -> None:
    """Give the heads of the table their purpose, in place.

    Args:
        model: of three layers or more, 64 wide, with four heads, its weights fresh.
        nodes: the ids of the sixteen nodes.
    """
    for layer in model.model.layers:  # what has no purpose yet writes little
        layer.self_attn.o_proj.weight *= 0.2
        layer.mlp.down_proj.weight *= 0.2
    embedding = model.model.embed_tokens.weight  # [V, 64]
    embedding[:, _SAME] += 1
    for channel, node in enumerate(nodes):
        embedding[node, _WORD + channel] += 1
    marks = [word for word in range(len(embedding)) if word not in set(nodes)]
    for channel, word in enumerate(marks):
        embedding[word, _MARK + channel] += 1

    one = torch.eye(_NODES)
    of_word, of_before = _reads(_CODE, _WORD), _reads(_CODE, _BEFORE)
    _set(model, 0, 0, *_looks_back(1), _reads(one, _WORD), _writes(one, _BEFORE, 0.25))
    _set(model, 0, 1, *_looks_back(3), _reads(one, _WORD), _writes(_CODE, _CENTRE, 0.08))
    _set(model, 0, 2, *_looks_back(1), _reads(one[:15, :15], _MARK), _writes(one[:15], _MARK, 0.25))
    _set(model, 1, 0, 1.6 * of_before, 1.6 * of_word, _reads(one, _BEFORE), _writes(_CODE, _HOP, 1.5))
    _set(model, 1, 1, 1.6 * of_word, 1.6 * of_before, _reads(one, _WORD), _writes(one, _WORD, 0.8))
    _set(
        model, 1, 2, 7.0 * _reads(torch.eye(8), _CENTRE), 1.5 * of_before, _reads(one, _WORD), _writes(one, _WORD, 2.5)
    )
    _set(model, 2, 0, 2.2 * _reads(torch.eye(8), _HOP), 2.2 * of_word, _reads(one, _BEFORE), _writes(one, _WORD, 1.0))


def _looks_back(words: int) -> tuple[Tensor, Tensor]:
    """Queries and keys, [16, 64] each, of a head that looks at the place so many words before, whatever stands there.

    All words have one channel in common; turned by `words` places more, its key meets the query where positions differ
    by that. Three frequencies, so that no other place within a problem is nearly as good.
    """
    queries, keys = torch.zeros(_HEAD, _WIDTH), torch.zeros(_HEAD, _WIDTH)
    for channel in range(3):
        turn = words * 10_000 ** (-channel / (_HEAD // 2))  # radians
        queries[channel, _SAME] = 1.6
        keys[channel, _SAME], keys[channel + _HEAD // 2, _SAME] = 1.6 * math.cos(turn), 1.6 * math.sin(turn)
    return queries, keys


def _reads(code: Tensor, field: int) -> Tensor:
    """Weights [16, 64] that read a field into a head: as it is, or its code into the channels that turn little."""
    weight = torch.zeros(_HEAD, _WIDTH)
    rows = list(_SLOW) if len(code) == len(_SLOW) else list(range(len(code)))
    weight[rows, field : field + code.shape[1]] = code
    return weight


def _writes(code: Tensor, field: int, scale: float) -> Tensor:
    """Weights [64, 16] that write what a head has read into a field."""
    weight = torch.zeros(_WIDTH, _HEAD)
    weight[field : field + len(code)] = scale * code
    return weight


def _set(
    model: LlamaForCausalLM, layer: int, head: int, queries: Tensor, keys: Tensor, values: Tensor, out: Tensor
) -> None:
    attention, channels = model.model.layers[layer].self_attn, slice(_HEAD * head, _HEAD * (head + 1))
    attention.q_proj.weight[channels] += queries
    attention.k_proj.weight[channels] += keys
    attention.v_proj.weight[channels] += values
    attention.o_proj.weight[:, channels] += out
