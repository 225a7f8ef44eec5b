"""Decoding with fixed shapes, which torch can compile and, on CUDA, record as graphs.

A step of a large model takes a few milliseconds, of which launching a thousand small kernels one by one would
be the larger part. transformers has what is needed: ``StaticCache``, and a compiled call of the model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from inference_backend.vila_m3.key_values import KeyValues
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.runner import EagerRunner, Runner, read_embeds
from inference_backend.vila_m3.transformers_parts import CompileConfig, StaticCache

log = logging.getLogger(__name__)

WINDOWS = (1024, 2048)
"""Lengths of keys and values that a step looks at; the longest one is the model's context."""


class StaticRunner:
    """Prompts are read as by the eager runner; steps run compiled, over the window that the sequence fills.

    A short window spares reading unused keys and values; each window is compiled once.
    """

    def __init__(
        self,
        model: VilaM3Model,
        windows: Sequence[int] = WINDOWS,
        compile_call: Callable[[Any], Any] | None = None,
    ) -> None:
        """``compile_call`` turns the language model into what runs a step; None takes transformers' own."""
        self._llm = model.llm
        context = model.checkpoint.context_length
        self._windows = [*(window for window in windows if window < context), context]
        self._step = (compile_call or _compiled)(model.llm)
        self._device = model.device
        self._key_values = KeyValues(model.llm.config.num_hidden_layers, context)
        self._allocate(model)
        self._static = {window: self._static_cache(window) for window in self._windows}
        self._current: StaticCache | None = None

    @torch.no_grad()
    def prepare(self) -> None:
        """Compile the steps of all windows. Takes up to minutes when it is done for the first time."""
        for window in self._windows:
            for _ in range(3):  # the first compiles, the second warms up, the third records a graph
                self.rewind(window - 2)
                self.step(0)
        self.rewind(0)

    def read(self, embeds: torch.Tensor) -> torch.Tensor:
        """See :class:`Runner`."""
        self._current = None
        return read_embeds(self._llm, embeds, self._key_values)

    def step(self, token_id: int) -> torch.Tensor:
        """See :class:`Runner`."""
        length = self._key_values.length
        cache = self._cache_for(length)
        if self._device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        output = self._step(
            input_ids=torch.tensor([[token_id]], device=self._device),
            past_key_values=cache,
            use_cache=True,
        )
        self._key_values.set_length(length + 1)
        logits: torch.Tensor = output.logits[0, -1]
        return logits.to(torch.float32, copy=True)  # the next step of a recorded graph writes over it

    def rewind(self, length: int) -> None:
        """See :class:`Runner`."""
        self._current = None
        self._key_values.set_length(length)

    def save(self, length: int) -> torch.Tensor:
        """See :class:`Runner`."""
        return self._key_values.copy_out(length)

    def restore(self, saved: torch.Tensor, length: int) -> None:
        """See :class:`Runner`."""
        self._current = None
        self._key_values.copy_in(saved, length)

    def clear(self) -> None:
        """See :class:`Runner`; the buffers stay where recorded graphs expect them."""
        self.rewind(0)

    def _allocate(self, model: VilaM3Model) -> None:
        config = model.llm.config
        heads, size = config.num_key_value_heads, config.head_dim
        empty = torch.empty((1, heads, 0, size), device=model.device, dtype=model.dtype)
        for layer in self._key_values.layers:
            layer.lazy_initialization(empty, empty)
            layer.keys.zero_()  # a masked NaN is still a NaN
            layer.values.zero_()

    def _static_cache(self, window: int) -> StaticCache:
        """transformers' static cache over the first ``window`` tokens of our buffers."""
        cache = StaticCache(config=self._llm.config, max_cache_len=window)
        for layer, buffers in zip(cache.layers, self._key_values.layers, strict=True):
            layer.lazy_initialization(buffers.keys[:, :, :0], buffers.values[:, :, :0])
            layer.keys, layer.values = buffers.keys[:, :, :window], buffers.values[:, :, :window]
            torch._dynamo.mark_static_address(layer.keys)
            torch._dynamo.mark_static_address(layer.values)
        return cache

    def _cache_for(self, length: int) -> StaticCache:
        """The cache of the smallest window with room for one more token; it counts along by itself."""
        cache = self._static[next(window for window in self._windows if length < window)]
        if cache is not self._current:
            for layer in cache.layers:
                layer.cumulative_length.fill_(length)
            self._current = cache
        return cache


def _compiled(llm: Any) -> Any:
    return llm.get_compiled_call(CompileConfig(dynamic=False, mode="reduce-overhead"))


def fastest_runner(model: VilaM3Model) -> Runner:
    """The compiled runner on CUDA, where it can be had; else the eager one."""
    quantiser = getattr(model.llm, "hf_quantizer", None)
    if model.device.type != "cuda" or not (quantiser is None or quantiser.is_compileable):
        return EagerRunner(model)
    try:
        runner = StaticRunner(model)
        runner.prepare()
    except (RuntimeError, ImportError, OSError) as error:  # no compiler, or a driver that is too old for it
        if isinstance(error, torch.OutOfMemoryError):
            log.warning("too little device memory for compiled decoding: it runs uncompiled, and slower")
        else:
            log.warning("decoding cannot be compiled here (%s): it is slower", type(error).__name__)
        return EagerRunner(model)
    return runner
