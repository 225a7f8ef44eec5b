"""Nothing gets in without the key, under a foreign name, or too large; and no answer betrays anything."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from inference_backend.service.settings import Limits
from Testing.inference_backend.service.running import RunningService, error_of, running


def every_route(service: RunningService) -> list[tuple[str, str]]:
    """Methods and paths as the OpenAPI document names them, and the document's own."""
    paths = service.app.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods] + [
        ("GET", "/openapi.json")
    ]


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", "Basic {key}", "{key}", "Bearer {key}x", "Bearer é"]
)
def test_every_route_but_health_wants_the_key(service: RunningService, authorization: str | None) -> None:
    key = service.http.headers["Authorization"].removeprefix("Bearer ")
    headers = {} if authorization is None else {"Authorization": authorization.format(key=key).encode()}
    routes = every_route(service)
    assert len(routes) >= 12
    with service.without_key() as http:
        answers = {route: http.request(*route, headers=headers) for route in routes}
    assert answers.pop(("GET", "/healthz")).json() == {"status": "ok"}
    for (method, _), response in answers.items():
        assert response.status_code == 401
        assert method == "HEAD" or error_of(response) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


def test_the_openapi_document_names_every_route(service: RunningService) -> None:
    named = {path for _, path in every_route(service)}
    routes = [route for route in _flatten(service.app.routes) if isinstance(route, APIRoute)]
    assert {route.path for route in routes} <= named
    assert all(route.include_in_schema for route in routes)


def _flatten(routes: list[object]) -> list[object]:
    found: list[object] = []
    for route in routes:
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        found += _flatten(inner) if inner is not None else [route]
    return found


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/", "/HEALTHZ", "/healthz/", "//healthz"])
def test_unknown_paths_say_nothing_without_the_key(service: RunningService, path: str) -> None:
    with service.without_key() as http:
        assert error_of(http.get(service.url + path)) == (401, "unauthorized")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]:80", ""]
)
def test_a_foreign_name_is_refused(service: RunningService, host: str) -> None:
    response = service.http.get("/v1/status", headers={"Host": host})
    assert error_of(response) == (421, "wrong_host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:1", "[::1]:80"])
def test_loopback_names_are_served(service: RunningService, host: str) -> None:
    assert service.http.get("/v1/status", headers={"Host": host}).status_code == 200


def test_pages_of_other_origins_get_no_permission(service: RunningService) -> None:
    response = service.http.options(
        "/v1/chat/completions",
        headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert error_of(response) == (405, "method_not_allowed")
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_large_body_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(chat_body_bytes=1000, volume_body_bytes=2000)) as service:
        announced = service.http.post("/v1/chat/completions", content=b" " * 1001)
        assert error_of(announced) == (413, "too_large")
        unannounced = service.http.post(
            "/v1/chat/completions",
            content=(b" " * 100 for _ in range(11)),
            headers={"Content-Type": "application/json"},
        )
        assert error_of(unannounced) == (413, "too_large")
        volume = f"/v1/volumes/{'0' * 64}"
        assert error_of(service.http.put(volume, content=b" " * 2001)) == (413, "too_large")
        pieces = (b" " * 100 for _ in range(21))
        assert error_of(service.http.put(volume, content=pieces)) == (413, "too_large")
        assert not list((service.folder / "volumes").iterdir())


def test_what_front_ends_ask_every_few_seconds_does_not_crowd_the_log(
    service: RunningService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    service.http.get("/v1/status")
    service.http.get("/v1/status", headers={"Authorization": "Bearer wrong"})
    service.http.get("/v1/models")
    lines = [record.getMessage() for record in caplog.records if "route=" in record.getMessage()]
    assert len(lines) == 2
    assert "status=401" in lines[0]
    assert "route=/v1/models" in lines[1]


def test_the_log_has_routes_and_times_but_no_text_no_key_and_no_names(
    service: RunningService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = service.ask("Mrs Jane Doe, explode", session="Doe's session")
    service.events(body)
    service.http.get("/v1/turns/jane-doe/events?after=1&name=Doe")
    service.http.post("/v1/chat/completions", json={"messages": [{"role": "Jane Doe", "content": 7}]})
    ours = [record for record in caplog.records if record.name.startswith(("inference_backend", "uvicorn"))]
    text = "\n".join(record.getMessage() + str(record.exc_info or "") for record in ours)
    assert "route=/v1/chat/completions status=200" in text
    assert "route=/v1/turns/{turn_id}/events status=404" in text
    assert "ZeroDivisionError" in text
    for secret in ("Doe", "doe", "Mrs", service.http.headers["Authorization"]):
        assert secret not in text


def test_a_malformed_request_is_told_by_field_without_its_value(service: RunningService) -> None:
    response = service.http.post(
        "/v1/chat/completions", json={"messages": [{"role": "Jane Doe", "content": "x"}]}
    )
    assert error_of(response) == (422, "invalid_request")
    assert "messages.0.role" in response.text
    assert "Doe" not in response.text
    headers = {"Content-Type": "application/json"}
    broken = service.http.post("/v1/chat/completions", content=b'{"messages": [', headers=headers)
    assert error_of(broken) == (400, "malformed")
    deep = service.http.post("/v1/chat/completions", content=b"[" * 100_000, headers=headers)
    assert error_of(deep)[0] in (400, 422)
    assert json.loads(deep.content)["error"]["code"] in ("malformed", "invalid_request")
