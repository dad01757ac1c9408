"""What the tests of tools share: a workspace, a way to call a tool as a model does, and a web and a name server."""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from anima_tools import Invocation, Toolbox, ToolCall, ToolResult, Workspace, find_tools

from .web import Server

Call = Callable[..., Awaitable[ToolResult]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    return root


@pytest.fixture
def workspace(root: Path, tmp_path: Path) -> Workspace:
    return Workspace(root, tmp_path / "outputs", allow_hosts=("localhost",))


@pytest.fixture
def invocation(workspace: Workspace) -> Invocation:
    return Invocation("key-1", workspace, "tester")


@pytest.fixture(scope="session")
def builtin() -> Toolbox:
    return find_tools(["read_file", "write_file", "edit_file", "list_files", "http", "shell", "clock", "add", "echo"])


@pytest.fixture
def call(builtin: Toolbox, invocation: Invocation) -> Call:
    """Call a built-in tool with keywords: `await call("add", a=1, b=2)`."""

    async def call(name: str, **arguments: Any) -> ToolResult:
        return await builtin.run(ToolCall("c", name, json.dumps(arguments)), invocation)

    return call


@pytest.fixture
async def server(nursery: trio.Nursery) -> Server:
    server = Server()
    (listener,) = await nursery.start(partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1"))
    server.port = listener.socket.getsockname()[1]
    return server


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What the name server says: for each name one list of addresses after the other, the last one for ever."""
    names: dict[str, list[list[str]]] = {}

    async def getaddrinfo(host: str, port: int, **_: object) -> Any:
        await trio.lowlevel.checkpoint()
        answers = names.get(host, [[host]])
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    return names
