"""Text to token ids and back, exactly as the original's tokenizers did it.

The two kinds of released checkpoints each have an implementation: ``tokenizer.json`` (byte-level BPE, 8B)
and ``tokenizer.model`` (SentencePiece, 3B and 13B).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from inference_backend.vila_m3.checkpoint import COPY_AGAIN, read_json, read_optional_json
from inference_backend.vila_m3.messages import IMAGE_PLACEHOLDER
from VILAM3SlicerLib.protocol.errors import CheckpointError

IMAGE_TOKEN_ID = -200
"""Stands for an image in a list of ids; it is in no vocabulary and never embedded."""


class Tokenizer(Protocol):
    """What generation and prompt building need of a tokenizer."""

    bos_id: int | None
    vocabulary_size: int

    @property
    def cleans_up_spaces(self) -> bool:
        """Whether decoded text went through :func:`clean_up_spaces`."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of a text, special tokens recognised, BOS and EOS added if this tokenizer does so."""
        ...

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """Text of ids, cleaned up if this tokenizer does so."""
        ...

    def decode_raw(self, ids: Sequence[int]) -> str:
        """Text of ids without special tokens, before any cleaning up."""
        ...

    def has_token(self, token: str) -> bool:
        """Whether a string is one entry of the vocabulary."""
        ...


def open_tokenizer(folder: Path) -> Tokenizer:
    """Open the tokenizer of a language model's folder.

    Raises:
        CheckpointError: there are no tokenizer files, or they are damaged.
    """
    config = read_json(folder / "tokenizer_config.json")
    special = _special_tokens(config, read_optional_json(folder / "special_tokens_map.json"))
    sentencepiece_file, bpe_file = folder / "tokenizer.model", folder / "tokenizer.json"
    prefers_sentencepiece = str(config.get("tokenizer_class", "")).startswith("Llama")
    if sentencepiece_file.exists() and (prefers_sentencepiece or not bpe_file.exists()):
        from inference_backend.vila_m3.sentencepiece_tokenizer import SentencePieceTokenizer

        return SentencePieceTokenizer(sentencepiece_file, config, special)
    if bpe_file.exists():
        from inference_backend.vila_m3.bpe_tokenizer import BpeTokenizer

        return BpeTokenizer(bpe_file, config, special)
    raise CheckpointError(f"{folder.name}/ has neither a tokenizer.json nor a tokenizer.model.", COPY_AGAIN)


def prompt_ids(text: str, tokenizer: Tokenizer) -> list[int]:
    """Ids of a prompt, :data:`IMAGE_TOKEN_ID` at each ``<image>``.

    Each stretch of text between images is tokenised alone. If the first begins with BOS, that id is kept
    once and the first id of EVERY stretch is dropped: with a tokenizer that adds BOS these are the added
    ones; with one that does not (and a template that spells BOS out) the first real token after each image is
    lost. The released weights were served like that.
    """
    stretches = [tokenizer.encode(stretch) for stretch in text.split(IMAGE_PLACEHOLDER)]
    dropped = 1 if stretches[0][:1] == [tokenizer.bos_id] else 0
    ids = stretches[0][:dropped]
    for position, stretch in enumerate(stretches):
        ids += [IMAGE_TOKEN_ID] if position else []
        ids += stretch[dropped:]
    return ids


def stop_ids(text: str, tokenizer: Tokenizer) -> list[int]:
    """Ids whose appearance at the end of a reply ends it: those of the stop text, without an added BOS."""
    ids = tokenizer.encode(text)
    return ids[1:] if len(ids) > 1 and ids[0] == tokenizer.bos_id else ids


_CLEANED = ((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"))
_CLEANED_CONTRACTIONS = ((" n't", "n't"), (" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"))


def clean_up_spaces(text: str) -> str:
    """Take out the spaces before punctuation and English contractions, as the original's decoder did."""
    for found, replacement in _CLEANED + _CLEANED_CONTRACTIONS:
        text = text.replace(found, replacement)
    return text


def settled_length(raw: str) -> int:
    """Length of the beginning of a text whose cleaned form no further text can change.

    A pattern of :func:`clean_up_spaces` reaches over the end only from a space, an apostrophe, or the letter
    that may follow one of these in a contraction.
    """
    end = len(raw)
    while end and (
        raw[end - 1] in " '" or (raw[end - 1] in "nvr" and raw[max(end - 2, 0) : end - 1] in (" ", "'"))
    ):
        end -= 1
    return end


def token_text(value: str | Mapping[str, Any] | None) -> str | None:
    """The string of a special token, which tokenizer files give as text or as an object with ``content``."""
    return str(value["content"]) if isinstance(value, Mapping) else value


def _special_tokens(config: Mapping[str, Any], special_map: Mapping[str, Any]) -> dict[str, str]:
    """Special tokens by role ("bos_token", ...); additional ones under their own text."""
    merged = {**special_map, **{key: value for key, value in config.items() if key.endswith("_token")}}
    special: dict[str, str] = {}
    for role in ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"):
        text = token_text(merged.get(role))
        if isinstance(text, str):
            special[role] = text
    for listed in (
        config.get("additional_special_tokens") or special_map.get("additional_special_tokens") or []
    ):
        text = token_text(listed)
        if isinstance(text, str):
            special[text] = text
    return special
