"""The terminal says which model answers, from the status that the backend gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_backend.installation import model_report
from Testing.inference_backend.service.running import KEY, running


def test_it_waits_until_the_model_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    with running(tmp_path / "store") as service:
        model_report.tell_when_loaded(service.url, str(key_file)).join(10)
    assert capsys.readouterr().out == "The model: fake-m3 on cpu.\n"


def test_a_model_that_failed_is_told_with_the_reason() -> None:
    status = {"readiness": "failed", "detail": "VILA-M3-8B does not fit.", "model": None}
    assert model_report.text(status) == "The model could not be loaded: VILA-M3-8B does not fit."


def test_why_this_one_is_told() -> None:
    model = {"name": "VILA-M3-8B", "device": "cuda", "chosen_because": "VILA-M3-8B in int8: 11.8 of 16 GB."}
    status = {"readiness": "ready", "detail": "", "model": model}
    assert model_report.text(status) == "The model: VILA-M3-8B on cuda. VILA-M3-8B in int8: 11.8 of 16 GB."


def test_a_backend_that_is_gone_is_no_error_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text(KEY)
    model_report.tell_when_loaded("http://127.0.0.1:9", str(tmp_path / "key")).join(10)
    assert capsys.readouterr().out == ""
