"""The reaper: a small program that stands between us and a process child, so that nothing of it survives us.

Run as `python -I -S _reaper.py FD COMMAND...`; it imports nothing of this package. FD is one end of a socket pair.

- It makes itself the subreaper of all that the command starts, however often that forks and calls setsid, so that no
  descendant can escape to init (Linux, prctl(2) PR_SET_CHILD_SUBREAPER). No privileges are needed.
- Our end of the pair closes when we end, by whatever death; then it kills until nobody is left.
- A line `term` asks the command's process group to stop (SIGTERM); a line `kill` kills everybody (SIGKILL).
- When the command itself ends, what it leaves behind is killed; only then comes the answer.

It answers with lines: `started PID`, `failed ERRNO`, `exited CODE`, `signaled NUMBER`. Where there is no subreaper
(not Linux) it kills the process group only.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
#: How often, in milliseconds, to look whether our parent is still the same.
PARENT_CHECK = 1000


def main(fd: int, command: list[str]) -> None:
    os.set_inheritable(fd, False)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # who wants this to end closes the pair, or kills
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = spawn(fd, command)
    close_standard_streams()
    try:
        status = serve(fd, wake_read, child)
    finally:
        kill_everybody(child)
    answer(fd, f"exited {status}" if status >= 0 else f"signaled {-status}")


def spawn(fd: int, command: list[str]) -> int:
    """Start the command in a session of its own; tell its pid, or why there is none."""
    error_read, error_write = os.pipe()  # closed by a successful exec
    reaper = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            os.close(error_read)
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            if sys.platform == "linux":
                # Should somebody kill the reaper itself, at least the command goes with it. This is safe here: the
                # reaper has one thread, which lives as long as it does.
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                if os.getppid() != reaper:
                    os._exit(127)
            os.execvp(command[0], command)
        except OSError as error:
            os.write(error_write, str(error.errno).encode())
        finally:
            os._exit(127)
    os.close(error_write)
    failed = os.read(error_read, 64)
    os.close(error_read)
    if failed:
        os.waitpid(child, 0)
        answer(fd, f"failed {failed.decode()}")
        sys.exit(1)
    answer(fd, f"started {child}")
    return child


def close_standard_streams() -> None:
    """Only the command's own copies may keep its output open."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


def answer(fd: int, line: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(fd, line.encode() + b"\n")


def serve(fd: int, wake: int, child: int) -> int:
    """Until the command has ended: reap, obey, watch for our end. Its exit code, or minus the signal's number."""
    commands = b""
    parent = os.getppid()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        status = reap(child)
        if status is not None:
            return status
        ready = {number for number, _ in poll.poll(PARENT_CHECK)}
        if os.getppid() != parent:
            sys.exit(1)  # a copy of it, made by fork, may hold our pair open
        if wake in ready:
            os.read(wake, 4096)
        if fd in ready:
            try:
                received = os.read(fd, 4096)
            except OSError:
                received = b""  # reset: as good as closed
            if not received:
                sys.exit(1)
            commands += received
            *lines, commands = commands.split(b"\n")
            for line in lines:
                if line == b"term":
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(child, signal.SIGTERM)
                elif line == b"kill":
                    kill_now(child)


def reap(child: int) -> int | None:
    """Collect whoever has ended; the exit status of the command if it is among them."""
    status = None
    while True:
        try:
            pid, raw = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = os.waitstatus_to_exitcode(raw)


def kill_everybody(child: int) -> None:
    """Kill until nobody is left: those whose parents are killed come to us, the subreaper."""
    pause = 0.0005
    while True:
        kill_now(child)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def kill_now(child: int) -> None:
    """One round of SIGKILL to all descendants; without /proc, to the command's process group."""
    if not os.path.isdir("/proc/self"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        return
    for pid in descendants():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def descendants() -> list[int]:
    """All processes below this one, from /proc."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    with open(f"/proc/{entry}/stat", "rb") as stat:
                        # The name in parentheses may contain anything, so count from the last one.
                        parent = int(stat.read().rpartition(b")")[2].split()[1])
                    children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
