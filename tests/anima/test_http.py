"""The HTTP probe of `ready = { http = ... }`, against a real server on this machine."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator

import pytest
import trio

from anima.config import HttpOk

ANSWERS = {b"/": b"200 OK", b"/none": b"404 Not Found", b"/away": b"302 Found\r\nLocation: /"}


async def answer(stream: trio.SocketStream) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        request += await stream.receive_some()
    status = ANSWERS[request.split()[1]]
    await stream.send_all(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            functools.partial(trio.serve_tcp, answer, 0, host="127.0.0.1")
        )
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("path", "ok"), [("/", True), ("/none", False), ("/away", False)])
async def test_only_status_200_of_this_very_url_is_a_yes(server: str, path: str, ok: bool) -> None:
    assert await HttpOk(server + path)() is ok


async def test_a_proxy_in_the_environment_is_not_asked(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert await HttpOk(server + "/")()
