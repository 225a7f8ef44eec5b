"""Addresses as people type them come out in one spelling; what stays on this machine is known."""

from __future__ import annotations

import pytest

from VILAM3SlicerLib.connection.address import read_address
from VILAM3SlicerLib.protocol.errors import InvalidRequest


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://127.0.0.1:8741", "http://127.0.0.1:8741"),
        ("127.0.0.1:8741", "http://127.0.0.1:8741"),
        ("127.0.0.1", "http://127.0.0.1:8741"),
        (" http://127.0.0.1:8741/ ", "http://127.0.0.1:8741"),
        ("http://127.0.0.1:8741/v1", "http://127.0.0.1:8741"),
        ("http://127.0.0.1:8741/v1/", "http://127.0.0.1:8741"),
        ("http://127.0.0.1:8741/v1/chat/completions", "http://127.0.0.1:8741"),
        ("http://127.0.0.1:8741/healthz", "http://127.0.0.1:8741"),
        ("http://0.0.0.0:9000", "http://127.0.0.1:9000"),
        ("http://[::]:9000", "http://[::1]:9000"),
        ("'gpu-box : 8741'", "http://gpu-box:8741"),
        ("gpu-box/v1", "http://gpu-box:8741"),
        ("GPU.Hospital.Example", "http://gpu.hospital.example:8741"),
        ("https://gpu.hospital.example", "https://gpu.hospital.example:443"),
        ("https://gpu.hospital.example/vilam3/v1/", "https://gpu.hospital.example:443/vilam3"),
        ("https://gpu.hospital.example.:8443", "https://gpu.hospital.example:8443"),
        ("HTTPS://gpu", "https://gpu:443"),
        ("http:/127.0.0.1:8741", "http://127.0.0.1:8741"),
        ("http//127.0.0.1:8741", "http://127.0.0.1:8741"),
        ("//127.0.0.1:8741", "http://127.0.0.1:8741"),
        ("http:127.0.0.1:8741", "http://127.0.0.1:8741"),
        ("::1", "http://[::1]:8741"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("http://fe80::1", "http://[fe80::1]:8741"),
        ("localhost:8741", "http://localhost:8741"),
        ("localhost", "http://localhost:8741"),
    ],
)
def test_what_people_type_is_made_out(typed: str, url: str) -> None:
    assert read_address(typed).url == url
    assert read_address(url).url == url


@pytest.mark.parametrize(
    "typed",
    ["", "   ", "http://", "ftp://gpu", "ws://gpu:1", "http://gpu:port", "http://gpu:99999", "http://[::1",
     "http://person:secret@gpu", "http://a?b", "gpu_box!"],
)  # fmt: skip
def test_what_is_no_address_is_said_with_an_example(typed: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_address(typed)
    assert raised.value.code == "address_unusable"
    assert "http://127.0.0.1" in raised.value.hint
    assert "secret" not in raised.value.message


@pytest.mark.parametrize(
    ("typed", "stays_here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("my.localhost", True),
        ("::1", True),
        ("[::ffff:127.0.0.1]", True),
        ("0.0.0.0", True),
        ("10.0.0.1", False),
        ("192.168.1.7", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("[::ffff:10.0.0.1]", False),
        ("fe80::1", False),
        ("gpu-box", False),
    ],
)
def test_only_this_machine_counts_as_this_machine(typed: str, stays_here: bool) -> None:
    assert read_address(typed).is_loopback is stays_here
