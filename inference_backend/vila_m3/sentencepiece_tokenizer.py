"""The tokenizer of checkpoints that ship a ``tokenizer.model``.

It behaves as the slow Llama tokenizer of transformers 4.37 with ``legacy=False``, which the original asks
for; the tokenizers of transformers 5 treat text that begins with a space differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

from inference_backend.vila_m3.checkpoint import COPY_AGAIN
from inference_backend.vila_m3.tokenizer import clean_up_spaces
from VILAM3SlicerLib.protocol.errors import CheckpointError

WORD_START = "\u2581"

_DEFAULT_SPECIAL: Mapping[str, str] = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}


class SentencePieceTokenizer:
    """SentencePiece ids with the special tokens cut out of the text first."""

    def __init__(self, path: Path, config: Mapping[str, Any], special: Mapping[str, str]) -> None:
        """Open ``path``; ``config`` is tokenizer_config.json, ``special`` the special tokens by role.

        Raises:
            CheckpointError: the file is no SentencePiece model.
        """
        self._pieces = _open_without_dummy_prefix(path)
        self._added = _added_tokens(config)
        self._names = {token_id: token for token, token_id in self._added.items()}
        special = {**_DEFAULT_SPECIAL, **special}
        known = {token for token in (*special.values(), *_added_special(config)) if self.has_token(token)}
        self._special_ids = {self._id(token) for token in known}
        self._special_splitter = _splitter(known | set(self._added))
        self._unknown = special["unk_token"]
        self._adds_prefix_space = bool(config.get("add_prefix_space", True))
        bos_id, eos_id = self._id(special["bos_token"]), self._id(special["eos_token"])
        self._before = [bos_id] if config.get("add_bos_token", True) else []
        self._after = [eos_id] if config.get("add_eos_token", False) else []
        self.bos_id: int | None = bos_id
        self.cleans_up_spaces = bool(config.get("clean_up_tokenization_spaces", False))
        self.vocabulary_size = max([self._pieces.get_piece_size() - 1, *self._added.values()]) + 1

    def encode(self, text: str) -> list[int]:
        """See :class:`~inference_backend.vila_m3.tokenizer.Tokenizer`."""
        return [*self._before, *self._encode_text(text), *self._after]

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """See :class:`~inference_backend.vila_m3.tokenizer.Tokenizer`."""
        text = self._decode(ids, skip_special_tokens)
        return clean_up_spaces(text) if self.cleans_up_spaces else text

    def decode_raw(self, ids: Sequence[int]) -> str:
        """See :class:`~inference_backend.vila_m3.tokenizer.Tokenizer`."""
        return self._decode(ids, skip_special_tokens=True)

    def has_token(self, token: str) -> bool:
        """See :class:`~inference_backend.vila_m3.tokenizer.Tokenizer`."""
        return token in self._added or self._pieces.id_to_piece(self._pieces.piece_to_id(token)) == token

    def _id(self, token: str) -> int:
        return self._added.get(token, self._pieces.piece_to_id(token))

    def _encode_text(self, text: str) -> list[int]:
        if not text:
            return []
        text = text.replace(WORD_START, " ")
        if self._adds_prefix_space:
            text = WORD_START + text
        ids: list[int] = []
        for stretch in filter(None, self._special_splitter.split(text)):
            if self._special_splitter.fullmatch(stretch):
                ids.append(self._id(stretch))
            else:
                ids.extend(self._encode_stretch(stretch))
        # The mark set in front of the whole text vanishes where a special token comes first.
        starts_lonely = len(ids) > 1 and ids[0] == self._id(WORD_START) and ids[1] in self._special_ids
        return ids[1:] if starts_lonely else ids

    def _encode_stretch(self, stretch: str) -> list[int]:
        """Ids of text without special tokens.

        SentencePiece strips what looks like leading whitespace of a whole text, so such a stretch is encoded
        behind a sacrificed word whose own ids are then cut off.
        """
        if not stretch.startswith((WORD_START, " ")):
            return list(self._pieces.encode(stretch))
        sacrificed = len(self._pieces.encode(self._unknown))
        return list(self._pieces.encode(self._unknown + stretch))[sacrificed:]

    def _decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        skipped = self._special_ids if skip_special_tokens else ()
        kept = [token_id for token_id in ids if token_id not in skipped and token_id < self.vocabulary_size]
        return "".join(
            self._decode_run(run, is_first=position == 0) if name is None else name
            for position, (name, run) in enumerate(_runs(kept, self._names))
        )

    def _decode_run(self, ids: Sequence[int], is_first: bool) -> str:
        pieces = [self._pieces.id_to_piece(token_id) for token_id in ids]
        if is_first and pieces and pieces[0].startswith(WORD_START):
            pieces[0] = pieces[0][len(WORD_START) :]
        return str(self._pieces.decode_pieces(pieces))


def _runs(ids: Sequence[int], names: Mapping[int, str]) -> Iterator[tuple[str | None, list[int]]]:
    """Split ids into (name, []) for each added token and (None, ids) for each run of others."""
    run: list[int] = []
    for token_id in ids:
        if token_id not in names:
            run.append(token_id)
            continue
        if run:
            yield None, run
        run = []
        yield names[token_id], []
    if run:
        yield None, run


def _open_without_dummy_prefix(path: Path) -> SentencePieceProcessor:
    """Open a model that leaves it to us where a word-start mark goes."""
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at run time
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise CheckpointError(f"{path} is no SentencePiece model: {error}", COPY_AGAIN) from error
    model.normalizer_spec.add_dummy_prefix = False
    processor = SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model.SerializeToString())
    except RuntimeError as error:
        raise CheckpointError(f"{path} is no SentencePiece model: {error}", COPY_AGAIN) from error
    return processor


def _added_tokens(config: Mapping[str, Any]) -> dict[str, int]:
    entries: Mapping[str, Mapping[str, Any]] = config.get("added_tokens_decoder") or {}
    return {str(entry["content"]): int(token_id) for token_id, entry in entries.items()}


def _added_special(config: Mapping[str, Any]) -> list[str]:
    entries: Mapping[str, Mapping[str, Any]] = config.get("added_tokens_decoder") or {}
    return [str(entry["content"]) for entry in entries.values() if entry.get("special", False)]


def _splitter(tokens: set[str]) -> re.Pattern[str]:
    """A pattern that cuts the special tokens out of a text, the longest first."""
    alternatives = "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True))
    return re.compile(f"({alternatives})")
