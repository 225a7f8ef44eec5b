"""The scan on the screen and its segments, as the conversation sees them (``chat.interfaces.Scene``)."""

from __future__ import annotations
