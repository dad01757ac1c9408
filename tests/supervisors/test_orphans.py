"""What a process child has started dies with it, and it with us."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
from pathlib import Path

import pytest
import trio

from anima_supervisors import (
    Error,
    Inline,
    Normal,
    Restart,
    Started,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
    process_child,
)
from processes import SLEEP, Watched, alive, pid_of, python, run_to_the_end


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
