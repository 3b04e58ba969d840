"""From the rollouts of one process to rows of a record.

Shapes: N rollouts, T response tokens, L response tokens of all rollouts together, A guided tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from mentor_pl.records.schema import ALTERNATIVE, ORIGINS, SCHEMA
from mentor_pl.runtime.noise import COIN, rollout_keys, uniform
from mentor_pl.types import Alternatives, Origin, Prompt, Rollouts

_LAWS = ("policy", "expert", "mixture")  # in the order of `Alternatives`


@dataclass
class Pieces:
    """The text of each token by itself, decoded once.

    Attributes:
        decode: from ids to text.
    """

    decode: Callable[[list[int]], str]
    known: dict[int, str] = field(default_factory=dict)

    def __call__(self, ids: np.ndarray) -> pa.Array:
        """Of ids [·]."""
        some, inverse = np.unique(ids, return_inverse=True)
        for one in some.tolist():
            if one not in self.known:
                self.known[one] = clean(self.decode([one]))
        return pa.array([self.known[one] for one in some.tolist()], pa.string()).take(pa.array(inverse.ravel()))


@dataclass(frozen=True)
class Teller:
    """What is to be said of rollouts beyond themselves.

    Attributes:
        prompts: index in the data set -> the problem; those that are not known have no text.
        decode: from ids to text, special tokens included.
        pieces: likewise of single tokens.
        seed: of the sampling noise.
        rank, ranks: this process's place among all, and their number.
    """

    prompts: Mapping[int, Prompt]
    decode: Callable[[list[int]], str]
    pieces: Pieces
    seed: int
    rank: int = 0
    ranks: int = 1


def rows_of(rollouts: Rollouts, advantages: Tensor, weights: str, teller: Teller, limit: int | None = None) -> pa.Table:
    """The rows of a process's rollouts, by `SCHEMA`.

    Args:
        rollouts: of this process, as they were sampled.
        advantages: [N] or [N, T], as the update used them.
        weights: fingerprint of the weights that sampled.
        teller: of problems, tokens and this process.
        limit: rollouts that are kept at most, in whole groups, but one group at least; none keeps all.
    """
    rollouts, advantages, total = rollouts.to("cpu"), advantages.cpu(), len(rollouts)
    if limit is not None and limit < total:
        kept = _first(rollouts.group, limit)
        rollouts, advantages = rollouts.only(kept), advantages[kept]
    n, width = len(rollouts), rollouts.response_ids.shape[1]
    shared = {
        "step": rollouts.step + 1,
        "alpha": rollouts.alpha,
        "gamma": rollouts.gamma,
        "temperature": rollouts.temperature,
        "weights": weights,
        "policy_updates": rollouts.policy_updates,
        "reward_range": rollouts.reward_range,
        "max_tokens": rollouts.max_tokens,
        "rank": teller.rank,
        "ranks": teller.ranks,
        "prompt_width": rollouts.prompt_ids.shape[1],
        "response_width": width,
        "rollouts": total,
        "without_verdict": rollouts.without_verdict,
    }
    columns: dict[str, Any] = {name: pa.array([value] * n, SCHEMA.field(name).type) for name, value in shared.items()}
    columns |= _of_rollouts(rollouts, teller) | _of_tokens(rollouts, advantages, teller)
    columns["alternatives"] = _alternatives(rollouts.alternatives, n, teller.pieces)
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _first(group: Tensor, limit: int) -> Tensor:
    """Rollouts of the first groups, `limit` of them at most but one group at least: groups [N] -> [N] bool."""
    _, numbers, sizes = group.unique(return_inverse=True, return_counts=True)
    count = max(1, int((sizes.cumsum(0) <= limit).sum()))
    kept: Tensor = numbers < count
    return kept


def _of_rollouts(rollouts: Rollouts, teller: Teller) -> dict[str, Any]:
    """Columns with one value for each rollout."""
    n, problems = len(rollouts), _or_zeros(rollouts.problems, rollouts.group).tolist()
    told = [teller.prompts.get(index) for index in problems]
    prompts = [
        ids[:length] for ids, length in zip(rollouts.prompt_ids.tolist(), rollouts.prompt_lengths.tolist(), strict=True)
    ]
    texts = {tuple(ids): "" for ids in prompts}  # rollouts of a group share them
    texts = {ids: clean(teller.decode(list(ids))) for ids in texts}
    parts = {name: part.tolist() for name, part in rollouts.reward_parts.items()}
    rewards = rollouts.rewards.numpy()
    return {
        "group": rollouts.group.numpy().astype(np.int32),
        "number": _or_zeros(rollouts.numbers, rollouts.group).numpy().astype(np.int32),
        "problem": pa.array(problems, pa.int64()),
        "origin": pa.array([ORIGINS[origin] for origin in rollouts.origin.tolist()], pa.string()),
        "problem_text": _texts("" if one is None else one.problem for one in told),
        "answer": _texts("" if one is None else one.answer for one in told),
        "prompt": pa.array([texts[tuple(ids)] for ids in prompts], pa.string()),
        "prompt_ids": pa.array(prompts, SCHEMA.field("prompt_ids").type),
        "text": _texts(rollouts.texts or [""] * n),
        "truncated": pa.array(rollouts.truncated.numpy()),
        "length": rollouts.response_lengths.numpy().astype(np.int32),
        "reward": pa.array(rewards, mask=np.isnan(rewards)),
        "parts": pa.array(
            [[{"name": name, "value": values[i]} for name, values in parts.items()] for i in range(n)],
            SCHEMA.field("parts").type,
        ),
    }


def _of_tokens(rollouts: Rollouts, advantages: Tensor, teller: Teller) -> dict[str, Any]:
    """Columns with a list of values for each rollout, one for each token of its response."""
    mask, lengths = rollouts.mask, rollouts.response_lengths.numpy()
    offsets = pa.array(np.concatenate([[0], lengths.cumsum()]), pa.int32())
    nothing = pa.array(np.zeros(len(lengths) + 1), pa.int32())

    def lists(values: Any, name: str) -> pa.ListArray:
        inner = SCHEMA.field(name).type.value_type
        return pa.ListArray.from_arrays(offsets, pa.array(values, inner))

    def flat(column: Tensor) -> np.ndarray:  # [N, T] -> [L]
        found: np.ndarray = column[mask].numpy()
        return found

    def empty(name: str) -> pa.ListArray:
        return pa.ListArray.from_arrays(nothing, pa.array([], SCHEMA.field(name).type.value_type))

    each = advantages if advantages.ndim == 2 else advantages[:, None].expand(mask.shape)
    ids = flat(rollouts.response_ids)
    columns: dict[str, Any] = {
        "ids": lists(ids.astype(np.int32), "ids"),
        "pieces": pa.ListArray.from_arrays(offsets, teller.pieces(ids)),
        "trained": lists(flat(rollouts.train_mask), "trained"),
        "drafts": lists(flat(_or_zeros(rollouts.drafts, rollouts.response_ids)).astype(np.int32), "drafts"),
        "advantages": lists(flat(each.float()), "advantages"),
        "coins": _coins(rollouts, teller.seed),
    }
    for name in ("logprobs", "entropies", "gate_weights", "guided", "replaced", "given"):
        columns[name] = lists(flat(getattr(rollouts, name)), name)
    for name in ("margins", "divergences", "expert_logprobs", "reference_logprobs"):
        value: Tensor | None = getattr(rollouts, name)
        known = value is not None and (name.endswith("logprobs") or bool(value.any()))
        columns[name] = lists(flat(value), name) if known and value is not None else empty(name)
    return columns


def _coins(rollouts: Rollouts, seed: int) -> pa.ListArray:
    """The coins of mixture rows, from the noise that their drafts were tossed with; 1 at given tokens."""
    mixed = (rollouts.origin == Origin.MIXTURE)[:, None] & rollouts.mask  # [N, T]
    lengths = mixed.sum(1).numpy()
    row, place = mixed.nonzero().unbind(1)
    problems, numbers = (_or_zeros(column, rollouts.group) for column in (rollouts.problems, rollouts.numbers))
    keys = rollout_keys(seed, rollouts.step, problems, numbers)
    drawn = place - rollouts.given.sum(1)[row]  # noise counts from the first token that is sampled
    coins = torch.where(drawn < 0, 1.0, uniform(keys[row], drawn, COIN)).numpy()
    return pa.ListArray.from_arrays(
        pa.array(np.concatenate([[0], lengths.cumsum()]), pa.int32()), pa.array(coins, pa.float32())
    )


def _alternatives(kept: Alternatives | None, n: int, pieces: Pieces) -> pa.ListArray:
    """Lists of alternatives, one list for each of n rollouts."""
    counts = np.zeros(n, np.int64) if kept is None else torch.bincount(kept.rows, minlength=n).numpy()
    offsets = pa.array(np.concatenate([[0], counts.cumsum()]), pa.int32())
    if kept is None:
        return pa.ListArray.from_arrays(offsets, pa.array([], ALTERNATIVE))
    count, _, k = kept.ids.shape
    inner = pa.array(np.arange(count + 1) * k, pa.int32())
    columns: dict[str, Any] = {"position": pa.array(kept.positions.numpy(), pa.int32())}
    for law, name in enumerate(_LAWS):
        ids, values = (column[:, law].reshape(-1).numpy() for column in (kept.ids, kept.probabilities))
        columns[f"{name}_ids"] = pa.ListArray.from_arrays(inner, pa.array(ids, pa.int32()))
        columns[name] = pa.ListArray.from_arrays(inner, pa.array(values, pa.float32()))
        columns[f"{name}_pieces"] = pa.ListArray.from_arrays(inner, pieces(ids))
    structs = pa.StructArray.from_arrays([columns[one.name] for one in ALTERNATIVE], fields=list(ALTERNATIVE))
    return pa.ListArray.from_arrays(offsets, structs)


def clean(text: str) -> str:
    """The text with a question mark for every half character, which data sets and models do write."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _texts(texts: Iterable[str]) -> pa.Array:
    return pa.array([clean(text) for text in texts], pa.string())


def _or_zeros(column: Tensor | None, like: Tensor) -> Tensor:
    return column if column is not None else torch.zeros_like(like)
