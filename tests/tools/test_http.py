"""The tool for HTTP: what is sent, and what it returns."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest

from anima_tools import ToolResult
from anima_tools.builtin import _http

from .conftest import Call
from .web import Server, ok


async def test_status_type_and_body_are_returned(call: Call, server: Server) -> None:
    server.answers["/a?b=c"] = ok("<b>één</b>", "text/html; charset=utf-8")
    result = await call("http", url=server.url("/a?b=c#d"))
    assert result == ToolResult("c", "http", "200 OK\ncontent-type: text/html; charset=utf-8\n\n<b>één</b>")
    ((first, headers, body),) = server.requests
    assert first == "GET /a?b=c HTTP/1.1"
    assert headers["host"] == f"localhost:{server.port}"
    assert body == b""


async def test_an_error_of_the_server_is_an_answer(call: Call, server: Server) -> None:
    server.answers["/"] = ok("no", status="500 Internal Server Error")
    result = await call("http", url=server.url())
    assert not result.failed
    assert result.content == "500 Internal Server Error\ncontent-type: text/plain\n\nno"
    assert (await call("http", url=server.url("/other"))).content.startswith("404 Not Found\n")


async def test_a_request_carries_method_headers_body_and_the_key_of_its_step(call: Call, server: Server) -> None:
    await call("http", url=server.url(), method="POST", body='{"é": 1}', headers={"X-Token": "t", "User-Agent": "me"})
    ((first, headers, body),) = server.requests
    assert first == "POST / HTTP/1.1"
    assert json.loads(body) == {"é": 1}
    assert headers["content-type"] == "application/json"
    assert headers["x-token"] == "t"
    assert headers["user-agent"] == "me"
    assert headers["idempotency-key"] == "key-1"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (ok(b"caf\xe9", "text/plain; charset=latin-1"), "café"),
        (ok(b"caf\xc3\xa9", "application/json"), "café"),
        (ok(b"\xef\xbb\xbfcaf\xc3\xa9", ""), "café"),
        (ok(b"caf\xe9", "text/plain"), "caf\ufffd"),
        (ok(b"caf\xc3\xa9", "text/plain; charset=klingon"), "café"),
        (ok("a".encode("utf-16"), "text/plain; charset=utf-16"), "a"),
        (ok(b"\x89PNG\0", "image/png"), "[a body that is no text is left out: 5 bytes]"),
        (ok(b"\xff\xfe\xfd", "application/octet-stream"), "[a body that is no text is left out: 3 bytes]"),
        (ok(gzip.compress(b"packed"), "text/plain", "content-encoding: gzip"), "packed"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "ab"),
    ],
)
async def test_a_body_becomes_text(answer: bytes, text: str, call: Call, server: Server) -> None:
    server.answers["/"] = answer
    result = await call("http", url=server.url())
    assert not result.failed
    assert result.content.partition("\n\n")[2] == text


async def test_of_a_large_body_the_beginning_is_read(
    call: Call, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "LARGEST_BODY", 2048)
    server.answers["/"] = ok("é" * 3000)
    end = "\n[the body goes on; only its first 2 KiB are read]"
    assert (await call("http", url=server.url())).content.partition("\n\n")[2] == "é" * 1024 + end
    # The limit is in the middle of a character.
    server.answers["/"] = ok("a" + "é" * 3000)
    assert (await call("http", url=server.url())).content.partition("\n\n")[2] == "a" + "é" * 1023 + end


async def test_a_body_that_unpacks_to_gigabytes_does_not(call: Call, server: Server) -> None:
    server.answers["/"] = ok(gzip.compress(b"a" * 50_000_000), "text/plain", "content-encoding: gzip")
    tracemalloc.start()
    try:
        result = await call("http", url=server.url())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.content.endswith("[the body goes on; only its first 1024 KiB are read]")
    assert peak < 20_000_000
