"""The engine answers whole conversations and computes nothing twice."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inference_backend.vila_m3.decoder import SHORT_CHUNK
from inference_backend.vila_m3.engine import VilaM3Engine
from inference_backend.vila_m3.messages import Message, prompt_images
from inference_backend.vila_m3.sampling import GenerationSettings
from VILAM3SlicerLib.protocol.errors import Cancelled, CheckpointError, InvalidRequest, TooLarge

SHORT = GenerationSettings(max_new_tokens=6)


@pytest.fixture(scope="module")
def engine(golden: Path) -> VilaM3Engine:
    return VilaM3Engine(golden / "s8_llama3" / "checkpoint")


@pytest.fixture
def question(golden: Path) -> Message:
    png = (golden / "s8_llama3" / "images" / "nonsquare_wide.png").read_bytes()
    return Message("user", "Cards.\n<image>\nThis is a CT image.\nIs the liver normal?", (png,))


def test_description_says_what_answers(engine: VilaM3Engine) -> None:
    description = engine.description
    assert (description.template, description.tokens_per_image, description.image_size) == ("llama_3", 9, 76)
    assert (description.context_length, description.is_demo) == (1024, False)
    assert (description.device, description.dtype) == ("cpu", "fp32")


def test_demo_model_says_so(copy_of_checkpoint: Callable[[str], Path]) -> None:
    folder = copy_of_checkpoint("s3_vicuna3b")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "demo_model": True, "display_name": "Demo"}))
    description = VilaM3Engine(folder).description
    assert (description.is_demo, description.name) == (True, "Demo")


def test_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        VilaM3Engine(tmp_path)


def test_measured_prepared_and_read_lengths_agree(engine: VilaM3Engine, question: Message) -> None:
    prepared = engine.prepare([question])
    reply = engine.reply([question], SHORT)
    assert "".join(reply) == reply.text
    assert engine.measure([question]) == prepared.tokens == reply.usage.prompt_tokens
    assert prepared.text == engine.model.prompt([question])


def test_every_prompt_invites_the_reply_unless_it_is_to_be_as_the_demo_serves_it(golden: Path) -> None:
    question = [Message("user", "Is the liver normal?")]
    ends = {}
    for name, layout in itertools.product(("s3_vicuna3b", "s8_llama3"), (None, "published")):
        engine = VilaM3Engine(golden / name / "checkpoint", prompt_layout=layout)  # type: ignore[arg-type]
        ends[name[:2], engine.description.prompt_layout] = engine.prepare(question).text[-25:]
    header = "tant<|end_header_id|>\n\n"
    assert ends["s3", "training"].endswith("normal? ASSISTANT:")
    assert ends["s3", "published"].endswith("normal? ")
    assert ends["s8", "training"].endswith(header)
    assert ends["s8", "published"].endswith(header)


def test_prepared_images_are_what_the_model_sees(engine: VilaM3Engine, question: Message) -> None:
    (png,) = engine.prepare([question]).images
    seen = Image.open(io.BytesIO(png))
    assert (seen.mode, seen.size) == ("RGB", (76, 76))
    expected = engine.model.preprocessor.as_seen(prompt_images([question])[0])
    assert seen.tobytes() == expected.tobytes()


def test_reply_equals_that_of_the_single_steps(engine: VilaM3Engine, question: Message) -> None:
    from inference_backend.vila_m3.generation import Reply

    model = engine.model
    features = model.image_features(prompt_images([question]))
    embeds = model.inputs_embeds(model.input_ids(model.prompt([question])), features)
    assert "".join(engine.reply([question], SHORT)) == "".join(Reply(model, embeds, SHORT))


def test_feedback_turn_reads_only_what_is_new(engine: VilaM3Engine, question: Message) -> None:
    first = engine.reply([question], SHORT)
    "".join(first)
    feedback = [question, Message("assistant", "Let me call."), Message("expert", "The results are x.")]
    second = engine.reply(feedback, SHORT)
    "".join(second)
    end_of_question = engine.measure([question]) - len(engine.model.input_ids("assistant<|end_header_id|>"))
    assert second.usage.reused_tokens >= end_of_question - 3
    fresh = VilaM3Engine(engine.model.checkpoint.folder).reply(feedback, SHORT)
    assert "".join(fresh) == second.text
    assert fresh.usage.reused_tokens == 0


def test_cards_that_were_read_ahead_are_free(golden: Path) -> None:
    engine = VilaM3Engine(golden / "s3_vicuna3b" / "checkpoint")
    cards = "A list of models. " * 20
    engine.read_ahead([Message("user", cards)])
    reply = engine.reply([Message("user", f"{cards}Segment the lungs.")], SHORT)
    "".join(reply)
    assert reply.usage.reused_tokens >= len(engine.model.input_ids(cards)) - 2


def test_reading_ahead_stops_soon_and_what_was_read_counts(golden: Path) -> None:
    engine = VilaM3Engine(golden / "s3_vicuna3b" / "checkpoint")
    cards = "A list of models. " * 40
    answers = iter([False, False, True])
    engine.read_ahead([Message("user", cards)], lambda: next(answers))
    reply = engine.reply([Message("user", f"{cards}Segment the lungs.")], SHORT)
    "".join(reply)
    assert reply.usage.reused_tokens == 2 * SHORT_CHUNK


def test_a_reply_can_be_cancelled_between_two_images(engine: VilaM3Engine, question: Message) -> None:
    answers = iter([False, True])
    twice = Message("user", "<image> <image> Compare.", question.images * 2)
    with pytest.raises(Cancelled):
        engine.reply([twice], SHORT, lambda: next(answers))


def test_image_features_are_computed_once(
    engine: VilaM3Engine, question: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    "".join(engine.reply([question], SHORT))
    monkeypatch.setattr(engine.model, "vision_tower", None)
    (png,) = question.images
    assert isinstance(png, bytes)
    sent_again = Message("user", "<image>Another question.", (bytes(bytearray(png)),))
    "".join(engine.reply([sent_again], SHORT))
    other = io.BytesIO()
    Image.new("L", (5, 4)).save(other, "PNG")
    with pytest.raises(TypeError, match="NoneType"):
        engine.reply([Message("user", "<image>", (other.getvalue(),))], SHORT)


def test_a_gpu_has_the_images_before_the_text_is_prepared(
    golden: Path, question: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = VilaM3Engine(golden / "s8_llama3" / "checkpoint")
    order: list[str] = []

    def noting(name: str) -> Callable[..., Any]:
        work = getattr(engine.model, name)

        def noted(*arguments: Any, **more: Any) -> Any:
            order.append(name)
            return work(*arguments, **more)

        return noted

    for name in ("vision_features", "prompt", "input_ids"):
        monkeypatch.setattr(engine.model, name, noting(name))
    engine.reply([question], SHORT)
    assert order == ["vision_features", "prompt", "input_ids"]


def test_conversation_that_does_not_fit_is_refused_not_cut(engine: VilaM3Engine, question: Message) -> None:
    with pytest.raises(TooLarge, match="1024"):
        engine.reply([Message("user", question.text + " word" * 2000, question.images)], SHORT)
    assert "".join(engine.reply([question], SHORT))


def test_answer_ends_at_the_end_of_the_context(engine: VilaM3Engine) -> None:
    length = 0
    words = 100
    while length < 1000:
        words += 1
        message = Message("user", "word " * words)
        length = engine.measure([message])
    endless = GenerationSettings(max_new_tokens=500, min_new_tokens=500, temperature=1.5, seed=4)
    reply = engine.reply([message], endless)
    "".join(reply)
    assert reply.usage.prompt_tokens + reply.usage.completion_tokens <= 1024


def test_image_missing_from_its_place_is_refused(engine: VilaM3Engine) -> None:
    with pytest.raises(InvalidRequest, match="places for images"):
        engine.reply([Message("user", "<image>?")], SHORT)
