"""Operating system processes as children. Here a kill is real, and nothing survives: see `_reaper`."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import attrs
import trio

from . import _reaper
from ._errors import BadSpec, ChildFailure
from ._events import ProcessOutput, ProcessOutputOmitted
from ._given import StopRequest
from ._policy import Restart
from ._probes import Alive, OutputLine, Probe, Ready, ask
from ._specs import After, ChildSpec, Never, StopPolicy

#: A longer line of output is cut here, in bytes; the rest of it is left out.
LINE_LIMIT = 8192
#: So many of the last lines of stderr travel with the error of a process that failed.
LAST_LINES = 20
#: So many lines of a stream are told in a second, the rest is counted.
LINES_PER_SECOND = 500
#: How long the reaper has for what cannot take long: to answer, and to kill until nobody is left.
REAPER_SECONDS = 10.0


class ProcessFailed(ChildFailure):
    """A process child did not start, or ended with another status than 0.

    `returncode` is its exit status, negative for a signal, None if it never ran; `last_lines` are the last of stderr.
    """

    def __init__(self, what: str, returncode: int | None = None, last_lines: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join([what, *last_lines]))
        self.what = what
        self.returncode = returncode
        self.last_lines = tuple(last_lines)


@attrs.frozen(eq=False)
class Process:
    """The start callable of a process child: runs the command until it ends or is asked to stop."""

    kind: ClassVar[str] = "process"
    command: tuple[str, ...]
    ready: Ready | None
    alive: Alive | None
    env: Mapping[str, str]
    cwd: Path | None
    shutdown: StopPolicy

    async def __call__(self, *, stop: StopRequest, task_status: Any, emit: Any) -> None:
        """Returns when the process has ended with status 0, or on request. Cancelled, it kills and waits for the end.

        Raises `ProcessFailed`.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = await self._open(theirs.fileno())
            theirs.close()
            run = _Run(self, process, ours, trio.SocketStream(trio.socket.from_stdlib_socket(ours.dup())), emit)
            try:
                await run.live(stop, task_status)
            finally:
                await run.close()

    async def _open(self, fd: int) -> trio.Process:
        # -I and -S: nothing of the user's environment or site-packages can change or slow the reaper.
        reaper = [sys.executable, "-I", "-S", _reaper.__file__, str(fd), *self.command]
        try:
            return await trio.lowlevel.open_process(
                reaper,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(fd,),
                env={**os.environ, **self.env},
                cwd=self.cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessFailed(f"cannot start {self.command[0]!r} in {self.cwd}: {error.strerror}") from error


class _Run:
    """One run of a process: its reaper, its output, its end."""

    def __init__(
        self, spec: Process, process: trio.Process, control: socket.socket, answers: trio.SocketStream, emit: Any
    ) -> None:
        self._spec = spec
        self._process = process
        self._control = control
        self._answer_stream = answers
        self._emit = emit
        self._name = Path(spec.command[0]).name
        self._answers = _lines(answers)
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._seen_line = trio.Event()
        self._failure: ProcessFailed | None = None
        self._asked = False
        self._pid: int | None = None

    async def live(self, stop: StopRequest, task_status: Any) -> None:
        pid = self._pid = await self._started()
        async with trio.open_nursery() as outputs:
            for name in ("stdout", "stderr"):
                outputs.start_soon(self._read, name, getattr(self._process, name))
            async with trio.open_nursery() as watch:
                watch.start_soon(self._obey, stop)
                watch.start_soon(self._come_up_and_stay, task_status, pid)
                returncode = await self._ended()
                watch.cancel_scope.cancel()
            # All that wrote to the streams is dead and they end by themselves, unless somebody killed the reaper.
            outputs.cancel_scope.deadline = trio.current_time() + 1.0
        if self._failure is not None:
            raise ProcessFailed(self._failure.what, returncode, self._last_lines)
        if returncode != 0 and not (self._asked and returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)):
            raise ProcessFailed(self._how_it_ended(returncode), returncode, self._last_lines)

    def _how_it_ended(self, returncode: int | None) -> str:
        if returncode is None:
            return f"{self._name}: its reaper was killed"
        if returncode > 0:
            return f"{self._name} exited with status {returncode}"
        try:
            return f"{self._name} was killed by {signal.Signals(-returncode).name}"
        except ValueError:
            return f"{self._name} was killed by signal {-returncode}"

    async def close(self) -> None:
        """Kill what is left, wait for the reaper, and let go of everything."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + REAPER_SECONDS):
            self._tell(b"kill")
            await self._process.wait()
        # Past the deadline something cannot be killed (it hangs in the kernel): the reaper goes on without us.
        with trio.CancelScope(shield=True, deadline=trio.current_time() + REAPER_SECONDS):
            await self._answers.aclose()
            await self._answer_stream.aclose()
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    await stream.aclose()

    # The reaper

    async def _started(self) -> int:
        """The pid of the command, once it runs."""
        answer = await anext(self._answers, "")
        word, _, number = answer.partition(" ")
        if word == "started":
            return int(number)
        if word == "failed":
            why = "no such command" if int(number) == errno.ENOENT else os.strerror(int(number))
            raise ProcessFailed(f"cannot start {self._spec.command[0]!r}: {why}")
        raise ProcessFailed(f"cannot start {self._spec.command[0]!r}: its reaper has ended at once")

    async def _ended(self) -> int | None:
        """Wait for the end; the exit status, negative for a signal, None if the reaper cannot tell."""
        word, _, number = (await anext(self._answers, "")).partition(" ")
        await self._process.wait()
        match word:
            case "exited":
                return int(number)
            case "signaled":
                return -int(number)
            case _:
                # Somebody has killed the reaper. The kernel takes the command with it; what has stayed in its process
                # group goes by our hand. A descendant with a session of its own is beyond us then.
                if self._pid is not None:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(self._pid, signal.SIGKILL)
                return None

    def _tell(self, command: bytes) -> None:
        with contextlib.suppress(OSError):  # it has ended already
            self._control.send(command + b"\n", socket.MSG_DONTWAIT)

    # Beside the process

    async def _obey(self, stop: StopRequest) -> None:
        await stop.wait()
        self._asked = True
        self._tell(b"term")

    async def _come_up_and_stay(self, task_status: Any, pid: int) -> None:
        ready = self._spec.ready
        if ready is not None and not await self._is_ready(ready):
            await self._fail(f"{self._name} was not ready within {ready.timeout:g} s")
        task_status.started(pid)
        if self._spec.alive is not None:
            await self._stays_alive(self._spec.alive)
            await self._fail(f"{self._name} no longer answers its alive probe")

    async def _is_ready(self, ready: Ready) -> bool:
        with trio.move_on_after(ready.timeout):
            if isinstance(ready.when, OutputLine):
                await self._seen_line.wait()
                return True
            while not await ask(ready.when, ready.timeout):  # noqa: ASYNC110 -- nobody tells us when
                await trio.sleep(ready.every)
            return True
        return False

    async def _stays_alive(self, alive: Alive) -> None:
        failures = 0
        while failures < alive.failures:
            await trio.sleep(alive.every)
            failures = 0 if await ask(alive.probe, alive.timeout) else failures + 1

    async def _fail(self, what: str) -> NoReturn:
        """Stop the process as its supervisor would; its end, which ends this too, then comes as this failure."""
        self._failure = ProcessFailed(what)
        if isinstance(self._spec.shutdown, After):
            self._tell(b"term")
            await trio.sleep(self._spec.shutdown.seconds)
        elif isinstance(self._spec.shutdown, Never):
            self._tell(b"term")
            await trio.sleep_forever()
        self._tell(b"kill")
        await trio.sleep_forever()
        raise AssertionError("sleep_forever never returns")

    async def _read(self, name: str, stream: trio.abc.ReceiveStream) -> None:
        """Read a stream to its end. Beyond `LINES_PER_SECOND` lines are counted instead of told."""
        pattern = re.compile(when.pattern) if isinstance(when := self._ready_when(), OutputLine) else None
        second, told, omitted = trio.current_time(), 0, 0
        async for line in _lines(stream):
            if name == "stderr":
                self._last_lines.append(line)
            if pattern is not None and pattern.search(line):
                self._seen_line.set()
            if told >= LINES_PER_SECOND and trio.current_time() - second >= 1.0:
                second, told = trio.current_time(), 0
                if omitted:
                    self._emit(ProcessOutputOmitted, stream=name, lines=omitted)
                    omitted = 0
            if told < LINES_PER_SECOND:
                told += 1
                self._emit(ProcessOutput, stream=name, line=line)
            else:
                omitted += 1
            if (told + omitted) % 32 == 0:
                await trio.lowlevel.checkpoint()  # a flood of output must not hold up the tree
        if omitted:
            self._emit(ProcessOutputOmitted, stream=name, lines=omitted)

    def _ready_when(self) -> OutputLine | Probe | None:
        return None if self._spec.ready is None else self._spec.ready.when


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncGenerator[str, None]:
    """The lines of a stream until it ends, each cut at `LINE_LIMIT` bytes; a last one without a newline counts."""
    rest = b""
    cut = False
    try:
        async for chunk in stream:
            *lines, last = (rest + chunk).split(b"\n")
            for line in lines:
                if not cut:
                    yield line[:LINE_LIMIT].decode("utf-8", "replace").rstrip("\r")
                cut = False
            rest = last
            if len(rest) > LINE_LIMIT:
                if not cut:
                    yield rest[:LINE_LIMIT].decode("utf-8", "replace")
                rest, cut = b"", True
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return
    if rest and not cut:
        yield rest.decode("utf-8", "replace")


def process_child(
    id: str,
    command: Sequence[str],
    *,
    ready: Ready | OutputLine | Probe | None = None,
    alive: Alive | Probe | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    restart: Restart = Restart.PERMANENT,
    shutdown: StopPolicy = After(5.0),
    significant: bool = False,
) -> ChildSpec:
    """A child that is an operating system process, in a session of its own.

    It is up once it is `ready`, at once without that; `alive` is asked for as long as it is up. To stop it, its process
    group gets SIGTERM, and whatever is left of it SIGKILL when `shutdown` runs out. When the command ends, what it has
    left behind is killed. Exit status 0 is a normal exit, and so is the end by the SIGTERM that it was sent; anything
    else is an error, `ProcessFailed`. One that is not ready in time, or no longer alive, is stopped in the same way and
    has failed. Every line it writes
    is a `ProcessOutput` event. `env` is added to our own environment. On Linux nothing that it has started survives it,
    or us: not by forking, nor by setsid, nor when we die by SIGKILL.

    Raises `BadSpec`.
    """
    if isinstance(command, str) or not command or not all(_is_text(part) for part in command) or not command[0]:
        raise BadSpec(f"child {id!r}: command must be a list of texts, the program first, not {command!r}")
    if not all(_is_text(name) and _is_text(value) for name, value in (env or {}).items()):
        raise BadSpec(f"child {id!r}: env must have texts for names and values, not {env!r}")
    if ready is not None and not isinstance(ready, Ready):
        ready = Ready(ready)
    if alive is not None and not isinstance(alive, Alive):
        alive = Alive(alive)
    folder = None if cwd is None else Path(cwd)
    process = Process(tuple(command), ready, alive, dict(env or {}), folder, shutdown)
    return ChildSpec(id, process, restart, shutdown=shutdown, significant=significant)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value
