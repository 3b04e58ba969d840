"""Where a model comes from, and what can be read there: configuration, tokenizer, weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import safe_open
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.hub import hub_problem, is_cached


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from: a folder, a name on the Hugging Face Hub, or a JSON file that configures a new one.

    A path that ends in `.json` is a model configuration: the weights are drawn at random (after `seed_everything`) and
    the tokenizer lies in the same folder.

    Args:
        path: folder, Hub name or JSON file.
        role: `policy` or `expert`, for messages.
        trust_remote_code: whether Python code that comes with the model may run. Leave it off for models of strangers.
    """

    path: str
    role: str
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.path.expanduser(self.path))

    @property
    def from_config(self) -> bool:
        return self.path.endswith(".json")

    @property
    def folder(self) -> str:
        """Where everything but the configuration is read from: folder or Hub name."""
        return str(Path(self.path).parent) if self.from_config else self.path

    @property
    def is_local(self) -> bool:
        """Whether it can be no Hub name, which is `name` or `organisation/name`, or is a folder that is here."""
        parent, slash, _ = self.path.rpartition("/")
        named = self.from_config or self.path.startswith((".", "/", "~")) or self.path.count("/") > 1
        # below a folder that is there, a folder was meant
        return named or bool(slash and Path(parent).is_dir()) or Path(self.folder).is_dir()

    def _not_on_hub(self) -> str | None:
        """Why a path that is no folder is no name on the Hub either; None where it may be one."""
        if self.is_local:
            return ""
        problem = "" if is_cached(self.path) else hub_problem(self.path, "model")
        return f", and {problem}" if problem else None

    def _gguf(self) -> Path | None:
        """The GGUF file that is given, or that a folder has in place of weights that can be loaded."""
        path = Path(self.path)
        if path.suffix == ".gguf":
            return path
        files = sorted(path.glob("*.gguf")) if path.is_dir() else []
        loadable = [*path.glob("*.safetensors"), *path.glob("*.bin")]
        return files[0] if files and not loadable else None

    def _read(self, what: str, auto_class: Any, path: str, **options: Any) -> Any:
        if not self.path.strip():
            raise UsageError(f"model.{self.role} is an empty text: give a model folder or a Hub name")
        if self.from_config and Path(self.folder).is_dir() and not Path(self.path).is_file():
            raise UsageError(f"{self.role} '{self.path}': its {what} cannot be read: no such file: name another")
        if gguf := self._gguf():
            raise UsageError(
                f"{self.role} '{self.path}' is GGUF, weights packed for other decoders: make a model folder of it by "
                f"`python scripts/gguf_folder.py {gguf} --out FOLDER`, and give that"
            )
        if not Path(self.folder).is_dir() and (problem := self._not_on_hub()) is not None:
            raise UsageError(
                f"{self.role} '{self.path}': no such folder here ({Path.cwd()}){problem}: give a model folder, a Hub "
                "name such as Qwen/Qwen2.5-3B, or the JSON file of a model configuration"
            )
        if (Path(self.folder) / "adapter_config.json").is_file():
            raise UsageError(
                f"{self.role} '{self.path}' is an adapter to a model that it names itself (adapter_config.json): merge "
                "the two and give that folder"
            )
        try:
            return auto_class.from_pretrained(path, trust_remote_code=self.trust_remote_code, **options)
        except Exception as problem:  # libraries raise a dozen kinds for files that are missing, cut off or odd
            reason = " ".join(str(problem).split())[:200]
            raise UsageError(
                f"{self.role} '{self.path}': its {what} cannot be read: {reason}: give the folder of a whole model, or "
                "mend this one"
            ) from problem

    def config(self) -> Any:
        """The model's configuration; no weights are touched."""
        config = self._read("configuration", AutoConfig, self.path)
        kernel = getattr(config, "_attn_implementation", None)
        if kernel is not None and "/" in str(kernel) and not self.trust_remote_code:
            raise UsageError(
                f"{self.role} '{self.path}': its config.json asks for attention by code of the Hub, "
                f"{str(kernel)!r:.80}: take attn_implementation out of it, "
                "or set trust_remote_code to true if you trust that code"
            )
        return config

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's tokenizer; no weights are touched."""
        tokenizer: PreTrainedTokenizerBase = self._read("tokenizer", AutoTokenizer, self.folder)
        if len(tokenizer) <= len(tokenizer.all_special_ids):  # what some classes make of a folder without its files
            raise UsageError(f"{self.role} '{self.path}' has no tokenizer: put tokenizer.json beside the model")
        return tokenizer

    def stop_ids(self, tokenizer: PreTrainedTokenizerBase, config: Any) -> set[int]:
        """Ids that end a response, by the tokenizer, the configuration and the generation configuration."""
        try:
            generation = GenerationConfig.from_pretrained(self.folder)
        except (OSError, ValueError):
            generation = None
        found: set[int] = set()
        for ids in (tokenizer.eos_token_id, config.eos_token_id, generation and generation.eos_token_id):
            found.update([ids] if isinstance(ids, int) else ids or [])
        return found

    def weights(self, dtype: torch.dtype) -> Any:
        """The model itself, on the CPU.

        Args:
            dtype: of the parameters. RoPE's frequencies stay in float32 whatever it is.
        """
        config = self.config()
        if self.from_config:
            return AutoModelForCausalLM.from_config(config, dtype=dtype)
        model, report = self._read(
            "weights",
            AutoModelForCausalLM,
            self.path,
            dtype=dtype,
            weights_only=True,  # of .bin files: a pickle could run code
            output_loading_info=True,
        )
        if report["missing_keys"]:
            names = sorted(report["missing_keys"])
            raise UsageError(
                f"{self.role} '{self.path}' lacks weights that its configuration asks for, {names[0]} and "
                f"{len(names) - 1} more: they would be random: take a complete causal language model"
            )
        return model

    def skeleton(self) -> Any:
        """The model in float32 without memory for its parameters, which are on the meta device; buffers are as ever."""
        with _parameters_on_meta():
            return AutoModelForCausalLM.from_config(
                self.config(), dtype=torch.float32, trust_remote_code=self.trust_remote_code
            )

    def stored_dtype(self) -> torch.dtype:
        """bfloat16 where all weights are stored in it and are on this disk, else float32, which holds any."""
        if self.from_config:
            return torch.float32
        found = None if self.is_local else try_to_load_from_cache(self.path, "config.json")
        folder = Path(found).parent if isinstance(found, str) else Path(self.path)
        kinds = set()
        for path in folder.glob("*.safetensors"):
            with safe_open(path, "pt") as weights:
                kinds |= {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118 (no mapping)
        return torch.bfloat16 if kinds == {"BF16"} else torch.float32


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Parameters that modules register inside have a shape alone. Buffers, such as RoPE's frequencies, have values."""
    register = nn.Module.register_parameter

    def on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and not parameter.is_meta:  # one that is tied to another stays the same
            parameter = nn.Parameter(parameter.to("meta"), parameter.requires_grad)
        register(module, name, parameter)

    nn.Module.register_parameter = on_meta  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
