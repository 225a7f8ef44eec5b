"""The CT tissue expert; the entry point of the package."""

from __future__ import annotations

from inference_backend.experts.ct_tissue.expert import CtTissue


def create() -> CtTissue:
    """The expert for the registry."""
    return CtTissue()
