"""Questions to begin with, such as can be answered about this kind of image here."""

from __future__ import annotations

from collections.abc import Iterable

from VILAM3SlicerLib.protocol.messages import ExpertDescription
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

_ALWAYS = _("What kind of image is this?")
_BY_EXPERT = {
    "VISTA3D": (_("Segment the liver and the spleen."), _("Segment everything and tell me the sizes.")),
    "CT_TISSUE": (_("Segment the lungs."), _("Segment everything and tell me the sizes.")),
    "BRATS": (_("Segment the brain tumor and tell me the sizes of its parts."),),
    "CXR": (_("Which findings does this chest X-ray show?"), _("Is there a pleural effusion?")),
}
"""By the names of the experts on the wire."""

_MODALITY = {"CT": ("CT_TISSUE", "VISTA3D"), "MRI": ("BRATS",), "CXR": ("CXR",)}
_AS_WELL = {"CT": _("Which organs do you see in this slice?"), "CXR": _("Describe this chest X-ray.")}


def example_questions(modality: str, experts: Iterable[ExpertDescription]) -> tuple[str, ...]:
    """At most four questions that fit the modality; experts that cannot run are not asked for.

    Args:
        modality: as in ``protocol.messages.TurnContext``.
        experts: what the backend says of its experts; none while it is not known.
    """
    able = {expert.name for expert in experts if not expert.unavailable_because}
    offered = [name for name in _MODALITY.get(modality, ()) if name in able]
    questions = [question for name in offered for question in _BY_EXPERT[name]]
    questions += [_AS_WELL[modality]] if modality in _AS_WELL else []
    return tuple(dict.fromkeys([*questions, _ALWAYS]))[:4]
