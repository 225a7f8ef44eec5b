"""Puts the service together with the processes behind it, and runs it."""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.loop import Conversation
from inference_backend.conversation.model_cards import compose_cards
from inference_backend.conversation.prompting import beginning
from inference_backend.runtime.expert_process import ExpertProcess, LoadInstalledExperts
from inference_backend.runtime.model_process import LoadVilaM3, ModelProcess
from inference_backend.runtime.supervisor import RestartPolicy
from inference_backend.runtime.watchdog import SilenceLimits
from inference_backend.service.app import create_app
from inference_backend.service.server import address, listen, print_ready_line, run_server
from inference_backend.service.settings import ServiceSettings
from inference_backend.store.folder import ServiceFolder
from inference_backend.store.store import Store
from inference_backend.vila_m3.precision import Precision
from inference_backend.weights.candidates import candidates
from inference_backend.weights.catalogue import Catalogue, read_catalogue
from inference_backend.weights.download import Downloader
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.manager import WeightsManager
from VILAM3SlicerLib.protocol.errors import InvalidRequest
from VILAM3SlicerLib.protocol.messages import PromptLayout
from VILAM3SlicerLib.protocol.places import ADDRESS_FILE, KEY_FILE, store_folder

KEY_VARIABLE = "VILAM3_KEY"
MIN_KEY_LENGTH = 16
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


@dataclass(frozen=True)
class ServeOptions:
    """How ``python -m inference_backend serve`` was called."""

    model: str | None = None
    precision: Precision | None = None
    host: str = "127.0.0.1"
    port: int = 0
    allow_remote: bool = False
    key_file: Path | None = None
    device: str = "auto"
    store: Path | None = None
    keep_scans: bool = False
    parent_pid: int | None = None
    watch_stdin: bool = False
    prompt_layout: PromptLayout | None = None
    hung_after: float = SilenceLimits.working


def serve(options: ServeOptions) -> None:
    """Run the backend until it is told to end.

    Raises:
        InvalidRequest: the options cannot be served; the message says why.
        NotFound, WeightsMissing, ConsentNeeded: the model that is wanted cannot be loaded.
    """
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    check_host(options.host, options.allow_remote)
    catalogue, weights = read_catalogue(), WeightsFolder()
    load = what_to_load(options, catalogue, weights)
    listener = listen(options.host, options.port)
    with listener, ServiceFolder(options.store or store_folder(), options.keep_scans) as folder:
        key, key_file = find_key(options.key_file, folder.path)
        store = Store(folder)
        policy = RestartPolicy(silence=SilenceLimits(options.hung_after))
        model = ModelProcess(load, policy=policy)
        experts = ExpertProcess(
            LoadInstalledExperts(options.device), store, policy=policy, make_room=model.make_room
        )
        model.reads_ahead(lambda: what_conversations_begin_with(experts))
        settings = ServiceSettings(key, _hosts(options.host))
        manager = WeightsManager(catalogue, Downloader(weights))
        app = create_app(
            settings, store, model, experts, Conversation(model, experts, store).run, weights=manager
        )
        url = address(listener)

        def ready() -> None:
            if key_file == str(folder.path / KEY_FILE):  # so that a front end of the same person finds it
                _write_for_owner(folder.path / ADDRESS_FILE, url)
            print_ready_line(url, key_file)

        run_server(app, listener, ready, options.parent_pid, options.watch_stdin)


async def what_conversations_begin_with(experts: ExpertProcess) -> list[Message]:
    """The cards of the experts, once it is known which can run. Raises VilaM3Error where none ever can."""
    await experts.until_ready()
    return beginning(compose_cards(experts.offered()))


def what_to_load(options: ServeOptions, catalogue: Catalogue, weights: WeightsFolder) -> LoadVilaM3:
    """The checkpoints among which the model's process chooses.

    Raises:
        NotFound, WeightsMissing, ConsentNeeded, InvalidRequest: the model that is wanted cannot be loaded.
    """
    found = candidates(options.model, catalogue, weights)
    experts = [entry.memory_bytes or 0 for entry in catalogue if weights.state(entry) == "present"]
    reserved = max(experts, default=0)
    return LoadVilaM3(found, options.device, options.precision, reserved, options.prompt_layout)


def check_host(host: str, allow_remote: bool) -> None:
    """Refuse to be reached from other machines unless that was asked for.

    Raises:
        InvalidRequest: no IP address, or one that other machines reach.
    """
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise InvalidRequest(f"'{host}' is not an IP address.", "Use --host 127.0.0.1.") from None
    if not is_loopback and not allow_remote:
        raise InvalidRequest(
            f"With --host {host} other machines could reach the scans, over an unencrypted connection.",
            "Use --host 127.0.0.1, or add --allow-remote if that is really wanted (behind a TLS proxy).",
        )


def find_key(key_file: Path | None, folder: Path) -> tuple[str, str | None]:
    """The key and the file that holds it: the given file, the environment, or a new random one.

    A new key is written, for its owner only, to ``key_file`` or, without one, into ``folder``.

    Raises:
        InvalidRequest: the key is too short to be safe.
    """
    if key_file is not None and key_file.exists():
        return _checked(key_file.read_text().strip(), str(key_file)), str(key_file)
    if key_file is None and KEY_VARIABLE in os.environ:
        return _checked(os.environ[KEY_VARIABLE].strip(), KEY_VARIABLE), None
    path = key_file or folder / KEY_FILE
    key = secrets.token_urlsafe(32)
    _write_for_owner(path, key)
    return key, str(path)


def _write_for_owner(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _checked(key: str, source: str) -> str:
    if len(key) < MIN_KEY_LENGTH:
        raise InvalidRequest(
            f"The key in {source} has fewer than {MIN_KEY_LENGTH} characters.", "Use a longer random one."
        )
    return key


def _hosts(host: str) -> frozenset[str]:
    """The names under which the service may be addressed; any, where other machines may reach it."""
    loopback = frozenset({"127.0.0.1", "localhost", "::1"})
    return loopback | {host} if host == "localhost" or ipaddress.ip_address(host).is_loopback else frozenset()
