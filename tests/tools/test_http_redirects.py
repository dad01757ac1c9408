"""The tool for HTTP: how far it follows redirects, and what it takes along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anima_tools import Invocation, Toolbox, ToolCall, Workspace

from .conftest import Call
from .web import Server, ok, to


async def test_redirects_are_followed_and_told(call: Call, server: Server) -> None:
    server.answers |= {"/": to("/a"), "/a": to("b?c"), "/b?c": ok("here")}
    result = await call("http", url=server.url())
    assert result.content == f"200 OK\nurl: {server.url('/b?c')}\ncontent-type: text/plain\n\nhere"


async def test_five_redirects_are_enough(call: Call, server: Server) -> None:
    server.answers |= {f"/{n}": to(f"/{n + 1}") for n in range(6)} | {"/6": ok("end")}
    assert (await call("http", url=server.url("/1"))).content.endswith("end")
    assert "redirected more than 5 times" in (await call("http", url=server.url("/0"))).content
    server.answers["/"] = to("/")
    assert (await call("http", url=server.url())).failed


@pytest.mark.parametrize(
    ("status", "method", "again"),
    [("301 Moved", "POST", "GET"), ("303 See", "PUT", "GET"), ("303 See", "HEAD", "HEAD"), ("307 T", "POST", "POST")],
)
async def test_what_is_sent_after_a_redirect(status: str, method: str, again: str, call: Call, server: Server) -> None:
    server.answers |= {"/": to("/a", status), "/a": ok("" if method == "HEAD" else "x")}
    await call("http", url=server.url(), method=method, body="text", headers={"X-Token": "t"})
    first, headers, body = server.requests[1]
    assert first == f"{again} /a HTTP/1.1"
    assert body == (b"text" if again == method else b"")
    assert headers["x-token"] == "t"


async def test_secrets_do_not_follow_a_redirect_to_somebody_else(server: Server, root: Path, builtin: Toolbox) -> None:
    server.answers |= {"/": to(server.url("/a", "127.0.0.1")), "/a": ok("x")}
    workspace = Workspace(root, root, allow_hosts=["localhost", f"127.0.0.1:{server.port}"])
    headers = {"Authorization": "Bearer s", "X-Api-Key": "s", "Cookie": "s", "Accept": "text/plain"}
    arguments = json.dumps({"url": server.url(), "headers": headers})
    result = await builtin.run(ToolCall("c", "http", arguments), Invocation("key", workspace))
    assert result.content.endswith("x")
    assert server.requests[0][1]["authorization"] == "Bearer s"
    assert "s" not in server.requests[1][1].values()
    assert server.requests[1][1]["accept"] == "text/plain"
