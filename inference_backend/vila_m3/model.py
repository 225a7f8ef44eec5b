"""The steps from a conversation to the logits of the next token, each callable alone.

They reproduce the original, its peculiarities included; what a product does better (context budget, layout of
the texts) is decided by who calls them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from inference_backend.vila_m3.checkpoint import Checkpoint
from inference_backend.vila_m3.images import ImagePreprocessor
from inference_backend.vila_m3.messages import ChatMessage, prompt_text
from inference_backend.vila_m3.precision import Precision
from inference_backend.vila_m3.projector import Projector
from inference_backend.vila_m3.templates import Template
from inference_backend.vila_m3.tokenizer import IMAGE_TOKEN_ID, Tokenizer, prompt_ids, stop_ids
from VILAM3SlicerLib.protocol.errors import InvalidRequest


class VilaM3Model:
    """A loaded checkpoint; :func:`inference_backend.vila_m3.loading.load_model` makes one.

    ``vision_tower`` is a transformers SiglipVisionModel, ``llm`` a LlamaForCausalLM.
    """

    def __init__(
        self,
        *,
        checkpoint: Checkpoint,
        tokenizer: Tokenizer,
        template: Template,
        preprocessor: ImagePreprocessor,
        vision_tower: Any,
        projector: Projector,
        llm: Any,
        precision: Precision = Precision.FP32,
    ) -> None:
        self.checkpoint = checkpoint
        self.tokenizer = tokenizer
        self.template = template
        self.preprocessor = preprocessor
        self.vision_tower = vision_tower
        self.projector = projector
        self.llm = llm
        self.precision = precision

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._embedding_table.device

    @property
    def dtype(self) -> torch.dtype:
        """The number type of weights and features."""
        return self._embedding_table.dtype

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The language model's own end-of-sequence ids."""
        ids = self.llm.generation_config.eos_token_id
        ids = self.llm.config.eos_token_id if ids is None else ids
        return () if ids is None else tuple(ids) if isinstance(ids, list | tuple) else (int(ids),)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids of the template's stop text; a reply that ends with them is finished."""
        return tuple(stop_ids(self.template.stop, self.tokenizer))

    def prompt(
        self, messages: Sequence[ChatMessage], generation_header: bool = True, system: str | None = None
    ) -> str:
        """The prompt text of a conversation; see :func:`~inference_backend.vila_m3.messages.prompt_text`."""
        return prompt_text(messages, self.template, generation_header, system)

    def input_ids(self, prompt: str) -> list[int]:
        """Ids of a prompt text, -200 at each ``<image>``."""
        return prompt_ids(prompt, self.tokenizer)

    def pixel_values(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Pictures as the vision tower takes them: (images, 3, size, size), device and dtype of the model."""
        return torch.from_numpy(self.preprocessor.pixel_values(images)).to(self.device, self.dtype)

    @torch.inference_mode()
    def vision_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """All patch tokens of the selected hidden layer: (images, grid * grid, vision channels)."""
        output = self.vision_tower(pixel_values=pixel_values, output_hidden_states=True)
        features: torch.Tensor = output.hidden_states[self.checkpoint.vision_layer]
        return features.to(pixel_values.dtype)

    @torch.inference_mode()
    def projected_features(self, vision_features: torch.Tensor) -> torch.Tensor:
        """Vision features as embeddings of the language model: (images, tokens per image, hidden size)."""
        projected: torch.Tensor = self.projector(vision_features)
        return projected

    def image_features(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """The last three steps in one: (images, tokens per image, hidden size)."""
        if not images:
            hidden = self._embedding_table.shape[1]
            return self._embedding_table.new_zeros((0, self.checkpoint.tokens_per_image, hidden))
        return self.projected_features(self.vision_features(self.pixel_values(images)))

    @torch.inference_mode()
    def text_embeds(self, ids: Sequence[int]) -> torch.Tensor:
        """Embeddings of token ids: (ids, hidden size).

        Raises:
            InvalidRequest: an id is not in the embedding table.
        """
        outside = [token_id for token_id in ids if not 0 <= token_id < self._embedding_table.shape[0]]
        if outside:
            raise InvalidRequest(
                f"The model has no embedding for token {outside[0]}.", "Check the tokenizer files."
            )
        return torch.nn.functional.embedding(
            torch.tensor(ids, device=self.device).long(), self._embedding_table
        )

    def inputs_embeds(
        self, ids: Sequence[int], image_features: torch.Tensor | None = None, truncate: bool = True
    ) -> torch.Tensor:
        """Embeddings of a prompt with the images' features in their places: (length, hidden size).

        Args:
            ids: with -200 for an image; the i-th stands for ``image_features[i]``.
            image_features: (images, tokens per image, hidden size); surplus ones are ignored.
            truncate: cut the END of the prompt at ``checkpoint.max_length`` if there are images, as the
                original does: the newest text is lost. Without images nothing is ever cut.

        Raises:
            InvalidRequest: there are fewer images than places for them.
        """
        features = () if image_features is None else tuple(image_features)
        pieces: list[torch.Tensor] = []
        stretches = _split_at_images(ids)
        if len(stretches) - 1 > len(features):
            raise InvalidRequest(
                f"The text has {len(stretches) - 1} places for images, but {len(features)} images came.",
                "Attach an image for every <image>, or take <image> out of the text.",
            )
        for position, stretch in enumerate(stretches):
            if position:
                pieces.append(features[position - 1])
            pieces.append(self.text_embeds(stretch))
        limit = self.checkpoint.max_length if truncate and features else None
        return torch.cat(pieces)[:limit]

    @torch.inference_mode()
    def next_token_logits(self, inputs_embeds: torch.Tensor) -> torch.Tensor:
        """Scores of each token to come next: (vocabulary,), float32."""
        logits: torch.Tensor = self.llm(inputs_embeds=inputs_embeds[None], logits_to_keep=1).logits
        return logits[0, -1].float()

    @property
    def _embedding_table(self) -> torch.Tensor:
        table: torch.Tensor = self.llm.get_input_embeddings().weight
        return table


def _split_at_images(ids: Sequence[int]) -> list[list[int]]:
    stretches: list[list[int]] = [[]]
    for token_id in ids:
        if token_id == IMAGE_TOKEN_ID:
            stretches.append([])
        else:
            stretches[-1].append(token_id)
    return stretches
