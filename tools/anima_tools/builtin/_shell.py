"""The tool for commands: nothing of what a command starts is left when it is over, however it ends."""

from __future__ import annotations

import codecs
import contextlib
import os
import shutil
import signal
import subprocess
from typing import Annotated

import trio

from .._errors import BadCommand, ToolTimeout
from .._invocation import Invocation, Workspace
from .._tool import tool

#: Seconds that a command may ask for.
LONGEST = 600.0
#: Bytes of output that are kept: so many from its beginning, and from its end.
KEPT = 512 * 1024
#: Seconds for killing and reaping; what is still there then hangs in the kernel.
KILL_SECONDS = 5.0
#: Runs a command beside a watcher in its process group, which kills the group when the pipe at its standard input ends:
#: so nothing of it outlives us, not even where we are killed. The watcher is no job of the command's own shell.
WATCHED = 'exec 3<&0 </dev/null; (read -r _ <&3; kill -s KILL -- -$$) >/dev/null 2>&1 & exec "$@" 3<&-'
#: The variable by which we know those who have left the process group of their command.
MARK = "ANIMA_COMMAND"


@tool(deadline=LONGEST + 2 * KILL_SECONDS)
async def shell(
    command: str,
    invocation: Invocation,
    timeout: Annotated[float, f"seconds until it is killed, at most {LONGEST:g}"] = 30.0,
) -> str:
    """Run a command in bash (sh where there is none), in the root of the workspace.

    Returns what it writes, errors included, and its exit status in a last line. It has no input. When it ends,
    everything that it has started and left behind is killed.
    """
    if not 0 < timeout <= LONGEST:
        raise BadCommand(f"timeout must be a number of seconds above 0 and at most {LONGEST:g}, not {timeout:g}")
    workspace = invocation.workspace
    program = shutil.which("bash", path=workspace.env.get("PATH", os.defpath)) or "/bin/sh"
    mark = os.urandom(12).hex()
    output = Kept()
    with trio.move_on_after(timeout):
        return await _run(["/bin/sh", "-c", WATCHED, "sh", program, "-c", command], workspace, mark, output)
    raise ToolTimeout(
        f"the command did not end within {timeout:g} s and was killed, with all that it started; "
        f"its output until then:\n{output.text()}"
    )


async def _run(command: list[str], workspace: Workspace, mark: str, output: Kept) -> str:
    watched, ours = os.pipe()  # no other child inherits our end
    try:
        return await _run_watched(command, workspace, mark, output, watched)
    finally:
        os.close(watched)
        os.close(ours)


async def _run_watched(command: list[str], workspace: Workspace, mark: str, output: Kept, watched: int) -> str:
    try:
        process = await trio.lowlevel.open_process(
            command,
            stdin=watched,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=workspace.root,
            env={**workspace.env, MARK: mark},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise BadCommand(f"the command cannot be started in {workspace.root}: {error}") from None
    assert process.stdout is not None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(output.read, process.stdout)
            await _ended(process.pid)
            await _kill(process.pid, mark)  # whoever is left holds the output open
            nursery.cancel_scope.deadline = trio.current_time() + KILL_SECONDS
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + KILL_SECONDS):
            await _kill(process.pid, mark)
            await process.wait()
        await trio.aclose_forcefully(process.stdout)
    return f"{output.text()}{_how_it_ended(process.returncode)}"


def _how_it_ended(status: int | None) -> str:
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return f"[killed by {signal.Signals(-status).name}]"
    return f"[exit status {status}]"


async def _ended(pid: int) -> None:
    """Wait for the end of a child without reaping it: as long as it is there, nobody else gets its number."""
    if not hasattr(os, "pidfd_open"):
        await trio.to_thread.run_sync(
            os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
        )
        return
    descriptor = os.pidfd_open(pid)
    try:
        await trio.lowlevel.wait_readable(descriptor)
    finally:
        os.close(descriptor)


async def _kill(pid: int, mark: str) -> None:
    """Kill the process group of a child that is not reaped yet, and, on Linux, who has left it for another one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    pause = 0.001
    while await trio.to_thread.run_sync(_kill_marked, mark):
        await trio.sleep(pause)
        pause = min(pause * 2, 0.1)


def _kill_marked(mark: str) -> bool:
    """Kill whoever has the mark in its environment; whether there was anybody."""
    found = False
    line = f"{MARK}={mark}".encode()
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):  # it has ended, or is not ours
                    with open(f"/proc/{entry}/environ", "rb") as environment:
                        if line in environment.read().split(b"\0"):
                            os.kill(int(entry), signal.SIGKILL)
                            found = True
    return found


class Kept:
    """What a command writes: its beginning and its end, without holding more than that."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._omitted = 0

    async def read(self, stream: trio.abc.ReceiveStream) -> None:
        """Read a stream to its end."""
        async for chunk in stream:
            self.add(chunk)

    def add(self, chunk: bytes | bytearray) -> None:
        room = KEPT - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 2 * KEPT:
            self._trim()

    def _trim(self) -> None:
        more = max(0, len(self._tail) - KEPT)
        self._omitted += more
        del self._tail[:more]

    def text(self) -> str:
        """All of it as text; what is no UTF-8 is replaced, and a last line is ended."""
        self._trim()
        if not self._omitted:
            text = (self._head + self._tail).decode("utf-8", "replace")
        else:
            # Not final: a character that the cut has parted is left out.
            head = codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(self._head))
            tail = self._tail
            while tail and 0x80 <= tail[0] < 0xC0:
                tail = tail[1:]
            text = f"{head}\n[... {self._omitted} bytes are left out here ...]\n{tail.decode('utf-8', 'replace')}"
        return text if not text or text.endswith("\n") else f"{text}\n"
