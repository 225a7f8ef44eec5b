"""Events folded into a turn: a pure function, so that reading a stream again changes nothing."""

from __future__ import annotations

from dataclasses import replace

from VILAM3SlicerLib.chat.spoken import is_call
from VILAM3SlicerLib.chat.turn import ExpertRun, Reply, Turn
from VILAM3SlicerLib.protocol.events import (
    Answer,
    Event,
    ExpertCalled,
    ExpertFailed,
    ExpertProgress,
    ExpertResult,
    Failed,
    Heartbeat,
    Notice,
    Prompt,
    Queued,
    Stopped,
    Text,
)
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)


def fold(turn: Turn, event: Event, now: float) -> Turn:
    """The turn after ``event``; events of another turn and those already taken in change nothing.

    Args:
        now: seconds on the presenter's clock.
    """
    if event.turn_id != turn.turn_id or event.sequence <= turn.sequence or not turn.is_running:
        return turn
    return replace(_take(turn, event, now), sequence=event.sequence)


def _take(turn: Turn, event: Event, now: float) -> Turn:
    match event.payload:
        case Queued(position):
            return replace(turn, state="queued", activity=_waiting(position))
        case Notice("model_loading", message):
            return replace(turn, activity=message)
        case Notice() as notice:
            return replace(turn, notices=(*turn.notices, notice))
        case Prompt() as prompt:
            reply = replace(_reply(turn, prompt.step), prompt=prompt)
            return replace(_with_reply(turn, reply), state="thinking", activity=_("Thinking"))
        case Text(step, delta):
            return _with_text(turn, step, delta, now)
        case ExpertCalled() as call:
            return replace(
                turn,
                state="expert",
                activity=_("{expert} starts").format(expert=call.expert),
                experts=(*turn.experts, ExpertRun(call, started=now)),
            )
        case ExpertProgress() | ExpertResult() | ExpertFailed() as news:
            return _with_expert_news(turn, news)
        case Answer() as answer:
            return replace(turn, state="done", activity="", answer=answer, ended=now)
        case Failed(error):
            return replace(turn, state="failed", activity="", error=error, ended=now)
        case Stopped(reason):
            return replace(turn, state="stopped", activity=reason, ended=now)
        case Heartbeat():
            return turn


def _waiting(position: int) -> str:
    if not position:
        return _("Waiting for the model")
    return _("Waiting: {count} before this one").format(count=position)


def _with_text(turn: Turn, step: int, delta: str, now: float) -> Turn:
    reply = _reply(turn, step)
    first = reply.first_text_at if reply.first_text_at is not None else now
    reply = replace(reply, text=reply.text + delta, first_text_at=first)
    activity = _("Calling an expert") if is_call(reply.text) else _("Answering")
    return replace(_with_reply(turn, reply), state="thinking", activity=activity)


def _reply(turn: Turn, step: int) -> Reply:
    return next((reply for reply in turn.replies if reply.step == step), Reply(step))


def _with_reply(turn: Turn, reply: Reply) -> Turn:
    others = [other for other in turn.replies if other.step != reply.step]
    return replace(turn, replies=tuple(sorted([*others, reply], key=lambda one: one.step)))


def _with_expert_news(turn: Turn, news: ExpertProgress | ExpertResult | ExpertFailed) -> Turn:
    experts = tuple(
        _expert_after(run, news) if run.call.call_id == news.call_id else run for run in turn.experts
    )
    if isinstance(news, ExpertProgress):
        return replace(turn, experts=experts, state="expert", activity=news.message)
    return replace(turn, experts=experts, state="thinking", activity=_("Reading the result"))


def _expert_after(run: ExpertRun, news: ExpertProgress | ExpertResult | ExpertFailed) -> ExpertRun:
    match news:
        case ExpertProgress(fraction=fraction, message=message):
            return replace(run, fraction=fraction, message=message)
        case ExpertResult():
            return replace(run, fraction=1.0, result=news)
        case ExpertFailed():
            return replace(run, failure=news)
