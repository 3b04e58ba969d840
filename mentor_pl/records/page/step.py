"""A recorded step as a page holds it: columns of rollouts, and arrays over all their tokens one after another.

`script/step.js` reads what is written here. N rollouts, M tokens, A guided tokens with alternatives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mentor_pl.records.page.alternatives import Alternatives, alternatives_of
from mentor_pl.records.page.divergence import divergence_of
from mentor_pl.records.page.findings import NOTHING, Findings
from mentor_pl.records.page.pack import Array, finite, indices, pack, scaled
from mentor_pl.records.page.places import Places
from mentor_pl.records.page.spacing import gaps
from mentor_pl.records.page.texts import texts
from mentor_pl.records.page.vocabulary import Vocabulary, vocabulary
from mentor_pl.records.schema import ORIGINS

LONGEST: Final = 20_000  # characters of a prompt or a response that are kept; tokens are all kept
NATS: Final = 0.001  # steps of what is kept in two bytes
SHARE: Final = 1 / 65_534
_FLAGS: Final = {"guided": 1, "replaced": 2, "given": 4, "trained": 8}
_GAP: Final = 16
_NUMBERS: Final = ("logprobs", "entropies", "gate_weights", "advantages")
_OPTIONAL: Final = ("divergences", "expert_logprobs", "reference_logprobs")


def pack_step(rows: pa.Table, recorded: int, places: Sequence[int] | None = None, findings: Findings = NOTHING) -> str:
    """Pack rollouts of a step, as `pack` does.

    Args:
        rows: of the record those that a page is to have, at least one.
        recorded: how many the record has.
        places: of the rollouts in the record; None where they are its first.
        findings: of the run.
    """
    lengths = rows["length"].to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    columns = {name: _tokens(rows, name) for name in (*_NUMBERS, *_FLAGS, "ids", "drafts")}
    for name in _OPTIONAL:
        values = _tokens(rows, name)
        if len(values) == starts[-1] and len(values) and values.any():
            columns[name] = values
    alternatives = alternatives_of(rows, starts)
    fallen = np.flatnonzero(columns["replaced"])
    known = vocabulary(
        [(columns["ids"], _pieces(rows)), (alternatives.ids[alternatives.ids >= 0], alternatives.pieces)],
        columns["drafts"][fallen],
    )
    spaced, exact = _spacing(rows, starts)
    coins = _coins(rows, lengths)
    arrays = _arrays(columns, known, alternatives, spaced, coins)
    measure = divergence_of(columns, alternatives)
    if measure is not None:
        arrays["divergence"] = scaled(measure.values, NATS if measure.name != "total variation" else SHARE)
    told = {
        "scales": {"divergence": NATS if measure is None or measure.name != "total variation" else SHARE},
        "measure": measure and {"name": measure.name, "says": measure.says},
        "recorded": recorded,
        "places": list(range(len(rows)) if places is None else places),
        "vocabulary": known.table,
        "k": alternatives.ids.shape[2],
        **_of_step(rows),
        **_of_rollouts(rows, exact),
        "blend": _blend(columns, coins),
        **findings.of_step(
            rows["step"][0].as_py(), texts(rows["weights"].slice(0, 1))[0], Places(rows, starts, columns["ids"])
        ),
        "entropy_gate": _entropy_gate(columns, coins, rows["gamma"][0].as_py()),
    }
    return pack(told, {"starts": starts.astype(np.uint32), **arrays})


def _tokens(rows: pa.Table, name: str) -> Array:
    return np.asarray(rows[name].combine_chunks().flatten().to_numpy(zero_copy_only=False))


def _pieces(rows: pa.Table) -> pa.ChunkedArray:
    return pa.chunked_array([rows["pieces"].combine_chunks().flatten()])


def _coins(rows: pa.Table, lengths: Array) -> Array:
    """[M] float32; 0, which no coin is, where none was thrown."""
    column = rows["coins"].combine_chunks()
    thrown = pc.list_value_length(column).to_numpy(zero_copy_only=False) > 0
    coins = np.zeros(int(lengths.sum()), np.float32)
    coins[np.repeat(thrown, lengths)] = column.flatten().to_numpy(zero_copy_only=False)
    return coins


def _spacing(rows: pa.Table, starts: Array) -> tuple[Array, list[bool]]:
    pieces = texts(rows["pieces"].combine_chunks().flatten())
    spans = zip(texts(rows["text"]), starts[:-1], starts[1:], strict=True)
    found = [gaps(text, pieces[a:b]) for text, a, b in spans]
    return np.array([gap for one, _ in found for gap in one], bool), [exact for _, exact in found]


def _arrays(
    columns: Mapping[str, Array], known: Vocabulary, alternatives: Alternatives, spaced: Array, coins: Array
) -> dict[str, Array]:
    flags = np.where(spaced, _GAP, 0).astype(np.uint8)
    for name, bit in _FLAGS.items():
        flags |= np.where(columns[name], bit, 0).astype(np.uint8)
    likely = np.zeros(alternatives.ids.shape, np.uint32)
    likely[alternatives.ids >= 0] = known.places[1]
    arrays = {
        "tokens": known.places[0],
        "flags": flags,
        "logprobs": scaled(-columns["logprobs"], NATS),
        "entropies": columns["entropies"].astype(np.float32),
        "weights": scaled(columns["gate_weights"], SHARE),
        "coins": coins,
        "advantages": columns["advantages"].astype(np.float32),
        "fallen": np.flatnonzero(columns["replaced"]).astype(np.uint32),
        "drafts": known.places[2],
        "listed": alternatives.at.astype(np.uint32),
        "likely": indices(likely.reshape(-1)),
        "probabilities": scaled(alternatives.probabilities.reshape(-1), SHARE),
    }
    for name in ("expert_logprobs", "reference_logprobs"):
        if name in columns:
            arrays[name] = scaled(-columns[name], NATS)
    return arrays


def _of_step(rows: pa.Table) -> dict[str, Any]:
    names = ("step", "policy_updates", "alpha", "gamma", "temperature")
    first = {name: rows[name][0].as_py() for name in names}
    numbers = {name: finite(first[name]) for name in ("alpha", "gamma", "temperature")}
    return {
        "step": first["step"],
        "policy_updates": first["policy_updates"],
        "fingerprint": texts(rows["weights"].slice(0, 1))[0],
        **numbers,
    }


def _of_rollouts(rows: pa.Table, exact: list[bool]) -> dict[str, Any]:
    """Columns of rollouts, and the prompts, each once."""
    names = ("rank", "group", "number", "problem", "truncated", "reward")
    lists = {name: rows[name].to_pylist() for name in names}
    lists |= {name: texts(rows[name]) for name in ("origin", "text", "problem_text", "prompt", "answer")}
    prompts: dict[tuple[int, int], int] = {}
    listed: list[dict[str, Any]] = []
    for row, key in enumerate(zip(lists["rank"], lists["group"], strict=True)):
        if key not in prompts:
            prompts[key] = len(listed)
            one = {name: _cut(lists[name][row]) for name in ("problem_text", "prompt", "answer")}
            own = {name: lists[name][row] for name in ("rank", "group", "problem")}
            listed.append({**own, "tokens": len(rows["prompt_ids"][row]), **one})
    parts = _parts(rows)
    return {
        "prompts": listed,
        "prompt": [prompts[key] for key in zip(lists["rank"], lists["group"], strict=True)],
        "number": lists["number"],
        "origin": [ORIGINS.index(name) for name in lists["origin"]],
        "truncated": [int(one) for one in lists["truncated"]],
        "reward": [finite(one) for one in lists["reward"]],
        "parts": {
            name: [one.get(name) for one in parts] for name in dict.fromkeys(name for one in parts for name in one)
        },
        "text": [None if same else _cut(text) for text, same in zip(lists["text"], exact, strict=True)],
    }


def _parts(rows: pa.Table) -> list[dict[str, float | None]]:
    """Of each rollout the parts of its reward."""
    column = rows["parts"].combine_chunks()
    listed = column.flatten()
    names, values = texts(listed.field("name")), listed.field("value").to_pylist()
    ends = np.cumsum(pc.list_value_length(column).to_numpy(zero_copy_only=False)).tolist()
    of_rows = zip([0, *ends[:-1]], ends, strict=True)
    return [{name: finite(value) for name, value in zip(names[a:b], values[a:b], strict=True)} for a, b in of_rows]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text):,} characters, {LONGEST:,} shown)"


def _entropy_gate(columns: Mapping[str, Array], coins: Array, gamma: float) -> float | None:
    """Of the tokens with a coin the share whose w is min(1, H / γ_p); None where there are none or no γ_p."""
    sampled = (coins > 0) & ~columns["given"].astype(bool)
    if not sampled.any() or not math.isfinite(gamma) or gamma <= 0:
        return None
    expected = np.minimum(1, columns["entropies"][sampled] / gamma)
    return float((np.abs(expected - columns["gate_weights"][sampled]) < 1e-3).mean())


def _blend(columns: Mapping[str, Array], coins: Array) -> bool:
    """Whether guided is something else than a coin of at most w, as under a gate."""
    sampled = (coins > 0) & ~columns["given"].astype(bool)
    under = coins[sampled] <= columns["gate_weights"][sampled]
    return bool((under != columns["guided"][sampled].astype(bool)).mean() > 1e-3) if sampled.any() else False
