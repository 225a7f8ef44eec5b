"""The limits and clocks of the service, each with its unit."""

from __future__ import annotations

from dataclasses import dataclass, field

MIB = 1024**2


@dataclass(frozen=True)
class Limits:
    """What one request may bring, and how much may wait. All are checked before anything is decoded."""

    chat_body_bytes: int = 64 * MIB
    volume_body_bytes: int = 4 * 1024 * MIB
    prompt_characters: int = 20_000
    conversation_characters: int = 500_000
    messages: int = 500
    images: int = 64
    image_bytes: int = 16 * MIB
    image_pixels: int = 16_000_000
    reply_tokens: int = 4096
    waiting_turns: int = 16
    kept_turns: int = 64


@dataclass(frozen=True)
class Clocks:
    """Times in seconds. A turn that nobody reads for ``unread`` is cancelled; an ended one can be read again
    for ``keep_ended``."""

    heartbeat: float = 5.0
    unread: float = 30.0
    keep_ended: float = 600.0
    retry_after: int = 5


@dataclass(frozen=True)
class ServiceSettings:
    """How the service is run. ``hosts`` are the names under which it may be addressed, none means any."""

    key: str = field(repr=False)
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    limits: Limits = field(default_factory=Limits)
    clocks: Clocks = field(default_factory=Clocks)
