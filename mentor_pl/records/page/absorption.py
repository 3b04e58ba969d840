"""What a page says of replaced tokens that were scored again: at the token, and over all of a run by their age."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mentor_pl.records.page.choose import evenly
from mentor_pl.records.page.pack import Array, finite
from mentor_pl.records.page.places import Places
from mentor_pl.records.page.texts import texts
from mentor_pl.records.page.vocabulary import SHOWN

AGES: Final = 200  # of a curve; more are not seen
STRONGEST: Final = 12  # tokens that are named on either end
_SCORES: Final = ("expert_then", "expert_now", "draft_then", "draft_now")
_ROLLOUT: Final = ("rank", "group", "number")


def whole_rows(absorbed: pa.Table) -> pa.Table:
    """The rows of `read_absorbed` that can be drawn, by when they were scored: no value is missing or infinite."""
    rows = absorbed.drop_null()
    drawn = np.all([np.isfinite(rows[name].to_numpy()) for name in _SCORES], axis=0)
    return rows.filter(pa.array(drawn)).sort_by("scored_at")


def absorbed_at(absorbed: pa.Table, step: int, places: Places) -> list[dict[str, Any]]:
    """Of each token of a step that was scored again: its place, log π then, and at each later time.

    Args:
        absorbed: of `whole_rows`.
        step: of the page.
        places: of its tokens.
    """
    found: dict[int, dict[str, Any]] = {}
    for row in absorbed.filter(pc.equal(absorbed["step"], step)).drop(["expert_piece", "draft_piece"]).to_pylist():
        at = places.find(row["rank"], row["group"], row["number"], row["position"], row["expert_id"])
        if at is None:
            continue
        then = {"token": at, "then": [finite(row["expert_then"]), finite(row["draft_then"])]}
        one = found.setdefault(at, then | {"at": [], "expert": [], "draft": []})
        for name, value in (("at", row["scored_at"]), ("expert", row["expert_now"]), ("draft", row["draft_now"])):
            one[name].append(finite(value))
    return list(found.values())


def overview(absorbed: pa.Table) -> dict[str, Any] | None:
    """What was taken over and what dropped; None where nothing was scored again.

    Args:
        absorbed: of `whole_rows`.

    Returns:
        `last`: shares over the tokens that were scored last; `ages` with `tokens`, shares and quartiles of the change
        of log π at each; `most` and `least`: the tokens whose expert's token gained and lost most.
    """
    if not len(absorbed):
        return None
    values = {name: absorbed[name].to_numpy() for name in ("age", "scored_at", *_SCORES)}
    every = evenly(np.unique(values["age"]).tolist(), AGES)
    by_age = [_shares(values, values["age"] == age) for age in every]
    last = int(values["scored_at"].max())
    latest = _latest(absorbed)
    change = latest["expert_now"].to_numpy() - latest["expert_then"].to_numpy()
    order = np.argsort(change, kind="stable")
    return {
        "scored_at": last,
        "kept": len(latest),
        "last": _shares(values, values["scored_at"] == last),
        "ages": every,
        **{name: [one[name] for one in by_age] for name in by_age[0]},
        "most": _named(latest, [at for at in order[::-1] if change[at] > 0]),
        "least": _named(latest, [at for at in order if change[at] < 0]),
    }


def _shares(values: dict[str, Array], some: Array) -> dict[str, Any]:
    """Over some of the rows how many there are, the shares, and the quartiles of both changes."""
    then, now, draft_then, draft = (values[name][some].astype(np.float64) for name in _SCORES)
    shares = {"taken_over": now > draft, "taken_over_then": then > draft_then, "dropped": now < then}
    changes = {"expert": now - then, "draft": draft - draft_then}
    return {
        "tokens": len(now),
        **{name: finite(float(one.mean())) for name, one in shares.items()},
        **{name: [finite(float(q)) for q in np.quantile(one, (0.25, 0.5, 0.75))] for name, one in changes.items()},
    }


def _latest(absorbed: pa.Table) -> pa.Table:
    """The last row of each token."""
    names = ("step", *_ROLLOUT, "position")
    keys = list(zip(*(absorbed[name].to_pylist() for name in names), strict=True))
    return absorbed.take(pa.array(sorted({key: at for at, key in enumerate(keys)}.values()), pa.int64()))


def _named(latest: pa.Table, order: list[Any]) -> list[dict[str, Any]]:
    some = latest.take(pa.array(order[:STRONGEST], pa.int64()))
    names = ("step", *_ROLLOUT, "position", "age", "expert_id", "draft_id")
    columns: dict[str, list[Any]] = {name: some[name].to_pylist() for name in names}
    columns |= {name: [finite(value) for value in some[name].to_pylist()] for name in _SCORES}
    columns |= {name: [text[:SHOWN] for text in texts(some[name])] for name in ("expert_piece", "draft_piece")}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
