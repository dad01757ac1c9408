"""What the tests of tools share: a workspace, and a way to call a tool as a model does."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from anima_tools import Invocation, Toolbox, ToolCall, ToolResult, Workspace, find_tools

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
