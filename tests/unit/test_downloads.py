"""A missing network is reported within seconds; the command for a manual download is exact."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from scaseg_cli import downloads
from scaseg_cli.downloads import by_hand, limited_waits, unreachable


class _Refusing(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server() -> Iterator[str]:
    http = HTTPServer(("127.0.0.1", 0), _Refusing)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/nothing"
    http.shutdown()
    http.server_close()


def test_any_answer_is_an_answer(server: str) -> None:
    assert unreachable(server) is None


def test_a_closed_port_is_told_at_once() -> None:
    started = time.monotonic()
    assert "refused" in str(unreachable("http://127.0.0.1:9"))
    assert time.monotonic() - started < 10


def test_who_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "ANSWER_WITHIN", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        assert unreachable(f"http://127.0.0.1:{silent.getsockname()[1]}") is not None
        assert time.monotonic() - started < 10


def test_a_name_server_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "ANSWER_WITHIN", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3) or [])
    started = time.monotonic()
    assert unreachable("http://nowhere.example") == "no answer within 0 s"
    assert time.monotonic() - started < 2.5


def test_what_is_no_address_is_told() -> None:
    assert "unknown url type" in str(unreachable("nonsense"))


def test_waits_are_limited_within_the_block_alone() -> None:
    before = socket.getdefaulttimeout()
    with limited_waits():
        assert socket.getdefaulttimeout() == 60.0
    assert socket.getdefaulttimeout() == before


def test_by_hand_names_the_home_folder_and_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    command = "curl -fL --create-dirs -o"
    assert by_hand("https://a.example/w.pt", Path("/home/me/.cache/w.pt")) == (
        f"{command} ~/.cache/w.pt https://a.example/w.pt"
    )
    assert by_hand("https://a.example/w.pt?x=1&y", Path("/data/my files/w.pt")) == (
        f"{command} '/data/my files/w.pt' 'https://a.example/w.pt?x=1&y'"
    )
