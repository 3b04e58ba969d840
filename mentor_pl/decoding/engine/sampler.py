"""What the samplers of this project have in common: the engine, and how much of it they may use."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.decoding.engine.engine import Engine
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.timings import ForwardTimings
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, Samples
from mentor_pl.models.loading import Models
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check


class BatchedSampler(Sampler):
    """A sampler on the decoding engine; a subclass says how the expert takes part.

    Args:
        rows: rollouts decoded at a time, at most.
        cache_tokens: places of each model's KV cache, over all rows. A row takes the longest prompt and response; more
            rows than fit wait. A place of Qwen2.5-7B is 56 KiB in bfloat16, so the default is 14 GiB per model.
        cuda_graphs: replay recorded steps on a GPU; off for models whose forward waits for the host.

    Raises:
        UsageError: for fewer than one row or one place.
    """

    def __init__(self, rows: int = 256, cache_tokens: int = 2**18, cuda_graphs: bool = True) -> None:
        check("sampler rows", rows, at_least=1, because="it decodes that many rollouts at a time")
        check("sampler cache_tokens", cache_tokens, at_least=1, because="it counts tokens")
        self.rows, self.cache_tokens, self.cuda_graphs = rows, cache_tokens, cuda_graphs
        self.timings: dict[int, ForwardTimings] = {}  # rows at a time -> what forwards over them take

    @abstractmethod
    def guidance(self, blend: Blend) -> Guidance:
        """How the expert takes part in `blend`."""

    def __call__(
        self,
        models: Models,
        prompts: Sequence[Sequence[int]],
        keys: Tensor,
        sampling: SamplingParams,
        blend: Blend | None = None,
        *,
        limits: Sequence[int] | None = None,
        on_end: Callable[[int, list[int]], None] | None = None,
        alternatives: int = 0,
    ) -> Samples:
        if blend is not None and models.expert is None:
            raise UsageError("mixed-policy rollouts need an expert: set model.expert")
        if blend is not None and sampling.temperature == 0:
            raise UsageError("mixed-policy rollouts are draws: give a temperature above 0")
        if not prompts:
            return _nothing(models.device)
        engine = Engine(
            models,
            prompts,
            keys,
            sampling,
            None if blend is None else self.guidance(blend),
            rows=self.rows,
            cache_tokens=self.cache_tokens,
            limits=limits,
            on_end=on_end,
            cuda_graphs=self.cuda_graphs,
            timings=self.timings,
            alternatives=alternatives,
        )
        return engine.run()

    def state_dict(self) -> dict[str, Any]:
        """The timings: how far drafts look ahead depends on them, and with it the last bits of every number."""
        return {"timings": {rows: asdict(timings) for rows, timings in self.timings.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.timings = {rows: ForwardTimings(**timings) for rows, timings in state["timings"].items()}


def _nothing(device: torch.device) -> Samples:
    """No rollouts."""
    ids = torch.zeros(0, 0, dtype=torch.int64, device=device)
    none = ids.float()
    return Samples(ids, ids.sum(1), none, none, none, ids.bool(), ids.bool(), ids.sum(1).bool(), none, none, ids)
