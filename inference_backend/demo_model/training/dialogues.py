"""Made-up conversations in the product's layout: question, call of an expert, result, answer, follow-up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inference_backend.conversation import wording
from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.model_cards import CXR
from inference_backend.demo_model.training import replies, vocabulary
from inference_backend.demo_model.training.held_out import bare, withheld_questions
from inference_backend.demo_model.training.results import Result, answer, draw_failure, draw_result
from inference_backend.demo_model.training.scenes import Request, Scene, fits, phrasings
from inference_backend.demo_model.training.typing_style import in_context, typed
from inference_backend.demo_model.training.vocabulary import pick

_SMALL_WORDS = frozenset(
    "a an the of in on and or with any all every each from left right side whole".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Turn:
    """A message; ``learned`` marks a reply that the model is trained to give."""

    message: Message
    learned: bool = False


@dataclass(frozen=True)
class Dialogue:
    """A conversation about a scene. The bytes of an image are its key in the pool of image features."""

    scene: Scene
    turns: tuple[Turn, ...]


class DialogueMaker:
    """Draws conversations about one scene."""

    def __init__(self, scene: Scene, random: np.random.Generator) -> None:
        self._scene = scene
        self._random = random
        self._images = () if scene.image is None else (scene.image,)
        self._known_modality = scene.modality

    def draw(self) -> Dialogue:
        """One conversation: about half need an expert if one fits, a quarter go on after its result.

        None holds a question that the model is measured on.
        """
        while True:
            dialogue = self._draw()
            asked = {bare(turn.message.text) for turn in dialogue.turns if turn.message.role == "user"}
            if not asked & withheld_questions():
                return dialogue

    def _draw(self) -> Dialogue:
        request = self._scene.draw_request(self._random)
        chance = self._random.random()
        if request is None or chance > 0.62:
            return Dialogue(self._scene, self._exchange(*self._plain()))
        if chance > 0.11:
            return Dialogue(self._scene, self._call(request, *self._asked(request)[:1]))
        return Dialogue(self._scene, self._whole_story(request))

    # Questions that need an expert

    def _asked(self, request: Request) -> tuple[str, bool]:
        """A question and whether it is about size."""
        question, wants_size = self._bare_question(request)
        return in_context(self._random, question), wants_size

    def _bare_question(self, request: Request) -> tuple[str, bool]:
        words = phrasings()
        if request.expert == CXR.name:
            return self._said(pick(self._random, words["classify"]), request.words), False
        kind = self._random.random()
        if _is_disease(request) and kind < 0.4:
            template = pick(self._random, [text for text in words["classify"] if "{x}" in text])
            return self._said(template, request.words), False
        if request.task == "measurement" or (request.task != "classification" and kind > 0.7):
            return self._said(pick(self._random, words["measure"]), request.words), True
        return self._said(self._command(), request.words), False

    def _command(self) -> str:
        """A way to ask for a segmentation, nearly half of them put together from parts."""
        words = phrasings()
        chance = self._random.random()
        if chance < 0.55:
            return pick(self._random, words["segment"])
        if chance < 0.75:
            # Commands in made-up or odd words: what is asked for must be understood without knowing the verb.
            verb = (
                vocabulary.word(self._random)
                if self._random.random() < 0.6
                else pick(self._random, words["verbs"])
            )
            return pick(self._random, words["carriers"]).replace("{v}", verb.split()[0])
        opening = words["openings"][int(self._random.integers(len(words["openings"])))]
        ending = words["endings"][int(self._random.integers(len(words["endings"])))]
        stop = "." if self._random.random() < 0.7 else ""
        return f"{opening}{pick(self._random, words['verbs'])} {{x}}{ending}{stop}"

    def _said(self, template: str, words: str = "") -> str:
        return typed(self._random, template, words)

    def _call(self, request: Request, question: str) -> tuple[Turn, ...]:
        return self._exchange(question, replies.trigger(request.call, self._known_modality))

    def _exchange(self, question: str, reply: str) -> tuple[Turn, ...]:
        return (
            Turn(Message("user", question, self._images)),
            Turn(Message("assistant", reply), learned=True),
        )

    # An expert's result and what follows

    def _whole_story(self, request: Request) -> tuple[Turn, ...]:
        question, wants_size = self._asked(request)
        chance = self._random.random()
        if chance < 0.1:
            reason = draw_failure(self._random)
            told = wording.expert_failed(reason) + wording.use_result(question)
            return self._call(request, question) + self._told(told, replies.failed(reason))
        if chance < 0.17:
            return self._wrong_call(question)
        result = draw_result(self._random, request)
        turns = self._call(request, question) + self._told(
            result.text + wording.use_result(question),
            answer(question, result, wants_size),
            result.has_overlay,
        )
        for _ in range(int(self._random.integers(0, 3))):
            follow_up = self._follow_up(result)
            turns += follow_up
            if "<" in follow_up[-1].message.text:
                break
        return turns

    def _told(self, text: str, reply: str, has_overlay: bool = False) -> tuple[Turn, ...]:
        images = (self._scene.image or b"",) if has_overlay else ()
        return (Turn(Message("expert", text, images)), Turn(Message("assistant", reply), learned=True))

    def _wrong_call(self, question: str) -> tuple[Turn, ...]:
        """The model called what is not offered (which it is not taught) and is told so."""
        name = vocabulary.expert_name(self._random)
        call = replies.trigger(f"<{name}({vocabulary.argument(self._random)})>", self._known_modality)
        offered = [card.name for card in self._scene.cards]
        told = wording.expert_not_offered(name, offered) + wording.use_result(question)
        first = (Turn(Message("user", question, self._images)), Turn(Message("assistant", call)))
        return first + self._told(told, replies.NOT_AVAILABLE)

    def _follow_up(self, result: Result) -> tuple[Turn, ...]:
        images = self._images if self._random.random() < 0.5 else ()
        question, reply = self._next_question(result)
        return (Turn(Message("user", question, images)), Turn(Message("assistant", reply), learned=True))

    def _next_question(self, result: Result) -> tuple[str, str]:
        words, random = phrasings(), self._random
        chance = random.random()
        if chance < 0.2:
            other = self._scene.draw_request(random)
            known = {name.lower() for name in (*result.segments, *result.findings)}
            if other and not any(name in other.words or other.words in name for name in known):
                return self._asked(other)[0], replies.trigger(other.call, self._known_modality)
        if chance < 0.5 and result.sizes:
            name = pick(random, list(result.sizes))
            return self._said(pick(random, words["size_follow_up"]), name), replies.measures(
                [name], result.sizes
            )
        if chance < 0.62 and result.colours:
            name = pick(random, list(result.colours))
            return self._said(pick(random, words["color_follow_up"]), name), replies.colour(
                name, result.colours[name]
            )
        if chance < 0.7 and {"left lung", "right lung"} <= set(result.sizes):
            reply = replies.larger("left lung", "right lung", result.sizes)
            return self._said(pick(random, words["larger_follow_up"])), reply
        if chance < 0.85 and not result.findings:
            return self._said(pick(random, words["what_follow_up"])), replies.segments(
                result.segments, result.sizes
            )
        return self._small_talk()

    # Questions that need no expert

    def _plain(self) -> tuple[str, str]:
        draws: list[tuple[float, Callable[[], tuple[str, str] | None]]] = [
            (0.18, self._image_kind), (0.4, self._beyond_the_experts), (0.18, self._diagnosis),
            (0.07, self._about_experts), (0.06, self._small_talk), (0.11, self._fact),
        ]  # fmt: skip
        weights = np.array([weight for weight, _ in draws])
        while True:
            drawn = draws[int(self._random.choice(len(draws), p=weights / weights.sum()))][1]()
            if drawn is not None:
                return drawn

    def _image_kind(self) -> tuple[str, str]:
        scene = self._scene
        question = self._said(pick(self._random, phrasings()["image_kind"]))
        if scene.image is None:
            return question, replies.NO_IMAGE
        return question, replies.image_kind(scene.modality, scene.plane, scene.region)

    def _beyond_the_experts(self) -> tuple[str, str] | None:
        """Something that only an expert could do, and none is offered that can."""
        words = phrasings()
        fitting = self._fitting_words()
        template = self._command() if self._random.random() < 0.7 else pick(self._random, words["measure"])
        chance = self._random.random()
        unfitting_first = chance < 0.55
        if unfitting_first:
            unfitting = [
                expert for expert in self._scene.experts if not fits(expert.card, self._scene.modality)
            ]
            phrases = [phrase for expert in unfitting for said in expert.words.values() for phrase in said]
        elif chance < 0.75:
            phrases = words["uncovered"]
        elif chance < 0.87:
            phrases = words["uncovered_disease"]
        else:
            phrases = [f"the {vocabulary.argument(self._random)}"]
        covered = {"VISTA3D", "CXR"} & {card.name for card in self._scene.cards}
        if not phrases or (covered and not unfitting_first):
            return None
        phrase = pick(self._random, list(phrases))
        if _content(phrase) & fitting:
            return None
        question = in_context(self._random, self._said(template, phrase))
        return question, replies.no_fitting_expert(self._known_modality, self._scene.cards)

    def _diagnosis(self) -> tuple[str, str] | None:
        trained = any(card.name in ("VISTA3D", "CXR", "BRATS") for card in self._scene.cards)
        if trained:
            return None
        return self._said(pick(self._random, phrasings()["diagnosis"])), replies.CANNOT_JUDGE

    def _about_experts(self) -> tuple[str, str]:
        words, cards = phrasings(), self._scene.cards
        chance = self._random.random()
        if chance < 0.3:
            return self._said(pick(self._random, words["capability"])), replies.capability(cards)
        if chance < 0.55 or not cards:
            return self._said(pick(self._random, words["offered"])), replies.offered(cards)
        card = cards[int(self._random.integers(len(cards)))]
        kind, reply = (
            ("arguments", replies.arguments(card)), ("accuracy", replies.accuracy(card)),
            ("overview", replies.overview(card)),
        )[int(self._random.integers(3))]  # fmt: skip
        return pick(self._random, words[kind]).format(name=card.name), reply

    def _small_talk(self) -> tuple[str, str]:
        words = phrasings()
        kind, reply = (
            ("thanks", replies.THANKS), ("greeting", replies.GREETING), ("identity", replies.IDENTITY),
        )[int(self._random.choice(3, p=(0.45, 0.2, 0.35)))]  # fmt: skip
        return self._said(pick(self._random, words[kind])), reply

    def _fact(self) -> tuple[str, str]:
        facts: Sequence[tuple[str, str]] = phrasings()["facts"]
        asked, reply = facts[int(self._random.integers(len(facts)))]
        for beginning in ("What is ", "What does "):
            if asked.startswith(beginning) and self._random.random() < 0.7:
                term = (
                    asked.removeprefix(beginning).rstrip("?").removesuffix(" mean").removesuffix(" stand for")
                )
                return self._said(pick(self._random, phrasings()["definitions"]), term), reply
        return asked, reply

    def _fitting_words(self) -> set[str]:
        fitting = [expert for expert in self._scene.experts if fits(expert.card, self._scene.modality)]
        phrases = [phrase for expert in fitting for said in expert.words.values() for phrase in said]
        phrases += [expert.card.overview for expert in fitting]
        return set().union(*(_content(phrase) for phrase in phrases)) if phrases else set()


def _content(phrase: str) -> set[str]:
    """The words of a phrase that say what it is about, plural and singular alike."""
    words = phrase.lower().replace(",", " ").replace("'", " ").split()
    return {word.rstrip("s") for word in words} - {word.rstrip("s") for word in _SMALL_WORDS}


def _is_disease(request: Request) -> bool:
    words = request.words.lower()
    return request.task in ("classification", "detection") or any(
        sign in words for sign in ("tumor", "lesion", "nodule", "cancer", "metasta", "mass", "cyst", "glioma")
    )
