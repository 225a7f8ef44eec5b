"""What the demo model is taught to say: one plain wording an occasion, which a small model can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inference_backend.conversation.model_cards import ModelCard

KINDS = {
    "CT": "a CT image", "MRI": "an MRI image", "CXR": "a chest X-ray", "cell imaging": "a cell image",
    "US": "an ultrasound image",
}  # fmt: skip

THANKS = "You are welcome."
GREETING = "Hello! Ask me about this scan, or ask for something that an expert can do."
IDENTITY = (
    "I am the VILA-M3 demo model, a small language model for trying out this program. "
    "I am not a doctor, and nothing I say is for diagnosis."
)
CANNOT_JUDGE = (
    "I cannot judge that: I am only a small demo model, and no expert offered here can tell. "
    "Please ask a radiologist."
)
NO_IMAGE = "There is no image with this question, so I cannot tell."
NOTHING_FOUND = "The expert found nothing of this in the scan."
NOT_AVAILABLE = "That expert is not available here, so I cannot do this."
NO_EXPERTS = "No expert is offered at the moment."

_WITHOUT_ARTICLE = ("bone", "skin", "muscle", "subcutaneous fat")


def trigger(call: str, modality: str) -> str:
    """A call of an expert; ``modality`` is empty where neither image nor prompt tells it."""
    return (
        f"This looks like {KINDS[modality]}. Let me trigger {call}."
        if modality
        else f"Let me trigger {call}."
    )


def image_kind(modality: str, plane: str, region: str) -> str:
    """What kind of image this is."""
    if modality == "CXR":
        return "This is a frontal chest X-ray."
    if not region:
        return "This is a cell image."
    article = "an" if plane == "axial" else "a"
    return f"This is {article} {plane} {modality} image of the {region}."


def no_fitting_expert(modality: str, cards: Sequence[ModelCard]) -> str:
    """No expert can do what was asked."""
    if not cards:
        return f"{NO_EXPERTS} I cannot do that myself."
    kind = KINDS.get(modality, "this image")
    return f"No expert offered here can do that on {kind}, and I cannot do it myself."


def capability(cards: Sequence[ModelCard]) -> str:
    """What the model can do."""
    if not cards:
        return f"{NO_EXPERTS} I can only tell what kind of image this is."
    names = listed([card.name for card in cards])
    return (
        f"I can call {names} and tell you the result. I am a small demo model and cannot judge images myself."
    )


def offered(cards: Sequence[ModelCard]) -> str:
    """Which experts there are."""
    if not cards:
        return NO_EXPERTS
    names = listed([card.name for card in cards])
    return (
        f"The available experts are {names}." if len(cards) > 1 else f"The only available expert is {names}."
    )


def arguments(card: ModelCard) -> str:
    """What an expert takes."""
    if not card.arguments:
        return f"{card.name} takes no argument."
    return f"{card.name} takes {listed(card.arguments)}."


def accuracy(card: ModelCard) -> str:
    """How accurate an expert is, in the words of its card."""
    return f"The card of {card.name} says of its accuracy: {card.accuracy.rstrip('.')}."


def overview(card: ModelCard) -> str:
    """What an expert is, in the words of its card."""
    return f"{card.name} is an expert for {card.modality}: {card.overview.rstrip('.')}."


def segments(names: Sequence[str], sizes: Mapping[str, str]) -> str:
    """What was segmented; ``sizes`` are in mL, as worded to the model."""
    if not names:
        return NOTHING_FOUND
    described = [named(name) + (f" ({sizes[name]} mL)" if name in sizes else "") for name in names]
    return f"The expert segmented {listed(described)}."


def measures(names: Sequence[str], sizes: Mapping[str, str]) -> str:
    """How large things are."""
    if not names:
        return NOTHING_FOUND
    if not sizes:
        return f"The expert segmented {listed([named(name) for name in names])} but gave no size."
    first, *others = [name for name in names if name in sizes]
    described = [f"{_capitalised(named(first))} measures {sizes[first]} mL"]
    return f"{listed([*described, *(f'{named(name)} {sizes[name]} mL' for name in others)])}."


def colour(name: str, colour_name: str) -> str:
    """In which colour something is shown."""
    return f"{_capitalised(named(name))} is shown in {colour_name}."


def larger(first: str, second: str, sizes: Mapping[str, str]) -> str:
    """Which of two is larger."""
    more, less = (first, second) if float(sizes[first]) >= float(sizes[second]) else (second, first)
    return f"{_capitalised(named(more))} is larger: {sizes[more]} mL against {sizes[less]} mL."


def findings(found: Sequence[str]) -> str:
    """What a classifier found."""
    if not found:
        return "The expert found none of its findings in this image."
    return f"The expert found {listed(found)}, and none of its other findings."


def finding(name: str, present: bool) -> str:
    """Whether a classifier found something."""
    return f"Yes, the expert found {name}." if present else f"No, the expert found no {name}."


def failed(reason: str) -> str:
    """An expert failed."""
    return f"The expert could not do this: {reason}"


def named(name: str) -> str:
    """A structure with its article."""
    return name if name in _WITHOUT_ARTICLE else f"the {name}"


def listed(items: Sequence[str]) -> str:
    """An English list."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
