"""What successive prompts have in common is read once, and nothing else changes by it."""

from __future__ import annotations

import pytest
import torch

from inference_backend.vila_m3.decoder import Decoder
from inference_backend.vila_m3.generation import Reply, never
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.sampling import GenerationSettings


def embeds_of(model: VilaM3Model, text: str) -> torch.Tensor:
    return model.inputs_embeds(model.input_ids(text))


def read(decoder: Decoder, embeds: torch.Tensor) -> torch.Tensor:
    logits = decoder.read_prompt(embeds, never)
    assert logits is not None
    return logits


def test_reused_prefix_gives_equal_logits(model: VilaM3Model) -> None:
    decoder = Decoder(model)
    cards = embeds_of(model, "Here is a list of available expert models: " * 20)
    for question in ("Segment the lungs.", "Is there a tumor?", "Is there fat?"):
        prompt = torch.cat([cards, embeds_of(model, question)])
        torch.testing.assert_close(read(decoder, prompt), model.next_token_logits(prompt), atol=1e-4, rtol=0)
    assert decoder.reused_tokens >= len(cards)


def test_reply_of_the_last_turn_is_reused_too(model: VilaM3Model) -> None:
    decoder = Decoder(model)
    prompt = embeds_of(model, "What is CT?")
    reply = Reply(model, prompt, GenerationSettings(max_new_tokens=6), decoder=decoder)
    list(reply)
    following = torch.cat([prompt, model.text_embeds(reply.ids[:-1]), embeds_of(model, "And MRI?")])
    logits = read(decoder, following)
    assert decoder.reused_tokens == len(prompt) + len(reply.ids) - 1
    torch.testing.assert_close(logits, model.next_token_logits(following), atol=1e-4, rtol=0)


def test_same_prompt_again_reads_its_last_token_only(model: VilaM3Model) -> None:
    decoder = Decoder(model)
    prompt = embeds_of(model, "What is CT?")
    first = read(decoder, prompt)
    again = read(decoder, prompt)
    assert decoder.reused_tokens == len(prompt) - 1
    torch.testing.assert_close(first, again, atol=1e-4, rtol=0)


@pytest.mark.parametrize("second", ["Quite another text.", "W", "What is CT"])
def test_prompt_that_differs_or_is_shorter_is_read_right(model: VilaM3Model, second: str) -> None:
    decoder = Decoder(model)
    read(decoder, embeds_of(model, "What is CT? And more of it."))
    prompt = embeds_of(model, second)
    torch.testing.assert_close(read(decoder, prompt), model.next_token_logits(prompt), atol=1e-4, rtol=0)


def test_prompt_longer_than_a_chunk_is_read_right(model: VilaM3Model) -> None:
    prompt = model.text_embeds([(7 * number) % 700 for number in range(1300)])
    torch.testing.assert_close(
        read(Decoder(model), prompt), model.next_token_logits(prompt), atol=1e-4, rtol=0
    )


def test_cancelled_reading_leaves_a_usable_decoder(model: VilaM3Model) -> None:
    decoder = Decoder(model)
    prompt = model.text_embeds([(5 * number) % 700 for number in range(1200)])
    answers = iter([False, True])
    assert decoder.read_prompt(prompt, lambda: next(answers)) is None
    logits = read(decoder, prompt)
    assert decoder.reused_tokens == 512
    torch.testing.assert_close(logits, model.next_token_logits(prompt), atol=1e-4, rtol=0)


def test_failure_in_mid_pass_leaves_nothing_to_reuse(
    model: VilaM3Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = Decoder(model)
    prompt = embeds_of(model, "What is CT?")
    read(decoder, prompt)

    def fail_after_the_first_layer(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(model.llm.model.layers[1], "forward", fail_after_the_first_layer)
        with pytest.raises(MemoryError):
            decoder.read_token(5)
    torch.testing.assert_close(read(decoder, prompt), model.next_token_logits(prompt), atol=1e-4, rtol=0)
    assert decoder.reused_tokens == 0


def test_forgotten_conversation_is_read_again(model: VilaM3Model) -> None:
    decoder = Decoder(model)
    prompt = embeds_of(model, "What is CT?")
    read(decoder, prompt)
    decoder.forget()
    read(decoder, prompt)
    assert decoder.reused_tokens == 0
