"""One owner at a time: a file that one process holds, and that names it to the others."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

import trio

from ._errors import StoreLocked
from ._files import open_private, unwritable

#: What is read of a lock file: it may be anything.
_LONGEST = 4096


class FileLock:
    """A lock on a file that this process holds; made by `lock_exclusively`, or by `take`.

    The kernel takes it back when the process ends, however that happens. The file stays: who removed it could remove
    one that somebody holds.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, path: Path, program: str = "") -> FileLock:
        """Take the lock, or raise `StoreLocked` with who holds it. Does not wait; reads and writes files.

        `program` is what others are told about this process.
        """
        descriptor = open_private(path)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid, other = _read(descriptor)
                raise StoreLocked(path, pid, other) from None
            try:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n{program}\n".encode()[:_LONGEST], 0)
            except OSError as error:
                raise unwritable(path, error) from error
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    def release(self) -> None:
        """Let others have it. Without effect the second time."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.ftruncate(descriptor, 0)
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a process that a tool has forked may have it still
            os.close(descriptor)


@contextlib.asynccontextmanager
async def lock_exclusively(path: Path, program: str = "") -> AsyncIterator[FileLock]:
    """Hold the lock on a file while the block runs: `async with lock_exclusively(path, "anima run agent.toml")`.

    Never waits for another holder. Raises `StoreLocked`, which names the process that has it, and `StoreReadOnly`.
    """
    lock = await trio.to_thread.run_sync(FileLock.take, path, program)
    try:
        yield lock
    finally:
        lock.release()  # two system calls on an open file


def _read(descriptor: int) -> tuple[int | None, str]:
    text = os.pread(descriptor, _LONGEST, 0).decode(errors="replace")
    pid, _, program = text.partition("\n")
    return (int(pid) if pid.isascii() and pid.isdigit() else None), program.strip()
