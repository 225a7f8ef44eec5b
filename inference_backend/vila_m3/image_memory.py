"""What an image becomes, computed once for each content."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Generic, TypeVar

import torch
from PIL import Image

from inference_backend.vila_m3.messages import ImageItem, open_image
from inference_backend.vila_m3.model import VilaM3Model

REMEMBERED = 64
"""Images: more than a conversation holds. Features of one take 1 to 2 MB in the released models."""

Value = TypeVar("Value")


class ImageMemory:
    """Features and seen pictures of the last images, by the content of what was sent."""

    def __init__(self, model: VilaM3Model) -> None:
        self._model = model
        self._features: _Recent[torch.Tensor] = _Recent(REMEMBERED)
        self._seen: _Recent[bytes] = _Recent(REMEMBERED)

    def features(self, item: ImageItem) -> torch.Tensor:
        """Features of one image (tokens per image, hidden size); alone, so that neighbours change nothing.

        On CUDA this returns before they are computed.

        Raises:
            InvalidRequest: the bytes are no image.
        """
        return self._features.get(
            content_key(item), lambda: self._model.image_features([open_image(item)])[0]
        )

    def seen_png(self, item: ImageItem) -> bytes:
        """The picture as the model sees it, as a PNG file. Raises InvalidRequest."""
        return self._seen.get(
            content_key(item), lambda: png_bytes(self._model.preprocessor.as_seen(open_image(item)))
        )

    def forget(self) -> None:
        """Free what is remembered."""
        self._features.clear()
        self._seen.clear()


class _Recent(Generic[Value]):
    """Values by key, the least recently used of which give way."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[bytes, Value] = OrderedDict()

    def get(self, key: bytes, make: Callable[[], Value]) -> Value:
        value = self._values.pop(key) if key in self._values else make()
        self._values[key] = value
        if len(self._values) > self._capacity:
            self._values.popitem(last=False)
        return value

    def clear(self) -> None:
        self._values.clear()


def content_key(item: ImageItem) -> bytes:
    """A digest that differs where pictures differ."""
    if isinstance(item, bytes):
        return sha256(item).digest()
    return sha256(f"{item.mode} {item.size} ".encode() + item.tobytes()).digest()


def png_bytes(image: Image.Image) -> bytes:
    """A picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
