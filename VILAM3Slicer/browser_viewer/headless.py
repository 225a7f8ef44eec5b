"""Ask one question without a browser, and write what came of it: ``python -m browser_viewer.headless``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from PIL import Image

from browser_viewer.asyncio_host import AsyncioHost
from browser_viewer.backend_client import BackendClient
from browser_viewer.loading import Scan, read_scans
from browser_viewer.outputs import (
    MEASUREMENTS,
    REPORT,
    SEGMENTATION,
    TRANSCRIPT,
    VIEW,
    Problem,
    check_outputs,
    write_transcript,
)
from browser_viewer.overview import LegendLine, compose_overview
from browser_viewer.parent import end_with
from browser_viewer.slicer_views import TITLES, OffscreenViews, add_scan, create_slicer, prepare_rendering
from browser_viewer.terminal import TerminalView
from VILAM3SlicerLib.chat.finding_rows import turn_findings
from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.chat.report_composing import asked_models, compose
from VILAM3SlicerLib.chat.report_exports import ReportHead, markdown
from VILAM3SlicerLib.chat.turn import Turn
from VILAM3SlicerLib.chat.view_mode import default_mode
from VILAM3SlicerLib.chat.words import RESEARCH_USE, model_name
from VILAM3SlicerLib.protocol.errors import InvalidRequest, VilaM3Error
from VILAM3SlicerLib.protocol.messages import BackendStatus, ViewMode
from VILAM3SlicerLib.scene.flat_scans import view_of
from VILAM3SlicerLib.scene.measurements import to_csv
from VILAM3SlicerLib.viewer.scan_scene import ScanScene
from VILAM3SlicerLib.viewer.shown_finding import ShownFinding

PANEL = (600, 800)
"""Rows and columns of one view in view.png."""

EXIT_DONE, EXIT_FAILED, EXIT_INCOMPLETE, EXIT_INTERRUPTED = 0, 1, 3, 130


@dataclass(frozen=True)
class Options:
    """What the command line says; no ``modality`` means as the scan says, no ``mode`` as the model needs."""

    backend: str
    key: str
    volume: Path
    series: str
    ask: str
    output: Path
    modality: str
    mode: ViewMode | None
    parent_pid: int | None = None


class HeadlessRun:
    """One question from the scan to the files."""

    def __init__(self, options: Options, terminal: TerminalView) -> None:
        self._options = options
        self._terminal = terminal
        self._host = AsyncioHost()

    async def run(self) -> int:
        """Do it all; returns the exit status.

        Raises:
            VilaM3Error: the scan or the backend cannot be used.
        """
        if not self._options.ask.strip():
            raise InvalidRequest("There is no question.", 'Give one with --ask "Segment the lungs."')
        client = BackendClient(self._options.backend, self._options.key)
        try:
            scans = await asyncio.to_thread(read_scans, self._options.volume, self._options.series)
            status = await client.wait_until_ready(self._terminal.say)
            return await self._answer(client, scans, status)
        finally:
            await client.close_connections()

    async def _answer(self, client: BackendClient, scans: list[Scan], status: BackendStatus) -> int:
        slicer_app = create_slicer()
        views = OffscreenViews(slicer_app, (PANEL[1], PANEL[0]))
        scene = ScanScene(slicer_app.scene, slicer_app.app_logic, self._host)
        scene.default_modality = self._options.modality
        node, *_ = [add_scan(slicer_app.scene, scan, scene.volumes.patients) for scan in scans]
        scene.check(node)
        scene.take_over(node)
        scene.asked_view = view_of(node)
        views.show(node)
        presenter = Presenter(client, scene, self._host)
        presenter.max_question = status.max_prompt_characters or presenter.max_question
        presenter.model = status.model
        turn = await self._ask(presenter, scene, status)
        self._terminal.finish(turn, self._host.now())
        return await self._write(presenter, scene, views, status)

    async def _ask(self, presenter: Presenter, scene: ScanScene, status: BackendStatus) -> Turn:
        settled = asyncio.Event()

        def show() -> None:
            if presenter.turns:
                self._terminal.show(presenter.turns[-1])
                if presenter.is_settled:
                    settled.set()

        presenter.on_change = show
        modality = self._options.modality or scene.modality
        mode = self._options.mode or default_mode(status.model, modality, scene.asked_plane)
        presenter.ask(self._options.ask, modality, mode)
        await settled.wait()
        return presenter.turns[-1]

    async def _write(
        self, presenter: Presenter, scene: ScanScene, views: OffscreenViews, status: BackendStatus
    ) -> int:
        folder = self._options.output
        turn = presenter.turns[-1]
        write_transcript(folder, presenter.turns, presenter.shelf)
        head = ReportHead(date.today().isoformat(), scene.facts, asked_models(presenter.turns))
        report = markdown(compose(presenter.turns), head)
        (folder / REPORT).write_text(report, encoding="utf-8")
        if turn.segments and scene.rows():
            (folder / MEASUREMENTS).write_text(to_csv(scene.measurements()), encoding="utf-8")
            built = asyncio.Event()
            scene.surfaces.when_done(built.set)
            await built.wait()
            scene.save_segmentation(folder / SEGMENTATION)
            scene.go_to(max(scene.measurements(), key=lambda one: one.volume_ml).segment_id)
            views.fit_threed()
            self._picture(scene, views, status).save(folder / VIEW)
        elif turn.findings:
            strongest = next((row.name for row in turn_findings(turn) if row.source), "")
            if strongest:
                ShownFinding(presenter, scene).toggle(turn.turn_id, strongest)
            self._picture(scene, views, status).save(folder / VIEW)
        return self._verdict(turn, check_outputs(folder, PANEL))

    def _picture(self, scene: ScanScene, views: OffscreenViews, status: BackendStatus) -> Image.Image:
        legend = [LegendLine(row.name, row.size, row.rgb) for row in scene.rows()]
        panels = {title: views.pixels(name) for name, title in TITLES.items()}
        name = model_name(status.model) if status.model else "unknown model"
        return compose_overview(
            panels, f"{self._options.ask.strip()[:70]}", f"{name}. {RESEARCH_USE}", legend
        )

    def _verdict(self, turn: Turn, problems: list[Problem]) -> int:
        folder = self._options.output
        if turn.state != "done":
            self._terminal.say(f"What there was until then is in {folder}: {REPORT} and {TRANSCRIPT}.")
            return EXIT_FAILED
        if not problems:
            self._terminal.say(f"Written to {folder}: view, segmentation, measurements, report, transcript.")
            return EXIT_DONE
        if turn.findings and not turn.segments and TRANSCRIPT not in [problem.file for problem in problems]:
            self._terminal.say(f"Written to {folder}: view with a heat map, report, transcript.")
            return EXIT_DONE
        if not turn.segments:
            self._terminal.say(
                "The model answered without an expert, so there is no segmentation: "
                f"{VIEW}, {SEGMENTATION} and {MEASUREMENTS} were not made. "
                f'The report and the transcript are in {folder}. Ask for one: --ask "Segment the lungs."'
            )
            return EXIT_INCOMPLETE
        for problem in problems:
            self._terminal.say(f"Not complete: {problem.file}: {problem.reason}.")
        return EXIT_INCOMPLETE


def read_key(file: str | None) -> str:
    """The backend's key, from a file or from the variable VILAM3_KEY.

    Raises:
        InvalidRequest: the file cannot be read.
    """
    if file is None:
        return os.environ.get("VILAM3_KEY", "")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidRequest(f"The key file '{file}' cannot be read: {error.strerror}.") from error


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """What both commands of the viewer need."""
    parser.add_argument("--backend", default="http://127.0.0.1:8741", help="address of the backend")
    parser.add_argument("--key-file", help="file with the backend's key (else the variable VILAM3_KEY)")
    parser.add_argument("--parent-pid", type=int, help="end when this process has ended")
    parser.add_argument(
        "--series",
        default="",
        help="which DICOM series of a folder, by its number; all: the sequences of a study",
    )


def _parse(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="browser_viewer.headless", description=__doc__)
    add_common_arguments(parser)
    parser.add_argument("--volume", type=Path, required=True, help="NIfTI, NRRD, MHA or DICOM folder")
    parser.add_argument("--ask", required=True, help="the question")
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    parser.add_argument("--modality", default="", help="CT, MRI, CXR, US; as the scan says if left out")
    parser.add_argument("--mode", choices=("as_seen", "published"), help="image for the model")
    values = parser.parse_args(arguments)
    return Options(
        values.backend,
        read_key(values.key_file),
        values.volume,
        values.series,
        values.ask,
        values.output,
        values.modality,
        values.mode,
        values.parent_pid,
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest(
            f"The folder '{folder}' cannot be made: {error.strerror}.", "Choose another with --output."
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    terminal = TerminalView()
    try:
        options = _parse(arguments)
        end_with(options.parent_pid)
        _make_folder(options.output)
        prepare_rendering()
        return asyncio.run(HeadlessRun(options, terminal).run())
    except VilaM3Error as error:
        terminal.say(f"{error.message} {error.hint}".strip())
        return EXIT_FAILED
    except OSError as error:
        terminal.say(
            f"The files cannot be written ({error.strerror or error}). Free some space or choose another."
        )
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
