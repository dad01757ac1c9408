"""The tool for HTTP: what it says of requests, servers and hosts with which nothing can be done."""

from __future__ import annotations

import json
import socket
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from anima_tools import Invocation, Toolbox, ToolCall
from anima_tools.builtin import _http

from .conftest import Call
from .web import Server, ok, to


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"SSH-2.0-x\r\n\r\n", "HttpFailed: GET"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "HttpFailed: GET"),
        (b"", "HttpFailed: GET"),
        (ok(b"not gzip", "text/plain", "content-encoding: gzip"), "cannot be unpacked"),
        (ok(b"x", "text/plain", "content-encoding: br"), "packed by 'br', which nobody has asked for"),
        (to("ftp://localhost/"), "is redirected to where nobody can go: 'ftp://localhost/' is not"),
        (to("http://a:b/"), "HttpFailed: GET"),
    ],
)
async def test_a_server_that_makes_no_sense_is_told(answer: bytes, says: str, call: Call, server: Server) -> None:
    server.answers["/"] = answer
    result = await call("http", url=server.url())
    assert result.failed
    assert says in result.content


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"url": "file:///etc/passwd"}, "begins with http:// or https://"),
        ({"url": "localhost/a"}, "begins with http:// or https://"),
        ({"url": "http://"}, "begins with http:// or https://"),
        ({"url": "http://a:b:c/"}, "is no address"),
        ({"url": "http://localhost/\x00"}, "is no address"),
        ({"url": "http://localhost/", "method": "TRACE"}, "expected one of"),
        ({"url": "http://localhost/", "headers": {"Host": "other"}}, "the header 'Host' cannot be set"),
        ({"url": "http://localhost/", "headers": {"Proxy-Authorization": "x"}}, "cannot be set"),
        ({"url": "http://localhost/", "headers": {"X": "a\r\nY: b"}}, "has characters that none may have"),
        ({"url": "http://localhost/", "headers": {"X": "漢"}}, "has characters that none may have"),
        ({"url": "http://localhost/", "headers": {"X Y": "a"}}, "has characters that none may have"),
    ],
)
async def test_a_request_that_cannot_be_sent_is_refused(arguments: dict[str, Any], says: str, call: Call) -> None:
    result = await call("http", **arguments)
    assert result.failed
    assert says in result.content


async def test_a_host_that_is_not_there_is_told(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: object, **__: object) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", nobody)
    result = await call("http", url="http://nowhere.example/")
    assert result.content == "HttpFailed: the host 'nowhere.example' is not known: Name or service not known"


async def test_a_port_where_nobody_listens_is_told(call: Call) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = await call("http", url=f"http://localhost:{unused.getsockname()[1]}/")
    assert result.failed
    assert result.content.startswith("HttpFailed: GET http://localhost:")


async def test_cancelling_closes_the_connection(call: Call, server: Server) -> None:
    server.answers["/"] = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(call, "http", url=server.url()))
        await server.arrived.wait()
        nursery.cancel_scope.cancel()
    with trio.fail_after(10):
        await server.closed.wait()


async def test_a_server_that_hangs_is_left_at_the_deadline(server: Server, invocation: Invocation) -> None:
    server.answers["/"] = None
    toolbox = Toolbox([attrs.evolve(_http.http, deadline=0.2)])
    result = await toolbox.run(ToolCall("c", "http", json.dumps({"url": server.url()})), invocation)
    assert result.content == "ToolTimeout: http did not finish within 0.2 s"
    with trio.fail_after(10):
        await server.closed.wait()
