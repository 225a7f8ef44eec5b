"""The weights of the connected backend: which there are, fetching them with consent, removing them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from VILAM3SlicerLib.chat.interfaces import Host
from VILAM3SlicerLib.connection.diagnosis import answer_error
from VILAM3SlicerLib.connection.http import Http, HttpAnswer, HttpRequest, Method, Receiver
from VILAM3SlicerLib.protocol.codec import from_json
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.weights import LicenceText, WeightsDescription, WeightsJob, WeightsList

ASK_EVERY = 1.0
"""Seconds between two looks at a download."""


@dataclass(frozen=True)
class LicenceQuestion:
    """Licences to be read and accepted before ``name`` is fetched."""

    name: str
    texts: tuple[LicenceText, ...]


@dataclass(frozen=True)
class WeightsState:
    """What a view of the weights shows; ``jobs`` are by name, with how they ended."""

    list: WeightsList | None = None
    jobs: tuple[WeightsJob, ...] = ()
    question: LicenceQuestion | None = None
    error: VilaM3Error | None = None

    def job(self, name: str) -> WeightsJob | None:
        """The download or check of that name, if there was one."""
        return next((job for job in self.jobs if job.id == name), None)


class WeightsDesk:
    """Asks and tells the backend; ``on_change`` is called after each change of ``state``."""

    def __init__(self, http: Callable[[], Http | None], host: Host, person: str) -> None:
        """``http`` gives the way to the connected backend; ``person`` is recorded with a consent."""
        self.state = WeightsState()
        self.on_change: Callable[[], None] = lambda: None
        self._http = http
        self._host = host
        self._person = person

    def refresh(self) -> None:
        """Ask which weights there are; without a backend there are none."""
        if self._http() is None:
            self._set(WeightsState())
        else:
            self._ask("GET", "", lambda body: self._change(list=from_json(WeightsList, body)))

    def download(self, name: str) -> None:
        """Fetch weights, once their licences are accepted: those that are not become ``state.question``."""

        def decide(body: Any) -> None:
            texts = tuple(from_json(LicenceText, one) for one in body)
            if all(text.accepted for text in texts):
                self._begin(name, ())
            else:
                self._change(question=LicenceQuestion(name, texts))

        self._change(error=None, question=None)
        self._ask("GET", f"/{name}/licences", decide)

    def accept(self) -> None:
        """The person has read the licences in question and accepts them: fetch."""
        question = self.state.question
        if question is not None:
            self._change(question=None)
            self._begin(question.name, tuple(text.sha256 for text in question.texts))

    def decline(self) -> None:
        """Nothing is fetched."""
        self._change(question=None)

    def verify(self, name: str) -> None:
        """Compare the files with what they were when they were fetched."""
        self._change(error=None)
        self._ask("POST", f"/{name}/verify", self._job_began)

    def cancel(self, name: str) -> None:
        """Stop a download; the next one goes on from there."""
        self._ask("DELETE", f"/{name}/job", self._note)

    def remove(self, name: str) -> None:
        """Delete weights."""
        self._change(error=None)
        self._ask("DELETE", f"/{name}", lambda _: self.refresh())

    def _begin(self, name: str, accepted: tuple[str, ...]) -> None:
        consent = {"accepted": list(accepted), "accepted_by": self._person}
        self._ask("POST", f"/{name}/download", self._job_began, consent)

    def _job_began(self, body: Any) -> None:
        self._take_job(body)
        self._look_later(from_json(WeightsJob, body).id)

    def _look_later(self, name: str) -> None:
        self._host.later(ASK_EVERY, lambda: self._ask("GET", f"/{name}/job", self._look))

    def _look(self, body: Any) -> None:
        job = self._take_job(body)
        if job.state == "running":
            self._look_later(job.id)
        else:
            self.refresh()

    def _note(self, body: Any) -> None:
        self._take_job(body)

    def _take_job(self, body: Any) -> WeightsJob:
        job = from_json(WeightsJob, body)
        others = tuple(one for one in self.state.jobs if one.id != job.id)
        self._change(jobs=(*others, job))
        return job

    def _ask(
        self, method: Method, path: str, on_body: Callable[[Any], None], body: dict[str, Any] | None = None
    ) -> None:
        http = self._http()
        if http is None:
            self._set(WeightsState())
            return

        def read(answer: HttpAnswer) -> None:
            try:
                if answer.is_error:
                    raise answer_error(answer, http.address)
                on_body(json.loads(answer.body))
            except VilaM3Error as error:
                self._fail(error)

        http.send(_request(method, path, body), Receiver(read, self._fail))

    def _fail(self, error: VilaM3Error) -> None:
        self._change(error=error)

    def _change(self, **changes: Any) -> None:
        self._set(replace(self.state, **changes))

    def _set(self, state: WeightsState) -> None:
        changed, self.state = state != self.state, state
        if changed:
            self.on_change()


def _request(method: Method, path: str, body: dict[str, Any] | None) -> HttpRequest:
    content = None if body is None else json.dumps(body).encode()
    pieces = None if content is None else (content,)
    length = None if content is None else len(content)
    return HttpRequest(method, f"/v1/weights{path}", pieces, length, patience=60.0, is_about_patient=False)


def weights_text(one: WeightsDescription, job: WeightsJob | None) -> str:
    """The state of one item in a few words."""
    if job is not None and job.state == "running" and job.progress is not None:
        progress = job.progress
        left = f", {progress.seconds_left / 60:.0f} min left" if progress.seconds_left is not None else ""
        return f"{progress.done_bytes / 1e9:.1f} of {progress.total_bytes / 1e9:.1f} GB{left}"
    if job is not None and job.state == "failed":
        return job.message
    if job is not None and (job.kind, job.state) == ("download", "done"):
        return "here; used from the next start of the backend on"
    words = {"present": "here", "partial": "in part", "absent": "not here"}
    return words[one.state]
