"""What was found of a run's replaced tokens once its records were written: scores of later steps, and forks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from mentor_pl.records.absorbed import SCHEMA, read_absorbed
from mentor_pl.records.damaged import PassOver
from mentor_pl.records.forks import Fork, read_forks
from mentor_pl.records.page.absorption import absorbed_at, overview, whole_rows
from mentor_pl.records.page.places import Places
from mentor_pl.records.page.vocabulary import SHOWN

LATEST: Final = 200  # forks of a run that a page has


@dataclass(frozen=True)
class Findings:
    """Of a run.

    Attributes:
        absorbed: replaced tokens that were scored again, of `whole_rows`.
        forks: in the order in which they were made.
    """

    absorbed: pa.Table
    forks: Sequence[Fork]

    def of_step(self, step: int, sampled_by: str, places: Places) -> dict[str, Any]:
        """What of it belongs to tokens that a page has of a step.

        Args:
            step: of the page.
            sampled_by: fingerprint of the weights that the record names: a fork of rollouts that the run has since
                made anew is not theirs.
            places: of the tokens.
        """
        forks = []
        for one in self.forks:
            if (one.step, one.sampled_by) == (step, sampled_by):
                at = places.find(one.rank, one.group, one.number, one.token, one.expert_id)
                if at is not None:
                    forks.append({"at": at, **_told(one)})
        return {"absorbed": absorbed_at(self.absorbed, step, places), "forks": forks}

    def of_run(self) -> dict[str, Any]:
        """The run as a whole."""
        return {"absorbed": overview(self.absorbed), "forks": [_told(one) for one in self.forks]}


NOTHING: Final = Findings(SCHEMA.empty_table(), ())


def findings_of(run: Path, reading: PassOver) -> Findings:
    """What was found of a run; nothing of a file that is not there, or that is none of ours.

    Args:
        run: its folder.
        reading: of its files.
    """
    absorbed = reading(lambda: whole_rows(read_absorbed(run)), NOTHING.absorbed)
    return Findings(absorbed, reading(lambda: read_forks(run)[-LATEST:], []))


def _told(one: Fork) -> dict[str, Any]:
    cut = {name: getattr(one, name)[:SHOWN] for name in ("draft_piece", "expert_piece", "weights", "sampled_by")}
    return asdict(replace(one, **cut))
