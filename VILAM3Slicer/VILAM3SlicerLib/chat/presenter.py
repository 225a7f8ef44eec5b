"""The conversation: what a view shows and what a person may do now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

from VILAM3SlicerLib.chat.archive import Archive, Packer
from VILAM3SlicerLib.chat.decision import Choice, Decision
from VILAM3SlicerLib.chat.delivery import Delivery
from VILAM3SlicerLib.chat.fetching import Fetching
from VILAM3SlicerLib.chat.fold import fold
from VILAM3SlicerLib.chat.history import chat_request
from VILAM3SlicerLib.chat.images import ImageShelf
from VILAM3SlicerLib.chat.interfaces import Host, PackedScan, Scene, Transport
from VILAM3SlicerLib.chat.sending import Sending
from VILAM3SlicerLib.chat.stepping import Stepping
from VILAM3SlicerLib.chat.turn import Question, QuestionImage, QuestionSequence, Turn
from VILAM3SlicerLib.protocol.characters import whole_characters
from VILAM3SlicerLib.protocol.errors import InvalidRequest, TooLarge, VilaM3Error
from VILAM3SlicerLib.protocol.events import Event, ExpertResult, Notice, Prompt
from VILAM3SlicerLib.protocol.messages import ModelDescription, ViewMode
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

MAX_QUESTION = 8000
"""Characters, where the backend names no limit."""


@dataclass(frozen=True)
class Allowed:
    """What the person may do now."""

    ask: bool
    stop: bool
    undo: bool


class Presenter:
    """One conversation about one scan. It owns the turns; ``on_change`` is called after each change.

    ``decisions`` are what the person is asked beside it, each until ``decide``.
    ``on_settled`` is called after each change that leaves nothing on the way (``is_settled``), ``on_trouble``
    where undoing or deciding did not go well. ``max_question`` and ``model`` are what the backend says of
    itself, set by the front end.
    All methods are to be called on the user interface's thread and return at once.
    """

    def __init__(self, transport: Transport, scene: Scene, host: Host) -> None:
        self.turns: tuple[Turn, ...] = ()
        self.decisions: tuple[Decision, ...] = ()
        self.shelf = ImageShelf()
        self.on_change: Callable[[], None] = lambda: None
        self.on_settled: Callable[[], None] = lambda: None
        self.on_trouble: Callable[[VilaM3Error], None] = lambda _error: None
        self.max_question = MAX_QUESTION
        self.model: ModelDescription | None = None
        self._transport = transport
        self._scene = scene
        self._host = host
        self._session = str(uuid4())
        self._delivery: Delivery | None = None
        self._sending: Sending | None = None
        self._stopping = ""
        self._packer = Packer()
        self._stepping = Stepping(host)
        self._fetching = Fetching(
            transport,
            scene,
            host,
            self.shelf,
            stepping=self._stepping,
            is_wanted=lambda turn_id: self.turn(turn_id) is not None,
            on_end=self._after_work,
            on_trouble=self._cannot_show,
        )

    @property
    def is_settled(self) -> bool:
        """Whether nothing runs and everything that the answers refer to has been fetched or given up."""
        return self.running is None and self._fetching.pending == 0 and not self._stepping.is_running

    @property
    def session(self) -> str:
        """The name of this conversation on the wire."""
        return self._session

    @property
    def running(self) -> Turn | None:
        """The turn that has not ended, if any."""
        return self.turns[-1] if self.turns and self.turns[-1].is_running else None

    @property
    def allowed(self) -> Allowed:
        """What the person may do now."""
        running = self.running is not None
        return Allowed(ask=not running, stop=running, undo=bool(self.turns) and not running)

    def ask(self, text: str, modality: str, mode: ViewMode) -> Turn:
        """Ask about what is on the screen now.

        Raises:
            InvalidRequest: there is no question, it is too long, or a turn is still running.
            SceneError: there is nothing on the screen to ask about.
        """
        text = self._checked(text)
        images, work = self._scene.capture(mode), self._scene.pack_volumes()
        question = Question(text, modality, images, marks=self._scene.take_marks())
        activity = _("Preparing the scan")
        turn = Turn(str(uuid4()), question, self._host.now(), activity=activity, model=self.model)
        self.turns = (*self.turns, turn)
        self._delivery = None
        if work is None:
            self._send(turn.turn_id)
        else:
            self._host.in_background(work, self._put_volumes(turn.turn_id), self._fail(turn.turn_id))
        self._changed()
        return turn

    def ask_again(self, turn_id: str, modality: str, mode: ViewMode) -> Turn | None:
        """Ask a question once more about what is on the screen now, with its points and box; those that were
        placed meanwhile wait for the next question.

        Raises:
            InvalidRequest, SceneError: see ``ask``.
        """
        turn = self.turn(turn_id)
        if turn is None:
            return None
        text = self._checked(turn.question.text)
        placed = self._scene.take_marks()
        self._scene.put_marks(turn.question.marks)
        try:
            return self.ask(text, modality, mode)
        finally:
            self._scene.take_marks()
            self._scene.put_marks(placed)

    def stop(self) -> None:
        """Stop the running turn; what has been said stays."""
        turn = self.running
        if turn is None:
            return
        if self._delivery is None:
            ended = self._host.now()
            self._update(
                replace(turn, state="stopped", activity=_("Stopped before it was sent."), ended=ended)
            )
            self._stop_sending()
        else:
            self._stopping = turn.turn_id
            self._update(replace(turn, activity=_("Stopping")))
            self._transport.cancel_turn(turn.turn_id)

    def undo(self) -> Turn | None:
        """Take back the last turn with its segments; returns it, so that its question can be edited.

        Points and box of the question are in the views again, unless others were placed meanwhile.
        """
        if not self.allowed.undo:
            return None
        turn = self.turns[-1]
        self.turns = self.turns[:-1]
        self._drop_decisions(turn.turn_id)
        self._work(self._scene.remove_results(turn.turn_id))
        self._changed()
        if turn.question.marks:
            self._scene.put_marks(self._scene.take_marks() or turn.question.marks)
        return turn

    def decide(self, decision: Decision, choice: Choice) -> None:
        """Do what the person chose; a decision that was made, or lost its matter, is passed over."""
        if decision not in self.decisions:
            return
        self.decisions = tuple(one for one in self.decisions if one is not decision)
        if choice.act is not None:
            self._work(choice.act())
        self._changed()

    def start_over(self) -> None:
        """Begin a new conversation about the same scan; segments shown are left to the scene."""
        self._forget()
        self._changed()

    def restore(self, archive: Archive) -> None:
        """Go on with a conversation that was kept with a scan, in place of the present one."""
        self._forget()
        for name, png in archive.images.items():
            self.shelf.put(name, png)
        self.turns = archive.turns
        self._changed()

    def leave(self, why: str) -> None:
        """End the conversation here, for another scan; what there is of it is kept with its own.

        Args:
            why: what is said of an answer that is on the way.
        """
        running = self.running
        self._cut_off()
        self._stepping.finish()
        if running is not None:
            ended = self._host.now()
            self._update(replace(running, state="stopped", activity=why, ended=ended))
        self._scene.keep_conversation(self._packer.pack(self.turns, self.shelf))
        self._forget()

    def _forget(self) -> None:
        self._cut_off()
        self.turns = ()
        self.decisions = ()
        self.shelf.clear()
        self._session = str(uuid4())

    def _cut_off(self) -> None:
        """Send and hear no more of the running turn, and have the backend end it."""
        self._stop_sending()
        if self._delivery is not None:
            self._delivery.abandon()
            if self.running is not None:
                self._transport.cancel_turn(self.running.turn_id)
        self._delivery = None

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.stop()
        self._sending = None

    def turn(self, turn_id: str) -> Turn | None:
        """The turn of that name, if it is still part of the conversation."""
        return next((turn for turn in self.turns if turn.turn_id == turn_id), None)

    def _checked(self, text: str) -> str:
        text = whole_characters(text).strip()
        if self.running is not None:
            raise InvalidRequest(
                _("The last question is still being answered."), _("Stop it or wait for its end.")
            )
        if not text:
            raise InvalidRequest(_("There is no question."), _("Type what you want to know about the scan."))
        if len(text) > self.max_question:
            raise TooLarge(
                _("The question has {count:,} characters; the limit is {limit:,}.").format(
                    count=len(text), limit=self.max_question
                ),
                _("Shorten it. The conversation so far is kept."),
            )
        return text

    def _put_volumes(self, turn_id: str) -> Callable[[PackedScan], None]:
        def put(scan: PackedScan) -> None:
            turn = self.turn(turn_id)
            if turn is not None and turn.is_running:
                self._update(replace(turn, question=_about(turn.question, scan)))
                self._sending = self._sender(turn_id)
                self._sending.start(scan.volumes)

        return put

    def _sender(self, turn_id: str) -> Sending:
        """What sends the volumes of a turn, then its question; a turn that has ended sends no more."""

        def show(words: str, fraction: float | None) -> bool:
            turn = self.turn(turn_id)
            if turn is None or turn.state != "sending":
                return False
            self._update(replace(turn, activity=words, fraction_sent=fraction))
            return True

        return Sending(self._transport, self._host, show, lambda: self._send(turn_id), self._fail(turn_id))

    def _send(self, turn_id: str) -> None:
        turn = self.turn(turn_id)
        if turn is None or not turn.is_running:
            return
        self._update(replace(turn, activity=_("Sending the question"), fraction_sent=None))
        past = [one for one in self.turns if one.turn_id != turn_id]
        request = chat_request(past, turn, self._session, self.shelf)
        self._delivery = Delivery(
            self._transport,
            self._host,
            turn_id,
            self._take,
            self._refused(turn_id, bool(self.shelf.at_backend)),
        )
        self._delivery.start(request)

    def _refused(self, turn_id: str, sent_by_name: bool) -> Callable[[VilaM3Error], None]:
        """A backend that was started anew knows no images: send them whole, once."""

        def refused(error: VilaM3Error) -> None:
            if error.code == "image_unknown" and sent_by_name:
                self.shelf.forget_backend()
                self._send(turn_id)
            else:
                self._fail(turn_id)(error)

        return refused

    def _take(self, event: Event) -> None:
        turn = self.turn(event.turn_id)
        if turn is None:
            return
        if event.sequence == 1:
            self.shelf.at_backend.update(image.sha256 for image in turn.question.images)
            if self._stopping == turn.turn_id:  # asked for before the backend knew the turn
                self._transport.cancel_turn(turn.turn_id)
        turn = fold(turn, event, self._host.now())
        self._update(turn)
        self._follow_up(turn, event)

    def _follow_up(self, turn: Turn, event: Event) -> None:
        match event.payload:
            case Prompt(images=images):
                for image in images:
                    self._fetching.image(image.seen)
            case ExpertResult() as result:
                self._fetching.image(result.feedback_image)
                for heat in result.heat_maps:
                    self._fetching.image(heat.image)
                self._fetching.result(turn.turn_id, result)

    def _work(self, steps: Iterator[None]) -> None:
        self._stepping.run(steps, self._after_work, self._after_trouble)

    def _after_work(self, decision: Decision | None) -> None:
        if decision is not None:
            self.decisions = (*self.decisions, decision)
        self._changed()

    def _after_trouble(self, error: VilaM3Error) -> None:
        self.on_trouble(error)
        self._changed()

    def _drop_decisions(self, turn_id: str) -> None:
        self.decisions = tuple(one for one in self.decisions if one.turn_id != turn_id)

    def _cannot_show(self, turn_id: str, error: VilaM3Error) -> None:
        turn = self.turn(turn_id)
        if turn is not None:
            message = _("The segmentation cannot be shown: {why}").format(why=error.message)
            self._update(replace(turn, notices=(*turn.notices, Notice(error.code, message))))

    def _fail(self, turn_id: str) -> Callable[[VilaM3Error], None]:
        def fail(error: VilaM3Error) -> None:
            turn = self.turn(turn_id)
            if turn is not None and turn.is_running:
                ended = self._host.now()
                self._update(replace(turn, state="failed", activity="", error=error.body, ended=ended))

        return fail

    def _changed(self) -> None:
        if self.is_settled:
            self._scene.keep_conversation(self._packer.pack(self.turns, self.shelf))
            self.on_settled()
        self.on_change()

    def _update(self, turn: Turn) -> None:
        self.turns = tuple(turn if one.turn_id == turn.turn_id else one for one in self.turns)
        self._changed()


def _about(question: Question, scan: PackedScan) -> Question:
    """The question with the hashes of what it is about."""
    main = scan.volume.sha256
    sequences = tuple(QuestionSequence(one.role, one.name, one.volume.sha256) for one in scan.sequences)
    shown = [one.volume for one in sequences] if len(sequences) > 1 else []
    shown += [main] * (len(question.images) - len(shown))  # other views are of the scan itself
    images = tuple(_of_volume(*pair) for pair in zip(question.images, shown, strict=True))
    stored = scan.volume.stored_range
    return replace(question, images=images, volume=main, sequences=sequences, stored_range=stored)


def _of_volume(image: QuestionImage, volume: str) -> QuestionImage:
    return replace(image, geometry=replace(image.geometry, volume=volume))
