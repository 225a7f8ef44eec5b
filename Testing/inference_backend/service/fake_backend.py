"""A backend without a model, for work on a front end: real HTTP, answers of a fake.

python -m Testing.inference_backend.service.fake_backend PORT KEY
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from inference_backend.conversation.loop import Conversation
from inference_backend.service.app import create_app
from inference_backend.service.server import address, listen, print_ready_line, run_server
from inference_backend.service.settings import ServiceSettings
from inference_backend.store.folder import ServiceFolder
from inference_backend.store.store import Store
from Testing.inference_backend.service.fakes import FakeExperts, FakeModel
from Testing.inference_backend.service.running import no_weights


def main(port: int, key: str) -> None:
    listener = listen("127.0.0.1", port)
    with TemporaryDirectory() as root, ServiceFolder(Path(root)) as folder:
        store, model, experts = Store(folder), FakeModel(), FakeExperts()
        converse = Conversation(model, experts, store).run
        app = create_app(
            ServiceSettings(key), store, model, experts, converse, weights=no_weights(Path(root))
        )
        url = address(listener)
        run_server(app, listener, lambda: print_ready_line(url, None), None)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
