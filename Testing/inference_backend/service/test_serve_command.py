"""``python -m inference_backend serve`` as set-up and viewer start it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from inference_backend import __main__ as command_line
from inference_backend.serve import ServeOptions, check_host, find_key
from inference_backend.store.folder import ServiceFolder
from VILAM3SlicerLib.protocol.errors import InvalidRequest
from VILAM3SlicerLib.protocol.places import ADDRESS_FILE, KEY_FILE, SERVICE_FOLDERS


def command(folder: Path, *more: str) -> list[str]:
    """A backend whose checkpoint is not there: it serves, and says so."""
    serve = [sys.executable, "-m", "inference_backend", "serve", "--model", str(folder / "no_checkpoint")]
    return [*serve, "--store", str(folder / "store"), "--device", "cpu", *more]


def environment(repository: Path) -> dict[str, str]:
    path = os.pathsep.join((str(repository), str(repository / "VILAM3Slicer")))
    clean = {name: value for name, value in os.environ.items() if name != "VILAM3_KEY"}
    return {**clean, "PYTHONPATH": path}


@contextmanager
def served(
    repository: Path, folder: Path, *more: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process and its ready line."""
    pipe = subprocess.PIPE
    pipes: Any = {"stdin": pipe, "stdout": pipe, "stderr": (folder / "log").open("w"), "text": True}
    process = subprocess.Popen(command(folder, *more), env=environment(repository), **pipes)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        pipes["stderr"].close()


def test_it_tells_where_it_is_serves_with_a_random_key_and_leaves_nothing(
    repository: Path, tmp_path: Path
) -> None:
    with served(repository, tmp_path) as (process, ready):
        assert set(ready) == {"url", "pid", "key_file"}
        assert ready["pid"] == process.pid
        key_file = Path(ready["key_file"])
        key = key_file.read_text()
        assert len(key) >= 32
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(key_file.parent.stat().st_mode) == 0o700
        assert httpx.get(f"{ready['url']}/healthz").status_code == 200
        assert httpx.get(f"{ready['url']}/v1/status").status_code == 401
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{ready['url']}/v1/status", headers=headers).json()["readiness"] in (
            "loading",
            "failed",
        )
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        psutil.wait_procs(children, timeout=5)
        assert not [child for child in children if child.is_running() and child.status() != "zombie"]
        assert not list((tmp_path / "store").glob("service-*"))
        assert key not in (tmp_path / "log").read_text()


def test_ctrl_c_ends_it_without_a_traceback_and_a_port_in_use_is_told(
    repository: Path, tmp_path: Path
) -> None:
    key_file = tmp_path / "key"
    with served(repository, tmp_path, "--key-file", str(key_file)) as (process, ready):
        assert ready["key_file"] == str(key_file)
        port = ready["url"].rsplit(":", 1)[1]
        second = subprocess.run(
            command(tmp_path, "--port", port), env=environment(repository), capture_output=True, text=True
        )
        assert second.returncode == 2
        assert f"Port {port} of 127.0.0.1 is in use" in second.stderr
        assert "--port" in second.stderr
        assert "Traceback" not in second.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert key_file.exists()


def test_it_ends_with_the_program_that_started_it_and_killed_it_is_wiped_by_the_next(
    repository: Path, tmp_path: Path
) -> None:
    starter = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with served(repository, tmp_path, "--parent-pid", str(starter.pid)) as (process, _):
        starter.communicate(b"\n")
        assert process.wait(60) == 0
    with served(repository, tmp_path) as (process, _):
        (left,) = (tmp_path / "store").glob("service-*")
        (left / "volumes" / "scan.nrrd").write_text("a scan")
        process.kill()
        process.wait()
    assert (left / "volumes" / "scan.nrrd").exists()
    with ServiceFolder(tmp_path / "store"):
        assert not left.exists()


def test_it_ends_in_good_order_when_its_input_is_closed(repository: Path, tmp_path: Path) -> None:
    with served(repository, tmp_path, "--watch-stdin") as (process, _):
        (folder,) = (tmp_path / "store").glob("service-*")
        process.stdin.close()
        assert process.wait(60) == 0
        assert not folder.exists()


def test_a_front_end_of_the_same_person_finds_it_by_its_folder(repository: Path, tmp_path: Path) -> None:
    with served(repository, tmp_path) as (_, ready):
        (folder,) = (tmp_path / "store").glob(SERVICE_FOLDERS)
        assert (folder / ADDRESS_FILE).read_text() == ready["url"]
        assert stat.S_IMODE((folder / ADDRESS_FILE).stat().st_mode) == 0o600
        assert (folder / KEY_FILE) == Path(ready["key_file"])


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "8.8.8.8"])
def test_other_machines_are_kept_out_unless_allowed(host: str) -> None:
    with pytest.raises(InvalidRequest, match="other machines"):
        check_host(host, allow_remote=False)
    check_host(host, allow_remote=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_is_served(host: str) -> None:
    check_host(host, allow_remote=False)


def test_a_host_that_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="not an IP address"):
        check_host("evil.example", allow_remote=True)


def test_the_key_comes_from_the_file_then_the_environment_then_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VILAM3_KEY", raising=False)
    first, path = find_key(None, tmp_path)
    second, _ = find_key(None, tmp_path)
    assert path == str(tmp_path / "key")
    assert first != second
    monkeypatch.setenv("VILAM3_KEY", "from the environment")
    assert find_key(None, tmp_path) == ("from the environment", None)
    given = tmp_path / "given"
    given.write_text("the key in the file\n")
    assert find_key(given, tmp_path) == ("the key in the file", str(given))
    given.write_text("short")
    with pytest.raises(InvalidRequest, match="fewer than 16"):
        find_key(given, tmp_path)


def test_importing_the_whole_service_leaves_torch_out(repository: Path) -> None:
    heavy = "{'torch', 'transformers', 'monai', 'scipy'}"
    code = f"import inference_backend.serve, sys; print({heavy} & set(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment(repository), capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"


def test_the_port_is_free_again_at_once(repository: Path, tmp_path: Path) -> None:
    from inference_backend.service.server import listen

    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            pass
    listen("127.0.0.1", port).close()


@pytest.mark.parametrize("given", ["0", "-5", "0.5", "inf", "nan", "soon"])
def test_a_time_after_which_everything_would_count_as_hung_is_refused(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(["serve", f"--hung-after={given}"])
    assert ended.value.code == 2
    assert "--hung-after" in capsys.readouterr().err


def test_a_time_is_passed_on_and_generous_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    served_with: list[ServeOptions] = []
    monkeypatch.setattr(command_line, "serve", served_with.append)
    assert command_line.main(["serve", "--hung-after", "900"]) == 0
    assert command_line.main(["serve"]) == 0
    assert [options.hung_after for options in served_with] == [900, 300]
