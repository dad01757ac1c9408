"""Operating system processes as children: up when ready, stopped by their group, and never an orphan.

Real processes, so real time; what is waited for is always their output, their readiness or their end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from anima_supervisors import (
    After,
    Alive,
    BadSpec,
    ChildSpec,
    ChildStartFailed,
    Error,
    Event,
    Exited,
    Inline,
    Kill,
    Killed,
    Normal,
    OutputLine,
    ProcessFailed,
    ProcessOutput,
    ProcessOutputOmitted,
    Ready,
    Restart,
    Started,
    Supervisor,
    SupervisorSpec,
    TcpPort,
    Up,
    open_supervisor,
    process_child,
)
from anima_supervisors.testing import EventLog

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc who is alive")


def python(program: str, *args: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(program), *args]


SLEEP = "import time\ntime.sleep(1000)"


class Watched(EventLog):
    """A log that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = trio.Event()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, seen: Callable[[], bool]) -> None:
        with trio.fail_after(30):
            while not seen():
                await self._changed.wait()

    def lines(self, stream: str = "stdout") -> list[str]:
        return [event.line for event in self.of(ProcessOutput) if event.stream == stream]

    async def line(self, text: str, times: int = 1) -> None:
        await self.until(lambda: self.lines().count(text) >= times)

    def exits(self) -> list[object]:
        return [event.exit for event in self.of(Exited) if event.path != "root"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def gone(pid: int) -> None:
    """Wait until a process that is not our child is gone: its end makes a pidfd readable."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with trio.fail_after(30):
            await trio.lowlevel.wait_readable(fd)
    finally:
        os.close(fd)


def pid_of(result: object) -> int:
    assert isinstance(result, Up)
    assert isinstance(result.value, int)
    return result.value


async def run_to_the_end(spec: ChildSpec) -> Watched:
    log = Watched()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        await supervisor.start_child(spec)
        await log.until(lambda: bool(log.exits()))
    return log


# Ends


async def test_exit_status_zero_is_a_normal_exit() -> None:
    log = await run_to_the_end(process_child("p", python("print('done')"), restart=Restart.TEMPORARY))
    assert log.exits() == [Normal()]
    assert log.lines() == ["done"]


async def test_another_exit_status_is_an_error_with_the_last_lines_of_stderr() -> None:
    program = "import sys\nfor n in range(50): print('line', n, file=sys.stderr)\nsys.exit(3)"
    log = await run_to_the_end(process_child("p", python(program), restart=Restart.TEMPORARY))
    (exit,) = log.exits()
    assert isinstance(exit, Error)
    assert isinstance(exit.exception, ProcessFailed)
    assert exit.exception.returncode == 3
    assert exit.exception.last_lines == tuple(f"line {n}" for n in range(30, 50))
    assert "exited with status 3" in str(exit.exception)


async def test_a_process_killed_from_outside_is_an_error_and_is_restarted() -> None:
    log = Watched()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        pid = pid_of(await supervisor.start_child(process_child("p", python(SLEEP))))
        os.kill(pid, signal.SIGKILL)
        await log.until(lambda: log.paths(Started).count("root/p") == 2)
    (exit, _) = log.exits()
    assert isinstance(exit, Error)
    assert "killed by SIGKILL" in str(exit.exception)


async def test_a_command_that_does_not_exist_is_a_failed_start_that_names_it() -> None:
    async with open_supervisor(SupervisorSpec()) as supervisor:
        with pytest.raises(ChildStartFailed, match="no-such-command-here"):
            await supervisor.start_child(process_child("p", ["no-such-command-here"]))


async def test_a_folder_that_does_not_exist_is_a_failed_start_that_names_it(tmp_path: Path) -> None:
    async with open_supervisor(SupervisorSpec()) as supervisor:
        with pytest.raises(ChildStartFailed, match="missing"):
            await supervisor.start_child(process_child("p", python(SLEEP), cwd=tmp_path / "missing"))


@pytest.mark.parametrize(
    ("command", "env"), [("sleep 5", {}), ([], {}), ([""], {}), (["a", 5], {}), (["a\0"], {}), (["a"], {"A": 1})]
)
def test_a_command_that_can_never_run_is_a_bad_spec(command: list[str], env: dict[str, str]) -> None:
    with pytest.raises(BadSpec, match="p"):
        process_child("p", command, env=env)


async def test_environment_and_folder_are_given(tmp_path: Path) -> None:
    program = "import os; print(os.environ['GREETING'], os.getcwd(), 'PATH' in os.environ)"
    spec = process_child("p", python(program), env={"GREETING": "hi"}, cwd=tmp_path, restart=Restart.TEMPORARY)
    log = await run_to_the_end(spec)
    assert log.lines() == [f"hi {tmp_path} True"]


# Readiness


async def test_it_is_up_when_a_line_of_output_says_so() -> None:
    log = Watched()
    program = "import time\nprint('loading', flush=True)\nprint('ready on 5', flush=True)\ntime.sleep(1000)"
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        await supervisor.start_child(process_child("p", python(program), ready=OutputLine(r"ready on \d")))
        assert log.lines() == ["loading", "ready on 5"]


async def test_it_is_up_when_its_port_takes_connections() -> None:
    with trio.socket.socket() as probe:
        await probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = "import socket, sys\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nwhile True: s.accept()"
    async with open_supervisor(SupervisorSpec()) as supervisor:
        await supervisor.start_child(process_child("p", python(program, str(port)), ready=TcpPort(port)))
        await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()


async def test_it_is_up_when_any_probe_says_yes() -> None:
    answers = iter([False, False, True])

    async def probe() -> bool:
        return next(answers)

    async with open_supervisor(SupervisorSpec()) as supervisor:
        await supervisor.start_child(process_child("p", python(SLEEP), ready=Ready(probe, every=0.001)))
    assert list(answers) == []


async def test_one_that_is_not_ready_in_time_is_killed_and_has_failed_to_start() -> None:
    pids: list[int] = []

    async def probe() -> bool:
        raise OSError("refused")

    log = Watched()
    program = f"import os\nprint(os.getpid(), flush=True)\n{SLEEP}"
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        with pytest.raises(ChildStartFailed, match="not ready within"):
            await supervisor.start_child(process_child("p", python(program), ready=Ready(probe, timeout=0.5)))
        pids += [int(line) for line in log.lines()]
    assert not any(alive(pid) for pid in pids)


async def test_one_that_dies_before_it_is_ready_has_failed_to_start() -> None:
    async with open_supervisor(SupervisorSpec()) as supervisor:
        with pytest.raises(ChildStartFailed, match="exited with status 4"):
            await supervisor.start_child(process_child("p", python("raise SystemExit(4)"), ready=OutputLine("never")))


async def test_one_that_no_longer_answers_its_probe_is_killed_and_restarted() -> None:
    log = Watched()
    healthy = True

    async def probe() -> bool:
        return healthy

    spec = process_child("p", python(SLEEP), alive=Alive(probe, every=0.001))
    async with open_supervisor(SupervisorSpec(intensity=999), on_event=Inline(log)) as supervisor:
        await supervisor.start_child(spec)
        healthy = False
        await log.until(lambda: log.paths(Started).count("root/p") >= 2)
        healthy = True
    exit = log.exits()[0]
    assert isinstance(exit, Error)
    assert "no longer answers" in str(exit.exception)


async def test_one_that_no_longer_answers_is_asked_to_stop_before_it_is_killed() -> None:
    program = """
        import signal, sys, time
        def stop(*_):
            print("saved", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("up", flush=True)
        time.sleep(1000)
    """
    log = Watched()
    healthy = True

    async def probe() -> bool:
        return healthy

    spec = process_child(
        "p", python(program), ready=OutputLine("up"), alive=Alive(probe, every=0.001), restart=Restart.TEMPORARY
    )
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        await supervisor.start_child(spec)
        healthy = False
        await log.until(lambda: bool(log.exits()))
    (exit,) = log.exits()
    assert isinstance(exit, Error)
    assert "no longer answers" in str(exit.exception)
    assert log.lines() == ["up", "saved"]


# Stopping


async def test_it_is_asked_by_sigterm_and_may_finish() -> None:
    program = """
        import signal, sys, time
        def stop(*_):
            print("goodbye", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("up", flush=True)
        time.sleep(1000)
    """
    log = Watched()
    spec = process_child("p", python(program), ready=OutputLine("up"))
    async with open_supervisor(SupervisorSpec(children=[spec]), on_event=Inline(log)):
        pass
    assert log.lines() == ["up", "goodbye"]
    assert log.exits() == [Normal()]


async def test_one_that_dies_of_the_sigterm_has_stopped_normally() -> None:
    log = Watched()
    async with open_supervisor(SupervisorSpec(children=[process_child("p", python(SLEEP))]), on_event=Inline(log)):
        pass
    assert log.exits() == [Normal()]


@pytest.mark.parametrize("shutdown", [After(0.2), Kill()], ids=str)
async def test_one_that_ignores_sigterm_is_killed_for_real(shutdown: After | Kill) -> None:
    program = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(1000)"
    )
    log = Watched()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        spec = process_child("p", python(program), ready=OutputLine("up"), shutdown=shutdown)
        pid = pid_of(await supervisor.start_child(spec))
    assert log.exits() == [Killed()]
    assert not alive(pid)


# Orphans

#: Prints the pid of a grandchild that has forked twice and left the session, once it has, and that lives on.
ESCAPE = """
    import os, sys, time
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            os.write(write, b"%d" % os.getpid())
            time.sleep(1000)
        os._exit(0)
    print(os.read(read, 100).decode(), flush=True)
"""


async def escaped_pid(supervisor: Supervisor, log: Watched, then: str) -> int:
    program = textwrap.dedent(ESCAPE) + then
    await supervisor.start_child(process_child("p", python(program), restart=Restart.TEMPORARY))
    await log.until(lambda: bool(log.lines()))
    return int(log.lines()[0])


async def test_a_grandchild_that_left_the_session_dies_with_a_stop() -> None:
    log = Watched()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        pid = await escaped_pid(supervisor, log, "time.sleep(1000)")
        assert alive(pid)
    assert not alive(pid)


async def test_a_grandchild_that_left_the_session_dies_when_its_command_ends() -> None:
    log = Watched()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        pid = await escaped_pid(supervisor, log, "sys.stdin.close()\nos._exit(5)")
        await log.until(lambda: bool(log.exits()))
        assert not alive(pid)


async def test_nothing_survives_us_not_even_when_we_are_killed(tmp_path: Path) -> None:
    """The grandchild of a program that supervises it, and is killed with SIGKILL."""
    program = f"""
        import sys, trio
        from anima_supervisors import Inline, OutputLine, ProcessOutput, SupervisorSpec, open_supervisor, process_child

        def show(event):
            if isinstance(event, ProcessOutput):
                print(event.line, flush=True)

        async def main():
            escape = [sys.executable, "-c", {(textwrap.dedent(ESCAPE) + "time.sleep(1000)")!r}]
            child = process_child("p", escape)
            async with open_supervisor(SupervisorSpec(children=[child]), on_event=Inline(show)):
                await trio.sleep_forever()

        trio.run(main)
    """
    process = await trio.lowlevel.open_process(python(program), stdout=subprocess.PIPE)
    assert process.stdout is not None
    received = b""
    with trio.fail_after(30):
        while b"\n" not in received:
            received += await process.stdout.receive_some()
    pid = int(received.split()[0])
    assert alive(pid)
    process.kill()
    await process.wait()
    await process.stdout.aclose()
    await gone(pid)


async def test_the_command_does_not_survive_its_reaper_and_is_restarted() -> None:
    log = Watched()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        pid = pid_of(await supervisor.start_child(process_child("p", python(SLEEP))))
        os.kill(parent_of(pid), signal.SIGKILL)
        await log.until(lambda: log.paths(Started).count("root/p") == 2)
        await gone(pid)
    exit = log.exits()[0]
    assert isinstance(exit, Error)
    assert "reaper was killed" in str(exit.exception)


async def test_a_process_outlives_the_thread_that_started_it() -> None:
    """Trio's worker threads end when they are idle, after ten seconds: a death signal tied to one kills the child."""
    program = f"""
        import sys, threading, trio
        import trio._core._thread_cache as cache
        from anima_supervisors import SupervisorSpec, open_supervisor, process_child

        cache.IDLE_TIMEOUT = 0.01

        async def main():
            child = process_child("p", [sys.executable, "-c", {SLEEP!r}])
            async with open_supervisor(SupervisorSpec(children=[child])) as supervisor:
                for thread in threading.enumerate():
                    if thread is not threading.main_thread():
                        thread.join()
                (before,) = await supervisor.which_children()
                await trio.sleep(0.1)  # a signal of the kernel has come by then, if it was sent
                (after,) = await supervisor.which_children()
                print(threading.active_count(), before == after, after.state.value, after.incarnation)

        trio.run(main)
    """
    ran = await trio.run_process(python(program), capture_stdout=True)
    assert ran.stdout.split() == [b"1", b"True", b"up", b"1"]


async def test_a_program_with_a_thousand_open_files_supervises_all_the_same() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1300:
        pytest.fail(f"this test needs a limit of 1,300 open files, here it is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1300), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        log = await run_to_the_end(process_child("p", python("print('fine')"), restart=Restart.TEMPORARY))
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert log.exits() == [Normal()]


# Output


async def test_lines_are_told_as_they_are_long_ones_cut_and_bad_bytes_replaced() -> None:
    program = r"""
        import sys
        out = sys.stdout.buffer
        out.write("grüße\r\n".encode() + b"\xff\n" + b"x" * 100000 + b"\n" + b"after\n" + b"no newline")
    """
    log = await run_to_the_end(process_child("p", python(program), restart=Restart.TEMPORARY))
    assert log.lines() == ["grüße", "\N{REPLACEMENT CHARACTER}", "x" * 8192, "after", "no newline"]


async def test_a_flood_of_output_is_counted_and_does_not_hold_up_the_loop() -> None:
    program = "import sys\nsys.stdout.write('y\\n' * 200000)"
    log = await run_to_the_end(process_child("p", python(program), restart=Restart.TEMPORARY))
    told = len(log.of(ProcessOutput))
    assert told + sum(event.lines for event in log.of(ProcessOutputOmitted)) == 200_000
    assert told < 50_000
