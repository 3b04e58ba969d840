"""A random policy and a random expert of given shapes whose uncertainty is made to measure.

Weights are random, as a benchmark of speed needs no skill; but how often the expert is asked, and how often it
disagrees, decides what mixed decoding costs. Here both follow from a table of successors. Every token id is *sure* (one
successor) or *unsure* (several, about equally likely), and its embedding is the sum of its successors' output vectors,
so that the logits after it single them out; the layers in between add little. The expert has the policy's table in its
first dimensions, with other odds among the successors of unsure ids.

As in text that first explores and then concludes, responses settle: after some unsure tokens a response enters ids that
are all sure. That sets the share of tokens which no expert ever reads.

Shapes: V vocabulary, H hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoModelForCausalLM, Qwen2Config


@dataclass(frozen=True)
class Shape:
    """Size of a Qwen2 model.

    Attributes:
        hidden: H.
        layers: decoder layers.
        heads: query heads.
        key_heads: key and value heads.
        inner: width of the feed-forward layers.
    """

    hidden: int
    layers: int
    heads: int
    key_heads: int
    inner: int


@dataclass(frozen=True)
class Profile:
    """How uncertain the policy is, and how far the expert is from it.

    Attributes:
        unsure: share of unsure ids among those that a response passes through before it settles.
        settles: probability that an unsure token is the last one.
        disagreement: how far the expert's odds among successors are from the policy's; 0 for equal odds.
        sharpness: logit of a single successor.
    """

    unsure: float
    settles: float
    disagreement: float
    sharpness: float = 24.0


def build_pair(
    policy: Shape,
    expert: Shape | None,
    profile: Profile,
    vocabulary: int,
    window: int,
    seed: int,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> list[Any]:
    """Policy and expert, or the policy alone, with the profile, in eval mode; made where they are to be."""
    generator = torch.Generator().manual_seed(seed)
    there = generator if device == "cpu" else torch.Generator(device).manual_seed(seed)
    outputs = normalize(torch.randn(vocabulary, policy.hidden, generator=there, device=device), dim=-1)
    successors, odds = _successors(profile, vocabulary, generator)
    other_odds = odds * (profile.disagreement * torch.randn(odds.shape, generator=generator)).exp()
    models = []
    for shape, chances in ((policy, odds), (expert, other_odds)):
        if shape is not None:
            table = _table(outputs, successors.to(device), chances.to(device))
            models.append(_model(shape, outputs, table, profile.sharpness, window, generator, dtype))
    return models


QUIET = 0.1  # times what the layers add to the embeddings, or else two models would disagree about everything
CHOICES = 4  # successors of an unsure id


def _successors(profile: Profile, vocabulary: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Successors of every id [V, CHOICES] and their odds [V, CHOICES]; of a sure id only the first one counts.

    The lower half of the ids is passed through before a response settles, the upper half afterwards.
    """
    half = vocabulary // 2
    # the next id: along chains that end in unsure ids, then round and round
    following = torch.arange(1, vocabulary + 1)
    following[-1] = half
    successors = following[:, None].repeat(1, CHOICES)
    unsure = torch.rand(half, generator=generator) < profile.unsure
    unsure[-1] = True
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), unsure.nonzero().squeeze(1)[:-1] + 1])  # of the chains
    count = int(unsure.sum()), CHOICES
    onward = starts[torch.randint(len(starts), count, generator=generator)]
    settled = torch.randint(half, vocabulary, count, generator=generator)
    leaves = torch.rand(count, generator=generator) < profile.settles
    successors[:half][unsure] = torch.where(leaves, settled, onward)
    odds = torch.zeros(vocabulary, CHOICES)
    odds[:, 0] = 1
    odds[:half][unsure] = 1 + 0.5 * torch.rand(count, generator=generator)
    return successors, odds


def _table(outputs: Tensor, successors: Tensor, odds: Tensor) -> Tensor:
    """Embeddings that single out the successors: [V, H], of length 1."""
    return normalize((outputs[successors] * odds[..., None]).sum(1), dim=-1)


@torch.no_grad()
def _model(
    shape: Shape,
    outputs: Tensor,
    table: Tensor,
    sharpness: float,
    window: int,
    generator: torch.Generator,
    dtype: torch.dtype,
) -> Any:
    """A model whose embeddings and output vectors are given in its first dimensions."""
    vocabulary, given = table.shape
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        max_position_embeddings=window,
        tie_word_embeddings=False,
    )
    device, seed = table.device, int(torch.randint(2**31, (), generator=generator))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), device:
        torch.manual_seed(seed)
        # not cast afterwards: RoPE's frequencies stay in float32
        model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    for matrix, rows, scale in (
        (model.get_input_embeddings().weight, table, shape.hidden**0.5),
        (model.get_output_embeddings().weight, outputs, sharpness / shape.hidden**0.5),
    ):
        matrix.zero_()
        matrix[:, :given] = rows * scale
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight *= QUIET
        layer.mlp.down_proj.weight *= QUIET
    return model
