"""What the samplers of this project have in common: the engine, and how much of it they may use."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.decoding.engine.cache_size import places_in_memory
from mentor_pl.decoding.engine.engine import Engine
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.paged_attention import PAGE_MULTIPLE
from mentor_pl.decoding.engine.timings import ForwardTimings
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, Samples
from mentor_pl.models.loading import Models
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check
from mentor_pl.types import ExpertPrompt


class BatchedSampler(Sampler):
    """A sampler on the decoding engine; a subclass says how the expert takes part.

    Args:
        rows: rollouts decoded at a time, at most.
        cache_tokens: places of each model's KV cache, over all rows; more rows than fit wait. By default as many as
            half of the memory holds that is free when sampling first begins. A place of Qwen2.5-7B is 56 KiB in
            bfloat16.
        page_tokens: places of a page, which a row is given as it grows; 0 gives a row the places of the longest prompt
            and response at once, so that nothing is gathered. By default 256 on a GPU, and 0 elsewhere.
        ngram_rows: rows in use up to which the next tokens are guessed from what was said, so that a forward may keep
            several; 0 guesses none. Where the last rows of a call repeat themselves, its end comes sooner.
        cuda_graphs: replay recorded steps on a GPU; off for models whose forward waits for the host.
        torch_compile: compile the policy's one-token forward and the draw of its tokens by `torch.compile`, once a
            process and model, which takes half a minute and more. On a CPU it needs a C++ compiler, and the forward is
            left to packed weights where they are most of the model's.

    Raises:
        UsageError: for fewer than one row or one place.
    """

    def __init__(
        self,
        rows: int = 256,
        cache_tokens: int | None = None,
        page_tokens: int | None = None,
        ngram_rows: int = 0,
        cuda_graphs: bool = True,
        torch_compile: bool = False,
    ) -> None:
        check("sampler rows", rows, at_least=1, because="it decodes that many rollouts at a time")
        if cache_tokens is not None:
            check("sampler cache_tokens", cache_tokens, at_least=1, because="it counts tokens")
        if page_tokens is not None:
            check("sampler page_tokens", page_tokens, at_least=0, because="it counts tokens", otherwise="0 is a row")
        check("sampler ngram_rows", ngram_rows, at_least=0, because="it counts rollouts", otherwise="0 guesses nothing")
        self.rows, self.cache_tokens, self.page_tokens = rows, cache_tokens, page_tokens
        self.ngram_rows, self.cuda_graphs, self.torch_compile = ngram_rows, cuda_graphs, torch_compile
        self.told_of_compiling = False
        self.places = cache_tokens  # found when sampling first begins, where they are not given
        self.timings: dict[int, ForwardTimings] = {}  # rows at a time -> what forwards over them take

    def page_tokens_on(self, device: str) -> int:
        """Places of a page on a device of this type; 0 for pages as long as a row."""
        return (PAGE_MULTIPLE if device == "cuda" else 0) if self.page_tokens is None else self.page_tokens

    heal = False  # whether an expert with ids of its own goes back before its last token

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
        mixed: Sequence[bool] | None = None,
        limits: Sequence[int] | None = None,
        on_end: Callable[[int, list[int]], None] | None = None,
        alternatives: int = 0,
        expert_prompts: Sequence[ExpertPrompt] | None = None,
    ) -> Samples:
        if blend is not None and models.expert is None:
            raise UsageError("mixed-policy rollouts need an expert: set model.expert")
        if blend is not None and sampling.temperature == 0:
            raise UsageError("mixed-policy rollouts are draws: give a temperature above 0")
        if self.heal and blend is not None and models.text_expert is None:
            raise UsageError("sampler heal is true, but the expert reads the policy's own tokens: set it to false")
        if not prompts:
            return _nothing(models.device)
        if self.places is None:
            longest = max(map(len, prompts)) + sampling.max_new_tokens
            self.places = places_in_memory(models, min(self.rows, len(prompts)), longest)
        if self.torch_compile and not self.told_of_compiling:
            rank_zero_info("compiling the steps of sampling: the first rollouts take seconds or minutes longer")
            self.told_of_compiling = True
        engine = Engine(
            models,
            prompts,
            keys,
            sampling,
            None if blend is None else self.guidance(blend),
            rows=self.rows,
            cache_tokens=self.places,
            page_tokens=self.page_tokens_on(models.device.type),
            ngram_rows=self.ngram_rows,
            mixed=mixed,
            limits=limits,
            on_end=on_end,
            cuda_graphs=self.cuda_graphs,
            torch_compile=self.torch_compile,
            timings=self.timings,
            alternatives=alternatives,
            expert_prompts=expert_prompts,
            heal=self.heal,
        )
        return engine.run()

    def state_dict(self) -> dict[str, Any]:
        """Timings and places of the caches: which rows share a forward depends on them, and so the last bits do."""
        return {
            "timings": {rows: asdict(timings) for rows, timings in self.timings.items()},
            "places": self.places,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.timings = {rows: ForwardTimings(**timings) for rows, timings in state["timings"].items()}
        if self.cache_tokens is None:
            self.places = state.get("places")


def _nothing(device: torch.device) -> Samples:
    """No rollouts."""
    ids = torch.zeros(0, 0, dtype=torch.int64, device=device)
    none = ids.float()
    return Samples(ids, ids.sum(1), none, none, none, ids.bool(), ids.bool(), ids.sum(1).bool(), none, none, ids)
