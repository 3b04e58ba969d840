"""The environment of a run that is tried: this copy of the project, one thread, and none of an outer run's ranks."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_OUTER = {
    *("PL_GLOBAL_SEED", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE"),
    *("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK"),
}


def environment(cache: Path, **own: str) -> dict[str, str]:
    """This process's, with `own` variables; timings are remembered in `cache`."""
    kept = {name: value for name, value in os.environ.items() if name not in _OUTER}
    return kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MENTOR_CACHE": str(cache)} | own
