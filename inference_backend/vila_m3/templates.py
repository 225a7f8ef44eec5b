"""The two conversation templates of the released checkpoints.

The strings are what the weights were trained with and must match to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from inference_backend.vila_m3.checkpoint import OTHER_MODEL
from VILAM3SlicerLib.protocol.errors import CheckpointError

USER: Final = "user"
ASSISTANT: Final = "assistant"


class Template(Protocol):
    """How a conversation becomes one prompt text."""

    name: str
    system: str
    stop: str
    """Text whose ids end a reply."""

    original_has_generation_header: bool
    """Whether the published demo ends its prompts with the assistant's header."""

    def render(self, turns: Sequence[tuple[str, str]], generation_header: bool, system: str | None) -> str:
        """The prompt text of turns (role, text); the role is "user" or "assistant".

        ``generation_header`` ends the text with the assistant's header, which invites the reply.
        ``system`` replaces the template's own system sentence.
        """
        ...


class Llama3Template:
    """Template ``llama_3`` of the 8B checkpoint. The text itself begins with the BOS token's name."""

    name = "llama_3"
    system = (
        "You are a helpful language and vision assistant. You are able to understand the visual content that "
        "the user provides, and assist the user with a variety of tasks using natural language."
    )
    stop = "<|eot_id|>"
    original_has_generation_header = True

    def render(self, turns: Sequence[tuple[str, str]], generation_header: bool, system: str | None) -> str:
        """See :class:`Template`; without a header a non-empty last turn ends with ``<|end_of_text|>``."""
        last = len(turns) - 1 if not generation_header else len(turns)
        text = f"<|begin_of_text|>{_header('system')}{self.system if system is None else system}{self.stop}"
        for position, (role, content) in enumerate(turns):
            end = "<|end_of_text|>" if position == last else self.stop
            text += _header(role) + (content + end if content else "")
        return text + (_header(ASSISTANT) if generation_header else "")


class VicunaTemplate:
    """Template ``vicuna_v1`` of the 3B and 13B checkpoints and of the demo model."""

    name = "vicuna_v1"
    system = (
        "A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions."
    )
    stop = "</s>"
    # The demo forgets it for this template, though training and evaluation have it.
    original_has_generation_header = False

    def render(self, turns: Sequence[tuple[str, str]], generation_header: bool, system: str | None) -> str:
        """See :class:`Template`; what follows a turn depends on its position, as in the original."""
        text = (self.system if system is None else system) + " "
        for position, (role, content) in enumerate(turns):
            text += f"{role.upper()}:"
            if content:
                text += f" {content}{self.stop if position % 2 else ' '}"
        return text + ("ASSISTANT:" if generation_header else "")


def _header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def choose_template(named: str | None, vocabulary_has_llama3_header: bool) -> Template:
    """The template that a checkpoint names, else the one that its vocabulary can express.

    Raises:
        CheckpointError: the checkpoint names a template that is not known.
    """
    if named is None:
        return Llama3Template() if vocabulary_has_llama3_header else VicunaTemplate()
    for template in (Llama3Template(), VicunaTemplate()):
        if template.name == named:
            return template
    raise CheckpointError(f"The conversation template {named!r} is unknown.", OTHER_MODEL)
