"""The model as its process runs it: conversations in, streamed replies out, nothing computed twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from inference_backend.vila_m3.decoder import SHORT_CHUNK, Decoder
from inference_backend.vila_m3.device_errors import (
    device_errors_explained,
    free_cached_memory,
    is_out_of_memory,
)
from inference_backend.vila_m3.generation import Reply, never
from inference_backend.vila_m3.image_memory import ImageMemory
from inference_backend.vila_m3.loading import load_model
from inference_backend.vila_m3.messages import ChatMessage
from inference_backend.vila_m3.precision import Precision
from inference_backend.vila_m3.prefix_memory import MemoryAccount, PrefixMemory
from inference_backend.vila_m3.sampling import GenerationSettings
from inference_backend.vila_m3.static_runner import fastest_runner
from VILAM3SlicerLib.protocol.errors import Cancelled, TooLarge
from VILAM3SlicerLib.protocol.messages import ModelDescription, PromptLayout


@dataclass(frozen=True)
class SeenPrompt:
    """The exact prompt: text, length in tokens with its images, the images as the model sees them (PNG)."""

    text: str
    tokens: int
    images: tuple[bytes, ...]


class VilaM3Engine:
    """One loaded checkpoint that answers one conversation at a time.

    It remembers the features of the last images and the keys and values of conversations, so that a turn
    costs what is new in it.
    """

    def __init__(
        self,
        folder: str | Path,
        device: str | torch.device = "cpu",
        precision: Precision | str = Precision.FP32,
        account: Callable[[torch.device], MemoryAccount] | None = None,
        prompt_layout: PromptLayout | None = None,
    ) -> None:
        """Load the checkpoint, see :func:`~inference_backend.vila_m3.loading.load_model`.

        ``account`` is asked, once all is loaded, for the share of the device's memory in which conversations
        besides the newest are kept; without it there are none. On CUDA the decoding is compiled as well.
        ``prompt_layout`` replaces the one that the checkpoint was trained with.
        """
        self.model = load_model(folder, device, precision)
        with device_errors_explained(self.model.device):
            runner = fastest_runner(self.model)
        memory = None if account is None else PrefixMemory(account(self.model.device))
        self._decoder = Decoder(self.model, memory, runner)
        self._images = ImageMemory(self.model)
        self._layout = prompt_layout or self.model.checkpoint.prompt_layout

    @property
    def description(self) -> ModelDescription:
        """What answers here."""
        checkpoint = self.model.checkpoint
        return ModelDescription(
            name=checkpoint.display_name,
            template=self.model.template.name,
            tokens_per_image=checkpoint.tokens_per_image,
            image_size=checkpoint.image_size,
            context_length=checkpoint.context_length,
            is_demo=checkpoint.is_demo,
            device=str(self.model.device),
            dtype=self.model.precision.value,
            prompt_layout=self._layout,
        )

    def measure(self, messages: Sequence[ChatMessage]) -> int:
        """Length in tokens of the prompt that these messages make, images included."""
        return self._length(self._prompt(messages))

    def prepare(self, messages: Sequence[ChatMessage]) -> SeenPrompt:
        """The prompt that :meth:`reply` would use, without generating. Raises InvalidRequest."""
        text = self._prompt(messages)
        items = (item for message in messages for item in message.images)
        return SeenPrompt(text, self._length(text), tuple(self._images.seen_png(item) for item in items))

    def reply(
        self,
        messages: Sequence[ChatMessage],
        settings: GenerationSettings | None = None,
        is_cancelled: Callable[[], bool] = never,
    ) -> Reply:
        """The reply to a conversation: iterate it for the text; it then has ``usage`` and ``finish_reason``.

        Raises:
            TooLarge: the conversation leaves no room for an answer (the original would cut the newest text).
            InvalidRequest: the images do not fit their places in the text.
            Cancelled: ``is_cancelled`` became true while the images were being looked at.
            ModelError: the device has too little memory, or failed.
        """
        chosen = settings or GenerationSettings()
        embeds = self._inputs_embeds(messages, is_cancelled)
        longest = min(chosen.max_new_tokens, self._room_after(len(embeds)))
        return Reply(self.model, embeds, replace(chosen, max_new_tokens=longest), is_cancelled, self._decoder)

    def read_ahead(self, messages: Sequence[ChatMessage], is_cancelled: Callable[[], bool] = never) -> None:
        """Read what conversations will begin with (the cards), so that the first one answers sooner.

        When it is cancelled, what was read until then counts. Raises ModelError as :meth:`reply` does.
        """
        with device_errors_explained(self.model.device):
            self._decoder.read_prompt(self._inputs_embeds(messages, is_cancelled), is_cancelled, SHORT_CHUNK)

    def forget(self) -> None:
        """Free the device's memory of all that can be computed again."""
        self._decoder.forget()
        self._images.forget()
        free_cached_memory(self.model.device)

    def _room_after(self, prompt_tokens: int) -> int:
        """Tokens that the context leaves for the answer."""
        context = self.model.checkpoint.context_length
        if prompt_tokens >= context:
            raise TooLarge(
                f"The conversation has {prompt_tokens} tokens; the model reads {context}.",
                "Ask a shorter question or start a new conversation.",
            )
        return context - prompt_tokens

    def _prompt(self, messages: Sequence[ChatMessage]) -> str:
        has_header = self._layout != "published" or self.model.template.original_has_generation_header
        return self.model.prompt(messages, has_header)

    def _length(self, prompt: str) -> int:
        ids = self.model.input_ids(prompt)
        images = sum(token_id < 0 for token_id in ids)
        return len(ids) + images * (self.model.checkpoint.tokens_per_image - 1)

    def _inputs_embeds(
        self, messages: Sequence[ChatMessage], is_cancelled: Callable[[], bool]
    ) -> torch.Tensor:
        with device_errors_explained(self.model.device):
            try:
                return self._compose(messages, is_cancelled)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            self.forget()
            return self._compose(messages, is_cancelled)

    def _compose(self, messages: Sequence[ChatMessage], is_cancelled: Callable[[], bool]) -> torch.Tensor:
        # The images first: a GPU looks at them while the text is being prepared here.
        features = []
        for item in (item for message in messages for item in message.images):
            if is_cancelled():  # on a CPU each takes seconds
                raise Cancelled("The reply was stopped.")
            features.append(self._images.features(item))
        ids = self.model.input_ids(self._prompt(messages))
        return self.model.inputs_embeds(ids, torch.stack(features) if features else None, truncate=False)
