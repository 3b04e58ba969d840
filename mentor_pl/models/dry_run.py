"""Models on tensors that have shapes and types but no memory, and what a computation on them would hold.

What a run will need is found by running it: the same forward, backward and decoding step, on fake tensors, which take
seconds for a model of any size. No formula has to follow the code.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM

from mentor_pl.models.lm_head import ExpertStates, head_logprobs
from mentor_pl.models.logprobs import hidden_states
from mentor_pl.models.lora import LoRA, trained
from mentor_pl.models.prefix_sharing import SharedPrefixes, prefix_sharing
from mentor_pl.models.source import ModelSource


class LiveBytes(TorchDispatchMode):
    """Bytes of what is made inside and still lives, and their peak. A storage counts once, whatever views it has."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tree_leaves((args, kwargs)):
            self._meet(tensor, made_here=False)
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            self._meet(tensor, made_here=True)
        self.peak = max(self.peak, self.now)
        return result

    def _meet(self, tensor: Any, made_here: bool) -> None:
        if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in self._sizes:
            storage = tensor.untyped_storage()
            self._sizes[storage._cdata] = storage.nbytes() if made_here else 0
            self.now += self._sizes[storage._cdata]
            weakref.finalize(storage, self._drop, storage._cdata)

    def _drop(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the tensors' elements."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class DryModel:
    """A model of a configuration, on fake tensors of the CPU.

    Args:
        source: where it comes from; its configuration alone is read.
        dtype: of the parameters.
        adapter: to be trained in their place.
    """

    def __init__(self, source: ModelSource, dtype: torch.dtype, adapter: LoRA | None = None) -> None:
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        config = source.config()
        with self._fake:
            self.model = AutoModelForCausalLM.from_config(
                config, dtype=dtype, trust_remote_code=source.trust_remote_code
            )
        if adapter is not None:
            self._attach(adapter)
        self.config, self.dtype, self.element_size = config, dtype, dtype.itemsize

    def _attach(self, adapter: LoRA) -> None:
        adapter.attach(self.model)
        for module in self.model.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None and parameter.is_meta:
                    with self._fake:
                        module._parameters[name] = torch.nn.Parameter(torch.empty(parameter.shape))

    @property
    def parameters(self) -> int:
        """Their number; tied ones count once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def trained_parameters(self) -> int:
        """Their number, of those that have a gradient."""
        return sum(parameter.numel() for parameter in trained(self.model).values())

    @property
    def weight_bytes(self) -> int:
        """Bytes of parameters and buffers."""
        return tensor_bytes([*self.model.parameters(), *self.model.buffers()])

    @property
    def head_shape(self) -> torch.Size:
        """Of the output embedding, [V, H]."""
        return torch.Size(self.model.get_output_embeddings().weight.shape)

    def shard_shapes(self, ranks: int, *, trained: bool = False) -> list[torch.Size]:
        """Shapes of the parameters on the first of `ranks`, which FSDP2 gives the largest share of each.

        Args:
            trained: of those alone that have a gradient.
        """
        counted = [p for p in self.model.parameters() if p.requires_grad or not trained]
        return [torch.Size((-(-p.shape[0] // ranks), *p.shape[1:])) for p in counted]

    def largest_layer(self, *, trained: bool = False) -> tuple[int, int]:
        """Parameters of the largest of the layers that are sharded by themselves, and of what is in none of them.

        Args:
            trained: those alone that have a gradient.
        """

        def count(module: Any) -> int:
            return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained)

        names = set(getattr(self.model, "_no_split_modules", None) or [])
        sizes = [count(m) for m in self.model.modules() if type(m).__name__ in names] or [0]
        return max(sizes), count(self.model) - sum(sizes)

    @contextmanager
    def running(self, autocast: bool) -> Iterator[LiveBytes]:
        """Compute on fake tensors inside; what that would hold is counted.

        Args:
            autocast: in bfloat16, as `bf16-mixed` does.
        """
        with self._fake, LiveBytes() as live, torch.autocast("cpu", torch.bfloat16, autocast, cache_enabled=False):
            yield live

    def update_bytes(
        self,
        prompts: Sequence[int],
        responses: Sequence[int],
        group: Sequence[int],
        *,
        vocab_size: int,
        autocast: bool,
        checkpointing: bool,
        expert: DryModel | None = None,
    ) -> int:
        """Peak bytes of a forward and backward pass over a micro-batch, beside weights and their gradients.

        Args:
            prompts, responses: tokens of each rollout.
            group: of each rollout; neighbours of one share their prompt.
            vocab_size: ids of the tokenizer.
            autocast: in bfloat16.
            checkpointing: of activations.
            expert: of whose last hidden states the divergences are taken, beside its weights.
        """
        model, (rows, places) = self.model.train(), _layout(prompts, responses, group)
        with self._fake:
            for parameter in trained(model).values():
                parameter.grad = torch.zeros_like(parameter)  # of the micro-batches before
            theirs = None if expert is None else torch.empty(*expert.head_shape, dtype=expert.dtype)
        if checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        try:
            with self.running(autocast) as live:
                said = None
                if theirs is not None:
                    read = torch.empty(len(places), theirs.shape[1], dtype=theirs.dtype)
                    said = ExpertStates(read, SimpleNamespace(weight=theirs))
                states, head = hidden_states(model, rows)[places], model.get_output_embeddings()
                values = head_logprobs(states, torch.zeros_like(places), head, vocab_size, 1.0, expert=said)
                with prefix_sharing(model):  # for layers that run again on the way back
                    sum(value for value in values if value is not None).sum().backward()  # type: ignore[union-attr]
            return live.peak
        finally:
            model.gradient_checkpointing_disable()
            model.zero_grad()

    def reading_bytes(
        self, prompts: Sequence[int], responses: Sequence[int], group: Sequence[int], *, vocab_size: int, autocast: bool
    ) -> int:
        """Peak bytes of a pass over a micro-batch without gradients, beside weights; arguments of `update_bytes`."""
        model, (rows, places) = self.model.eval(), _layout(prompts, responses, group)
        with torch.no_grad(), self.running(autocast) as live:
            states, head = hidden_states(model, rows)[places], model.get_output_embeddings()
            head_logprobs(states, torch.zeros_like(places), head, vocab_size, 1.0)
        return live.peak


def _layout(prompts: Sequence[int], responses: Sequence[int], group: Sequence[int]) -> tuple[SharedPrefixes, Tensor]:
    """The row of tokens of such a micro-batch, and the places in it that say its M response tokens, [M]."""
    lengths = torch.tensor(responses)
    ids = torch.tensor(group)[:, None].expand(-1, max(prompts))  # any that differ between groups
    rows = SharedPrefixes(ids, torch.tensor(prompts), torch.zeros(len(ids), max(responses)).long(), lengths)
    return rows, rows.before[torch.arange(max(responses)) < lengths[:, None]]
