"""From the rows of a record back to a process's rollouts.

Everything that the update reads is as it was, bit for bit. What the step cost is not: seconds, what decoding did, how
problems were drawn.

Shapes: N rollouts, S tokens of a prompt, T response tokens, L response tokens of all rollouts together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from mentor_pl.records.schema import ORIGINS
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Alternatives, Rollouts

_LAWS = ("policy", "expert", "mixture")


def rollouts_of(table: pa.Table, rank: int = 0) -> Rollouts:
    """The rollouts that a process had, on the CPU; none where it had none.

    Args:
        table: of `read_step`.
        rank: the process.

    Raises:
        UsageError: where the record has not all of them.
    """
    rows = table.filter(pc.equal(table["rank"], rank)).combine_chunks()
    if len(table) and not len(rows) and rank < table["ranks"][0].as_py():  # a limit leaves each that has any a group
        others = rollouts_of(table, table["rank"][0].as_py())
        return replace(others.only(others.group < 0), without_verdict=0)
    step, ranks = table["step"][0].as_py() if len(table) else "?", set(table["ranks"].to_pylist())
    if not len(rows) or rows["rollouts"][0].as_py() != len(rows):
        had = rows["rollouts"][0].as_py() if len(rows) else "any"
        raise UsageError(
            f"the record of step {step} has {len(rows)} rollouts of process {rank} (of {max(ranks, default=0)}), not "
            f"{had}: it was written with a limit; record all rollouts, by RolloutRecord without limit"
        )
    first = {
        name: rows[name][0].as_py()
        for name in rows.column_names
        if not pa.types.is_nested(rows.schema.field(name).type)
    }
    lengths = _numbers(rows, "length")
    mask = torch.arange(first["response_width"]) < lengths[:, None]
    prompt_lengths = torch.from_numpy(pc.list_value_length(rows["prompt_ids"]).to_numpy().astype(np.int64))
    in_prompt = torch.arange(first["prompt_width"]) < prompt_lengths[:, None]

    def tokens(name: str, dtype: torch.dtype) -> Tensor:
        return _padded(rows, name, mask, dtype)

    def if_known(name: str) -> Tensor | None:
        known = len(_flat(rows, name)) > 0
        return tokens(name, torch.float32) if known else None

    unknown = torch.zeros(mask.shape)
    margins, divergences = if_known("margins"), if_known("divergences")
    return Rollouts(
        prompt_ids=_padded(rows, "prompt_ids", in_prompt, torch.int64),
        prompt_lengths=prompt_lengths,
        response_ids=tokens("ids", torch.int64),
        response_lengths=lengths,
        group=_numbers(rows, "group"),
        origin=torch.tensor([ORIGINS.index(name) for name in rows["origin"].to_pylist()]),
        logprobs=tokens("logprobs", torch.float32),
        entropies=tokens("entropies", torch.float32),
        gate_weights=tokens("gate_weights", torch.float32),
        guided=tokens("guided", torch.bool),
        replaced=tokens("replaced", torch.bool),
        given=tokens("given", torch.bool),
        train_mask=tokens("trained", torch.bool),
        truncated=torch.tensor(rows["truncated"].to_pylist()),
        rewards=torch.from_numpy(rows["reward"].fill_null(float("nan")).to_numpy().copy()),
        reward_parts=_parts(rows),
        reward_range=first["reward_range"],
        temperature=first["temperature"],
        alpha=first["alpha"],
        gamma=first["gamma"],
        step=first["step"] - 1,
        policy_updates=first["policy_updates"],
        margins=margins if margins is not None else unknown,
        divergences=divergences if divergences is not None else unknown,
        max_tokens=first["max_tokens"],
        expert_logprobs=if_known("expert_logprobs"),
        reference_logprobs=if_known("reference_logprobs"),
        problems=_numbers(rows, "problem"),
        texts=tuple(rows["text"].to_pylist()),
        without_verdict=first["without_verdict"],
        numbers=_numbers(rows, "number"),
        drafts=tokens("drafts", torch.int64),
        alternatives=_alternatives(rows),
    )


def _numbers(rows: pa.Table, name: str) -> Tensor:
    """A column of whole numbers, [N] int64."""
    return torch.from_numpy(rows[name].to_numpy().astype(np.int64))


def _flat(rows: pa.Table, name: str) -> pa.Array:
    """The values of a column's lists, one after the other."""
    column = rows[name].combine_chunks()
    return column.flatten() if isinstance(column, pa.Array) else pa.chunked_array([c.flatten() for c in column.chunks])


def _padded(rows: pa.Table, name: str, mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The lists of a column as [N, ·], right-padded with 0."""
    values = torch.from_numpy(_flat(rows, name).to_numpy(zero_copy_only=False).copy()).to(dtype)
    return torch.zeros(mask.shape, dtype=dtype).masked_scatter(mask, values)


def _parts(rows: pa.Table) -> dict[str, Tensor]:
    """The parts of the rewards, name -> [N] float32."""
    given = rows["parts"].to_pylist()
    names = dict.fromkeys(part["name"] for parts in given for part in parts)
    found: dict[str, Any] = {name: [0.0] * len(given) for name in names}
    for i, parts in enumerate(given):
        for part in parts:
            found[part["name"]][i] = part["value"]
    return {name: torch.tensor(values, dtype=torch.float32) for name, values in found.items()}


def _alternatives(rows: pa.Table) -> Alternatives | None:
    """What else could have stood; none where nothing was kept."""
    counts = pc.list_value_length(rows["alternatives"]).to_numpy().astype(np.int64)
    if not counts.sum():
        return None
    flat = _flat(rows, "alternatives")
    k = len(flat.field("policy_ids")[0])

    def stacked(suffix: str, dtype: torch.dtype) -> Tensor:
        laws = [flat.field(f"{law}{suffix}").flatten().to_numpy(zero_copy_only=False).copy() for law in _LAWS]
        return torch.stack([torch.from_numpy(law).to(dtype).view(-1, k) for law in laws], 1)

    return Alternatives(
        rows=torch.arange(len(rows)).repeat_interleave(torch.from_numpy(counts)),
        positions=torch.from_numpy(flat.field("position").to_numpy().astype(np.int64)),
        ids=stacked("_ids", torch.int32),
        probabilities=stacked("", torch.float32),
    )
