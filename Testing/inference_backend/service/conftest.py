"""One service for the tests that only ask; those that set limits or clocks start their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from Testing.inference_backend.service.running import RunningService, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running(tmp_path_factory.mktemp("store")) as started:
        yield started
