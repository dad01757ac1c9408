"""Operating system processes as children: up when ready, stopped by their group, and never an orphan.

Real processes, so real time; what is waited for is always their output, their readiness or their end.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio

from anima_supervisors import (
    After,
    Alive,
    BadSpec,
    ChildStartFailed,
    Error,
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
    SupervisorSpec,
    TcpPort,
    open_supervisor,
    process_child,
)
from processes import SLEEP, Watched, alive, pid_of, python, run_to_the_end

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
