"""The model as its process runs it: conversations in, streamed replies out, nothing computed twice."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import torch
from PIL import Image

from inference_backend.vila_m3.decoder import Decoder
from inference_backend.vila_m3.generation import Reply, never
from inference_backend.vila_m3.loading import load_model
from inference_backend.vila_m3.messages import ChatMessage, prompt_images
from inference_backend.vila_m3.sampling import GenerationSettings
from VILAM3SlicerLib.protocol.errors import TooLarge
from VILAM3SlicerLib.protocol.messages import ModelDescription

REMEMBERED_IMAGES = 32


@dataclass(frozen=True)
class SeenPrompt:
    """The exact prompt: text, length in tokens with its images, the images as the model sees them (PNG)."""

    text: str
    tokens: int
    images: tuple[bytes, ...]


class VilaM3Engine:
    """One loaded checkpoint that answers one conversation at a time.

    It remembers the features of the last images and the keys and values of the last conversation, so that a
    turn costs what is new in it.
    """

    def __init__(
        self, folder: str | Path, device: str | torch.device = "cpu", dtype: str | torch.dtype = torch.float32
    ) -> None:
        """Load the checkpoint; see :func:`~inference_backend.vila_m3.loading.load_model`."""
        self.model = load_model(folder, device, dtype)
        self._decoder = Decoder(self.model)
        self._features: OrderedDict[bytes, torch.Tensor] = OrderedDict()

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
            dtype=str(self.model.dtype).removeprefix("torch."),
        )

    def measure(self, messages: Sequence[ChatMessage]) -> int:
        """Length in tokens of the prompt that these messages make, images included."""
        return self._length(self.model.prompt(messages))

    def prepare(self, messages: Sequence[ChatMessage]) -> SeenPrompt:
        """The prompt that :meth:`reply` would use, without generating."""
        text = self.model.prompt(messages)
        seen = (self.model.preprocessor.as_seen(image) for image in prompt_images(messages))
        return SeenPrompt(text, self._length(text), tuple(_png(image) for image in seen))

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
        """
        chosen = settings or GenerationSettings()
        embeds = self._inputs_embeds(messages)
        longest = min(chosen.max_new_tokens, self._room_after(len(embeds)))
        return Reply(self.model, embeds, replace(chosen, max_new_tokens=longest), is_cancelled, self._decoder)

    def warm_up(self, messages: Sequence[ChatMessage], is_cancelled: Callable[[], bool] = never) -> None:
        """Read a conversation ahead; a later one that begins like it (same cards) answers sooner."""
        self._decoder.read_prompt(self._inputs_embeds(messages), is_cancelled)

    def _room_after(self, prompt_tokens: int) -> int:
        """Tokens that the context leaves for the answer."""
        context = self.model.checkpoint.context_length
        if prompt_tokens >= context:
            raise TooLarge(
                f"The conversation has {prompt_tokens} tokens; the model reads {context}.",
                "Ask a shorter question or start a new conversation.",
            )
        return context - prompt_tokens

    def _length(self, prompt: str) -> int:
        ids = self.model.input_ids(prompt)
        images = sum(token_id < 0 for token_id in ids)
        return len(ids) + images * (self.model.checkpoint.tokens_per_image - 1)

    def _inputs_embeds(self, messages: Sequence[ChatMessage]) -> torch.Tensor:
        ids = self.model.input_ids(self.model.prompt(messages))
        features = [self._image_features(image) for image in prompt_images(messages)]
        return self.model.inputs_embeds(ids, torch.stack(features) if features else None, truncate=False)

    def _image_features(self, image: Image.Image) -> torch.Tensor:
        """Features of one image, remembered; one at a time, so that they never depend on their neighbours."""
        seen = self.model.preprocessor.as_seen(image)
        key = sha256(seen.tobytes()).digest()
        features = self._features.pop(key, None)
        if features is None:
            features = self.model.image_features([seen])[0]
        self._features[key] = features
        while len(self._features) > REMEMBERED_IMAGES:
            self._features.popitem(last=False)
        return features


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
