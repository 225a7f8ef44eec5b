"""Programs, settings and a backend's interpreter for tests: real processes on a running asyncio loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class AsyncioProgram:
    """Implements ``connection.programs.Program``."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self._closed = False

    def close_input(self) -> None:
        self._closed = True
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def wait(self, seconds: float) -> bool:
        return self.process is None or self.process.returncode is not None

    async def run(
        self, command: Sequence[str], environment: Mapping[str, str], on_output: Any, on_log: Any, on_end: Any
    ) -> None:
        pipe = asyncio.subprocess.PIPE
        try:
            self.process = await asyncio.create_subprocess_exec(
                *command, env=dict(environment), stdin=pipe, stdout=pipe, stderr=pipe
            )
        except OSError:
            on_end(None)
            return
        if self._closed:
            self.close_input()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        await asyncio.gather(_lines(self.process.stdout, on_output), _lines(self.process.stderr, on_log))
        on_end(await self.process.wait())


async def _lines(stream: asyncio.StreamReader, tell: Callable[[str], None]) -> None:
    async for line in stream:
        tell(line.decode().rstrip("\n"))


class AsyncioPrograms:
    """Implements ``connection.programs.Programs``; ``commands`` are those that were started."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.environments: list[Mapping[str, str]] = []
        self._programs: list[tuple[AsyncioProgram, asyncio.Task[None]]] = []

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], **callbacks: Any
    ) -> AsyncioProgram:
        self.commands.append(list(command))
        self.environments.append(environment)
        program = AsyncioProgram()
        task = asyncio.get_running_loop().create_task(program.run(command, environment, **callbacks))
        self._programs.append((program, task))
        return program

    async def end(self) -> None:
        """End all that still runs."""
        for program, task in self._programs:
            if not task.done():
                program.kill()
            await asyncio.gather(task, return_exceptions=True)


class DictStore(dict[str, str]):
    """Implements ``connection.settings.SettingsStore``."""

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return super().get(name, default)

    def set(self, name: str, value: str) -> None:
        self[name] = value


BACKEND = """#!{python}
import json, os, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        good = self.headers["Authorization"] == "Bearer " + os.environ["VILAM3_KEY"]
        body = json.dumps({status} if good else {{"error": {{"code": "unauthorized", "message": "Wrong."}}}})
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
        if os.path.exists({crash!r}):
            os._exit(9)
    def log_message(self, *arguments):
        print("a line of the log", file=sys.stderr, flush=True)

if len(sys.argv) < 8 or sys.argv[5:7] != ["inference_backend", "serve"]:
    sys.exit("wrong command: " + " ".join(sys.argv))
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({{"url": "http://127.0.0.1:%d" % server.server_port, "pid": os.getpid()}}), flush=True)
sys.stdin.read()
"""


def backend_python(folder: Path, status: Mapping[str, Any]) -> Path:
    """An "interpreter" that serves ``status`` whatever it is to run, until its input is closed.

    It crashes at the next request once the file ``crash`` is in the folder.
    """
    path = folder / "backend_python"
    text = BACKEND.format(python=sys.executable, status=dict(status), crash=str(folder / "crash"))
    path.write_text(text)
    path.chmod(0o755)
    return path


SETUP = """
import json, pathlib, sys, time
folder = pathlib.Path(sys.argv[sys.argv.index("--folder") + 1])
def tell(**line):
    print(json.dumps(line), flush=True)
def step(number, state, detail="", fraction=None):
    tell(kind="step", number=number, total=2, title="Step", state=state, seconds=1, detail=detail,
         fraction=fraction)
if sys.argv[1] == "uninstall":
    (folder / "installed.json").unlink()
    tell(kind="removed", text="gone")
elif "--plan" in sys.argv:
    tell(folder=str(folder), state="absent", steps=["Step"], download_bytes=3_000_000_000,
         disk_bytes=10, free_bytes=20, installed_bytes=5_700_000_000, weights_bytes=1_200_000_000,
         licences=[["PyTorch", "BSD"]], python="3.12.1")
elif (folder / "full").exists():
    print("OSError: No space left on device", file=sys.stderr)
    tell(kind="failed", code="out_of_space", message="The disk is full.", hint="Free some space.")
    sys.exit(5)
else:
    step(1, "running", "downloading (1 of 4 MB)", 0.25)
    if (folder / "slow").exists():
        sys.stdin.read()
        sys.exit(130)
    step(1, "done")
    step(2, "done")
    record = {"state": "complete", "source": "s", "python": PYTHON, "base_python": sys.executable}
    (folder / "installed.json").write_text(json.dumps(record))
    tell(kind="installed", text="done")
"""


def setup_source(folder: Path, python: Path) -> Path:
    """A folder with a ``setup_backend.py`` that installs in no time what ``python`` then runs."""
    folder.mkdir()
    (folder / "setup_backend.py").write_text(SETUP.replace("PYTHON", repr(str(python))))
    return folder
