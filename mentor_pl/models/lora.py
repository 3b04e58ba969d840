"""Low-rank adapters (LoRA, arXiv 2106.09685): the policy's weights are frozen, and A and B beside them are trained.

    W x + (α / r) B A x        A [r, in] is drawn at random, B [out, r] is 0, so a run starts from the policy as it is

peft's layers take the place of the linear maps inside the model, which stays the model that it was: the update,
decoding and benchmarks run its layers, and so the adapters. There is no dropout: rollouts are sampled without it, and
training must reproduce their log-probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check

_NAME = "default"  # of peft's adapter, which is in the names of its weights


@dataclass(frozen=True)
class LoRA:
    """Adapters to be trained in place of the policy's weights.

    Attributes:
        rank: r, the inner dimension of an adapter.
        alpha: α, by which adapters count; they are multiplied by α / r.
        target_modules: which linear maps have one, such as `[q_proj, v_proj]`; by default all within decoder layers.

    Raises:
        UsageError: for a value outside its range, and where peft is not installed.
    """

    rank: int = 16
    alpha: float = 32.0
    target_modules: list[str] | None = None

    def __post_init__(self) -> None:
        check("model.adapter.rank", self.rank, at_least=1)
        check("model.adapter.alpha", self.alpha, above=0, because="it multiplies adapters")
        if find_spec("peft") is None:
            raise UsageError("model.adapter needs peft, which is not installed: run `pip install mentor-pl[lora]`")

    def attach(self, model: Any) -> None:
        """Freeze the weights of a causal LM and put adapters beside them, which are to be drawn.

        Raises:
            UsageError: for modules that are not there, are no linear maps, or embed tokens, and where peft cannot be
                imported.
        """
        try:
            peft = import_module("peft")
        except ImportError as problem:
            reason = " ".join(str(problem).split())[:150]
            raise UsageError(
                f"model.adapter: peft cannot be imported ({reason}): run `pip install mentor-pl[lora]`"
            ) from problem
        targets = "all-linear" if self.target_modules is None else list(self.target_modules)
        config = peft.LoraConfig(r=self.rank, lora_alpha=self.alpha, target_modules=targets, task_type="CAUSAL_LM")
        config.base_model_name_or_path = model.name_or_path
        remedy = "name linear maps of its decoder layers, such as q_proj, or none for all of them"
        try:
            peft.inject_adapter_in_model(config, model, _NAME, low_cpu_mem_usage=True)
        except ValueError as problem:  # none of the modules is there, or one cannot be adapted
            reason = " ".join(str(problem).split())[:150]
            raise UsageError(
                f"model.adapter.target_modules {targets} of {type(model).__name__}: {reason}: {remedy}"
            ) from problem
        adapted = [name for name, module in model.named_modules() if hasattr(module, "lora_A")]
        for target in self.target_modules or ():
            if not any(f".{name}".endswith(f".{target}") for name in adapted):  # peft passes over it
                raise UsageError(
                    f"model.adapter.target_modules has {target!r}, which {type(model).__name__} lacks: {remedy}"
                )
        for embedding in (model.get_input_embeddings(), model.get_output_embeddings()):
            # training applies the output embedding by its weight alone, and the two may be one
            if hasattr(embedding, "lora_A"):
                raise UsageError(f"model.adapter.target_modules {targets} has an embedding: {remedy}")
        model.adapter_settings = asdict(self)

    def draw(self, model: Any) -> None:
        """Give attached adapters their first values: in float32 and in one order, whatever holds the weights."""
        for module in model.modules():
            if hasattr(module, "lora_A"):
                for part in (module.lora_A, module.lora_B):
                    part.to_empty(device=module.weight.device)
                module.reset_lora_parameters(_NAME, True)


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that have a gradient, by name: all, or those of adapters."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def settings_of(model: Any) -> dict[str, Any] | None:
    """What adapters mean nothing without: rank, α, targets, the fingerprint of the frozen weights; None without any."""
    return getattr(model, "adapter_settings", None)


def merged(model: Any, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of an adapted model as those of one without adapters: W + (α / r) B A, in float32.

    Args:
        model: the adapted model.
        weights: of it, whole; `model.state_dict()` where it is not sharded.
    """
    config, plain = model.peft_config[_NAME], dict[str, Tensor]()
    for name, value in weights.items():
        if ".lora_" in name:
            continue
        place, base, kind = name.rpartition(".base_layer.")
        if kind == "weight":
            a, b = (weights[f"{place}.lora_{one}.{_NAME}.weight"].float() for one in "AB")
            value = (value.float() + config.lora_alpha / config.r * (b @ a)).to(value.dtype)
        plain[f"{place}.{kind}" if base else name] = value
    return plain


def save_adapter(model: Any, folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Write the adapters alone, as `PeftModel.from_pretrained` reads them; arguments of `merged`."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = {name: value for name, value in weights.items() if ".lora_" in name}
    named = {f"base_model.model.{name.replace(f'.{_NAME}.', '.')}": value.contiguous() for name, value in ours.items()}
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    model.peft_config[_NAME].save_pretrained(str(folder))
