"""Conversations of several people stay read; the oldest give way when memory is short."""

from __future__ import annotations

import pytest
import torch

from inference_backend.vila_m3.decoder import Decoder
from inference_backend.vila_m3.generation import Reply, never
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.prefix_memory import PrefixMemory, ReadSequence
from inference_backend.vila_m3.sampling import GenerationSettings


class Account:
    """A share of some bytes."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> bool:
        if size > self.left:
            return False
        self.left -= size
        return True

    def give_back(self, size: int) -> None:
        self.left += size


def sequence(*tokens: int) -> ReadSequence:
    """Embeddings of size 1 and as many keys and values, 8 bytes a token in all."""
    rows = torch.tensor(tokens, dtype=torch.float32)[:, None]
    return ReadSequence(rows, rows[None, None, None])


def counted(start: int, length: int = 40) -> range:
    return range(start, start + length)


def test_the_longest_shared_beginning_is_found() -> None:
    memory = PrefixMemory(Account(10_000))
    for tail in (100, 200):
        memory.keep(sequence(*counted(0), *counted(tail)))
    found, shared = memory.longest_beginning(sequence(*counted(0), *counted(200, 5), 7).embeds)
    assert found is not None
    assert (shared, float(found.embeds[40])) == (45, 200.0)
    assert memory.longest_beginning(sequence(999).embeds) == (None, 0)


def test_the_least_recently_used_gives_way() -> None:
    memory = PrefixMemory(Account(3 * 40 * 8))
    for start in (0, 100, 200):
        memory.keep(sequence(*counted(start)))
    memory.longest_beginning(sequence(0, 1).embeds)
    memory.keep(sequence(*counted(300)))
    known = [start for start in (0, 100, 200, 300) if memory.longest_beginning(sequence(start).embeds)[1]]
    assert known == [0, 200, 300]


def test_a_conversation_that_goes_on_takes_the_place_of_its_beginning() -> None:
    account = Account(10_000)
    memory = PrefixMemory(account)
    memory.keep(sequence(*counted(0), *counted(500, 5)))  # its last tokens were read anew
    memory.keep(sequence(*counted(0), *counted(100)))
    assert len(memory) == 1
    assert account.left == 10_000 - 80 * 8


def test_what_is_larger_than_the_share_is_not_kept_and_all_is_given_back() -> None:
    account = Account(50 * 8)
    memory = PrefixMemory(account)
    memory.keep(sequence(*counted(0)))
    memory.keep(sequence(*counted(0, 100)))
    assert (len(memory), account.left) == (0, 50 * 8)
    memory.keep(sequence(*counted(0)))
    memory.clear()
    assert (len(memory), account.left) == (0, 50 * 8)


def test_two_people_in_turn_read_only_what_is_new_and_get_equal_logits(model: VilaM3Model) -> None:
    decoder = Decoder(model, PrefixMemory(Account(10**9)))
    cards = model.text_embeds([7 * number % 700 for number in range(200)])
    people = {
        name: torch.cat([cards, model.text_embeds([name * number % 700 for number in range(90)])])
        for name in (11, 13)
    }
    for turn in range(3):
        for name, conversation in people.items():
            prompt = torch.cat([conversation, model.text_embeds([turn + 5] * 40)])
            reply = Reply(model, prompt, GenerationSettings(max_new_tokens=4), decoder=decoder)
            list(reply)
            known = len(conversation) if turn else len(cards) if name == 13 else 0
            assert reply.usage.reused_tokens >= known
            logits = decoder.read_prompt(prompt, never)
            assert logits is not None
            torch.testing.assert_close(logits, model.next_token_logits(prompt), atol=1e-4, rtol=0)
            people[name] = prompt


def test_out_of_memory_makes_what_is_remembered_give_way_and_the_prompt_is_read(
    model: VilaM3Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(10**9)
    decoder = Decoder(model, PrefixMemory(account))
    prompts = [model.text_embeds([number % 700 for number in counted(start, 90)]) for start in (0, 300, 500)]
    for prompt in prompts[:2]:
        decoder.read_prompt(prompt, never)
    assert account.left < 10**9
    layer = model.llm.model.layers[1]
    forward = layer.forward

    def fail_while_memory_is_taken(*args: object, **named: object) -> object:
        if account.left < 10**9:
            raise torch.OutOfMemoryError
        return forward(*args, **named)

    monkeypatch.setattr(layer, "forward", fail_while_memory_is_taken)
    logits = decoder.read_prompt(prompts[2], never)
    monkeypatch.undo()
    assert logits is not None
    torch.testing.assert_close(logits, model.next_token_logits(prompts[2]), atol=1e-4, rtol=0)
    assert decoder.reused_tokens == 0
