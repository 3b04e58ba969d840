"""Logs what the rollouts of a step look like: entropy, guidance, length and reward, each kind by itself."""

from __future__ import annotations

from typing import Any, Final

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from mentor_pl.algorithms.parts.gates import quantile
from mentor_pl.runtime.collectives import all_sum, all_values
from mentor_pl.runtime.logging import log_once
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Origin, Rollouts

_KINDS: Final = {Origin.POLICY: "on_policy", Origin.MIXTURE: "mixed", Origin.DEMONSTRATION: "demonstration"}


class EntropyLogging(Callback):
    """Logs `train/on_policy/…`, `train/mixed/…` with `train/gamma`, and `train/demonstration/…`, each where a step has
    such rollouts, over all ranks. The progress bar shows the first of these.

    For every kind: `entropy` (nats per response token) and its quantiles `entropy_q05` …, `length` (tokens),
    `truncated` (share of rollouts), `reward` and each part of it, where there is a reward. For mixed rollouts also
    `gate_weight` (mean w), `guided` and `replaced` (shares of tokens).

    Args:
        quantiles: of the token entropies.

    Raises:
        UsageError: for a quantile outside [0, 1].
    """

    def __init__(self, quantiles: tuple[float, ...] = (0.05, 0.5, 0.95)) -> None:
        for p in quantiles:
            check("EntropyLogging: a quantile", p, at_least=0, at_most=1, because="it is a share of the tokens")
        self.quantiles = quantiles

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Rollouts, batch_idx: int
    ) -> None:
        metrics: dict[str, float] = {}
        shown: dict[str, float] = {}
        for origin, kind in _KINDS.items():
            rows = batch.origin == origin
            if int(all_sum(rows.sum())):  # on any rank: all sum the same metrics
                described = self._describe(batch, rows, kind)
                shown = shown or described
                metrics |= {f"{kind}/{name}": value for name, value in described.items()}
                metrics |= {"gamma": batch.gamma} if origin == Origin.MIXTURE else {}
        log_once(trainer, {f"train/{name}": value for name, value in metrics.items()}, step=batch.step + 1)
        for name in ("reward", "entropy", "length"):
            pl_module.log(name, shown[name], prog_bar=True, logger=False, batch_size=1)

    def _describe(self, batch: Rollouts, rows: Tensor, kind: str) -> dict[str, float]:
        """Metrics of the rollouts `rows` [N] bool."""
        tokens = batch.mask[rows]
        entropies = all_values(batch.entropies[rows][tokens])
        metrics = {"entropy": float(entropies.mean())}
        metrics |= {f"entropy_q{round(100 * p):02d}": quantile(entropies, p) for p in self.quantiles}
        per_token = ("gate_weights", "guided", "replaced") if kind == "mixed" else ()
        for name in per_token:
            label = {"gate_weights": "gate_weight"}.get(name, name)
            metrics[label] = float(all_sum(getattr(batch, name)[rows][tokens].float().sum()) / len(entropies))
        per_rollout = {"length": batch.response_lengths, "truncated": batch.truncated, "reward": batch.rewards}
        for name, values in (per_rollout | dict(batch.reward_parts)).items():
            counted = rows if name in ("length", "truncated") else rows & batch.graded
            metrics[name] = float(all_values(values[counted].float()).mean())
        return metrics
