"""The tool for commands: what they write and how they end, and that nothing is left of them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from anima_tools import Invocation, Toolbox, ToolCall, ToolResult, Workspace, child_environment
from anima_tools.builtin import _shell
from anima_tools.builtin._shell import KEPT, Kept

from .conftest import Call

Start = Callable[..., Awaitable[ToolResult]]

#: Each writes a line into the pipe that it holds open until it is gone.
FORMS = {
    "itself": "echo up >{pipe}; exec 3>{pipe}; sleep 1000",
    "a child": "(exec 3>{pipe}; echo up >&3; sleep 1000) & wait",
    "a grandchild": "sh -c '(exec 3>{pipe}; echo up >&3; sleep 1000) & wait' & wait",
    "one that ignores signals": "trap '' TERM INT HUP; exec 3>{pipe}; echo up >&3; while :; do sleep 1000; done",
    "one without environment": "env -i sh -c 'exec 3>{pipe}; echo up >&3; sleep 1000' & wait",
    "one in a session of its own": "setsid sh -c 'exec 3>{pipe}; echo up >&3; sleep 1000' & wait",
    "an orphan in a session of its own": "setsid sh -c '(exec 3>{pipe}; echo up >&3; sleep 1000) & exit' ; sleep 1000",
}


async def test_a_command_gives_its_output_and_its_exit_status(call: Call, root: Path) -> None:
    result = await call("shell", command="echo out; echo err >&2; echo again; pwd; exit 3")
    assert result.content == f"out\nerr\nagain\n{await trio.Path(root).resolve()}\n[exit status 3]"
    assert not result.failed
    assert (await call("shell", command="true")).content == "[exit status 0]"
    assert (await call("shell", command="printf 'no end'")).content == "no end\n[exit status 0]"
    assert (await call("shell", command="kill -9 $$")).content == "[killed by SIGKILL]"
    assert (await call("shell", command="no-such-command")).content.endswith("[exit status 127]")


async def test_a_command_has_no_input(call: Call) -> None:
    assert (await call("shell", command="cat; echo end")).content == "end\n[exit status 0]"


async def test_a_command_has_the_environment_of_the_workspace_and_no_more(
    root: Path, builtin: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("DATABASE_URL", "postgres://me:sk-secret@db")
    workspace = Workspace(root, root / "outputs", env=child_environment(keep=["COLOUR"]) | {"COLOUR": "red"})
    call = ToolCall("c", "shell", json.dumps({"command": "env; echo $COLOUR"}))
    result = await builtin.run(call, Invocation("", workspace))
    assert "sk-secret" not in result.content
    assert "red\n[exit" in result.content


@pytest.mark.parametrize("timeout", [0, -1, 601])
async def test_a_timeout_that_is_none_is_refused(timeout: float, call: Call) -> None:
    result = await call("shell", command="true", timeout=timeout)
    assert result.failed
    assert "at most 600" in result.content


async def test_a_command_that_cannot_be_started_is_told(call: Call, root: Path) -> None:
    assert (await call("shell", command="a\0b")).content.startswith("BadCommand: ")
    assert (await call("shell", command="x" * 3_000_000)).content.startswith("BadCommand: ")
    await trio.Path(root).rmdir()
    result = await call("shell", command="true")
    assert result.content.startswith(f"BadCommand: the command cannot be started in {root}")


async def test_a_timeout_shows_what_was_written_until_then(call: Call) -> None:
    result = await call("shell", command="echo so far; sleep 1000", timeout=0.3)
    assert result.failed
    assert result.content.startswith("ToolTimeout: the command did not end within 0.3 s and was killed")
    assert result.content.endswith("until then:\nso far\n")


@pytest.fixture
def pipe(root: Path) -> Path:
    os.mkfifo(root / "pipe")
    return root / "pipe"


async def opened(pipe: Path) -> int:
    """Our end of a pipe. The other ends are held by what a command has started: at their end we read nothing."""
    return os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)


async def is_up(reading: int) -> None:
    """Wait until somebody writes into the pipe."""
    got = b""
    while not got.endswith(b"\n"):
        await trio.lowlevel.wait_readable(reading)
        try:
            got += os.read(reading, 100)
        except BlockingIOError:
            continue
        await trio.lowlevel.checkpoint()


async def is_gone(reading: int) -> None:
    """Wait until nobody has the pipe open any more."""
    with trio.fail_after(20):
        while True:
            try:
                if not os.read(reading, 100):
                    return
            except BlockingIOError:
                await trio.lowlevel.wait_readable(reading)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
async def test_a_cancelled_command_leaves_nobody(form: str, call: Call, pipe: Path) -> None:
    reading = await opened(pipe)
    try:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: call("shell", command=form.format(pipe=pipe)))
                await is_up(reading)
                nursery.cancel_scope.cancel()
            await is_gone(reading)
    finally:
        os.close(reading)


@pytest.mark.parametrize("form", [FORMS["a grandchild"], FORMS["an orphan in a session of its own"]])
async def test_a_command_that_times_out_leaves_nobody(form: str, call: Call, pipe: Path) -> None:
    reading = await opened(pipe)
    try:
        result = await call("shell", command=form.format(pipe=pipe), timeout=0.5)
        assert "did not end within 0.5 s" in result.content
        await is_gone(reading)
    finally:
        os.close(reading)


async def test_what_a_command_leaves_behind_is_killed_when_it_ends(
    call: Call, pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_shell, "KILL_SECONDS", 1000.0)  # the end of its output is not waited for in vain
    reading = await opened(pipe)
    try:
        left = f"(exec 3>{pipe}; echo up >&3; echo from behind; sleep 1000) & cat {pipe}.go; echo done"
        os.mkfifo(f"{pipe}.go")
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                results: list[ToolResult] = []

                async def run() -> None:
                    results.append(await call("shell", command=left))

                nursery.start_soon(run)
                await is_up(reading)
                await trio.to_thread.run_sync(lambda: open(f"{pipe}.go", "w").close())
        await is_gone(reading)
        assert results[0].content == "from behind\ndone\n[exit status 0]"
    finally:
        os.close(reading)


async def test_a_flood_of_output_is_not_held_in_memory(call: Call) -> None:
    result = await call("shell", command="echo begin; head -c 30000000 /dev/zero | tr '\\0' x; echo; echo end")
    assert len(result.content) <= 20_000
    assert result.content.startswith("begin\nxxx")
    assert result.content.endswith("xxx\nend\n[exit status 0]")
    assert result.handle is not None


def test_head_and_tail_of_a_flood_are_kept_without_parting_a_character() -> None:
    kept = Kept()
    line = "漢字\n".encode()
    for _ in range(4 * KEPT // len(line)):
        kept.add(line)
        assert len(kept._head) + len(kept._tail) <= 3 * KEPT + len(line)
    text = kept.text()
    assert "\ufffd" not in text
    head, _, tail = text.partition("\n[... ")
    assert head.startswith("漢字\n漢字")
    assert tail.partition(" ...]\n")[2].endswith("漢字\n")
    assert len(text.encode()) <= 2 * KEPT + 100


def test_what_is_no_text_is_replaced() -> None:
    kept = Kept()
    kept.add(b"a\xff\xe6\xbc")
    kept.add(b"\xa2")
    assert kept.text() == "a\ufffd漢\n"


def test_the_environment_of_children_has_no_secrets() -> None:
    ours = {
        "PATH": "/bin",
        "HOME": "/me",
        "LC_ALL": "C",
        "TERM": "dumb",
        "OPENAI_API_KEY": "sk-1",
        "GH_PAT": "ghp",
        "DATABASE_URL": "postgres://me:pw@db",
        "MINE": "1",
        "MY_KEY": "sk-2",
        "LANG": "sk-2",
    }
    assert child_environment(ours) == {"PATH": "/bin", "HOME": "/me", "LC_ALL": "C", "TERM": "dumb", "LANG": "sk-2"}
    kept = child_environment(ours, keep=["MINE", "MY_KEY"], secrets=["MY_KEY", "NOT_THERE"])
    assert kept == {"PATH": "/bin", "HOME": "/me", "LC_ALL": "C", "TERM": "dumb", "MINE": "1"}


def test_our_own_environment_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOME_TOKEN", "x")
    env = Workspace(tmp_path, tmp_path).env
    assert env["PATH"] == os.environ["PATH"]
    assert "SOME_TOKEN" not in env


def test_a_command_does_not_outlive_a_program_that_is_killed(tmp_path: Path) -> None:
    program = """
import sys, trio
from pathlib import Path
from anima_tools import Invocation, Workspace
from anima_tools.builtin import shell

here = Path(sys.argv[1])
trio.run(shell.function, "sleep 600 & echo $$ > pid; sleep 600", Invocation("k", Workspace(here, here / "outputs")))
"""
    os.mkfifo(tmp_path / "pid")
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) as process:
        group = int((tmp_path / "pid").read_text())
        descriptor = os.pidfd_open(group)
        process.kill()
    try:
        ready, _, _ = select.select([descriptor], [], [], 10)
        assert ready, "the shell is still there"
    finally:
        os.close(descriptor)
