"""The tokenizer of checkpoints that ship a ``tokenizer.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as TokenizerFile

from inference_backend.vila_m3.checkpoint import COPY_AGAIN
from inference_backend.vila_m3.tokenizer import clean_up_spaces
from VILAM3SlicerLib.protocol.errors import CheckpointError


class BpeTokenizer:
    """What ``tokenizer.json`` says; whether BOS is added is up to its post-processor."""

    def __init__(self, path: Path, config: Mapping[str, Any], special: Mapping[str, str]) -> None:
        """Open ``path``; ``config`` is tokenizer_config.json, ``special`` the special tokens by role.

        Raises:
            CheckpointError: the file is damaged.
        """
        try:
            self._tokenizer = TokenizerFile.from_buffer(path.read_bytes())
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {error}", COPY_AGAIN) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        missing = [token for token in special.values() if self._tokenizer.token_to_id(token) is None]
        self._tokenizer.add_special_tokens([AddedToken(token, special=True) for token in missing])
        bos = special.get("bos_token")
        self.bos_id: int | None = None if bos is None else self._tokenizer.token_to_id(bos)
        self.cleans_up_spaces = bool(config.get("clean_up_tokenization_spaces", True))
        self.vocabulary_size = self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        """See :class:`~inference_backend.vila_m3.tokenizer.Tokenizer`."""
        return list(self._tokenizer.encode(text).ids)

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """See :class:`~inference_backend.vila_m3.tokenizer.Tokenizer`."""
        text = self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return clean_up_spaces(text) if self.cleans_up_spaces else text

    def decode_raw(self, ids: Sequence[int]) -> str:
        """See :class:`~inference_backend.vila_m3.tokenizer.Tokenizer`."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def has_token(self, token: str) -> bool:
        """See :class:`~inference_backend.vila_m3.tokenizer.Tokenizer`."""
        return self._tokenizer.token_to_id(token) is not None
