"""Disks that are full, files that cannot be written, that others hold, or that are damaged: told, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from anima.store import (
    Connection,
    Cursor,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    StoreFailed,
    StoreForeign,
    StoreFull,
    connect_sqlite,
    open_store,
)

from .stores import NOTES, put, texts

REPOSITORY = Path(__file__).parents[3]


def failure(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(name)
    error.sqlite_errorcode = getattr(sqlite3, name)
    error.sqlite_errorname = name
    return error


class Failing:
    """A connection on which a statement fails, when it is told to."""

    def __init__(self, name: str) -> None:
        self.real = connect_sqlite(name)
        #: how a statement begins -> the errors of the next ones that begin so
        self.errors: dict[str, list[sqlite3.OperationalError]] = {}
        #: the error ends the transaction, as that of a full disk can
        self.rolls_back = False

    @property
    def in_transaction(self) -> bool:
        return self.real.in_transaction

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        for beginning, errors in self.errors.items():
            if sql.startswith(beginning) and errors:
                if self.rolls_back:
                    self.real.execute("ROLLBACK")
                raise errors.pop(0)
        return self.real.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Cursor:
        return self.real.executemany(sql, parameters)

    def interrupt(self) -> None:
        self.real.interrupt()

    def close(self) -> None:
        self.real.close()


class Connector:
    """Opens connections that fail; the first one is the writer's."""

    def __init__(self) -> None:
        self.opened: list[Failing] = []

    def __call__(self, name: str) -> Connection:
        self.opened.append(Failing(name))
        return self.opened[-1]


async def write_some(store: Any, errors: list[Exception], *names: str) -> None:
    async def one(name: str) -> None:
        try:
            await store.write(put(name))
        except Exception as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(one, name)


async def test_a_commit_that_fails_fails_all_of_its_batch_and_the_store_goes_on(tmp_path: Path) -> None:
    connect = Connector()
    errors: list[Exception] = []
    async with open_store(tmp_path / "notes.db", NOTES, connect=connect) as store:
        await store.write(put("before"))
        connect.opened[0].errors["COMMIT"] = [failure("SQLITE_FULL")]
        await write_some(store, errors, "a", "b", "c")
        assert {type(error) for error in errors} <= {StoreFull}
        assert len(set(map(id, errors))) == len(errors) == 3, "each has its own"
        assert await texts(store) == ["before"]
        await store.write(put("after"))
        assert await texts(store) == ["before", "after"]


async def test_an_error_that_ends_the_transaction_fails_all_of_its_batch(tmp_path: Path) -> None:
    connect = Connector()
    errors: list[Exception] = []
    async with open_store(tmp_path / "notes.db", NOTES, connect=connect) as store:
        connect.opened[0].errors["RELEASE"] = [failure("SQLITE_FULL")]
        connect.opened[0].rolls_back = True
        await write_some(store, errors, "a", "b", "c")
        assert [type(error) for error in errors] == [StoreFull] * 3
        await store.write(put("after"))
        assert await texts(store) == ["after"]


async def test_after_a_sync_that_failed_the_store_is_given_up(tmp_path: Path) -> None:
    connect = Connector()
    errors: list[Exception] = []
    path = tmp_path / "notes.db"
    async with open_store(path, NOTES, connect=connect) as store:
        await store.write(put("before"))
        connect.opened[0].errors["COMMIT"] = [failure("SQLITE_IOERR_FSYNC")]
        await write_some(store, errors, "a", "b")
        assert {type(error) for error in errors} == {StoreFailed}
        assert all("not known" in str(error) for error in errors)
        with pytest.raises(StoreClosed, match=r"given up: .*disk.*open it again"):
            await store.write(put("later"))
        assert await texts(store) == ["before"]
    async with open_store(path, NOTES) as store:
        assert await texts(store) == ["before"]


async def test_who_waits_longer_than_it_may_for_another_program_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with open_store(path, NOTES, busy=0.3) as store:
        with contextlib.closing(connect_sqlite(str(path))) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusy, match="try again"):
                await store.write(put("a"))
            other.execute("ROLLBACK")
        await store.write(put("b"))
        assert await texts(store) == ["b"]


async def test_it_waits_for_another_program(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with open_store(path, NOTES) as store:
        with contextlib.closing(connect_sqlite(str(path))) as other:
            other.execute("BEGIN IMMEDIATE")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.write, put("a"))
                await trio.testing.wait_all_tasks_blocked(0.02)
                other.execute("ROLLBACK")
        assert await texts(store) == ["a"]


async def test_several_programs_may_use_one_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"

    async def write_on(name: str) -> None:
        async with open_store(path, NOTES) as store:
            for n in range(30):
                await store.write(put(f"{name} {n}"))

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(write_on, name)
    async with open_store(path, NOTES) as store:
        assert len(await texts(store)) == 90


async def test_a_damaged_page_is_told_and_the_file_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with open_store(path, NOTES) as store:
        await store.write(put(*(f"{n} {'x' * 400}" for n in range(200))))
    damaged = bytearray(path.read_bytes())
    for page in range(3, len(damaged) // 4096):
        damaged[page * 4096 : page * 4096 + 100] = b"\xa5" * 100
    path.write_bytes(damaged)
    async with open_store(path, NOTES) as store:
        with pytest.raises(StoreCorrupt, match="restore a backup"):
            await texts(store)
        with pytest.raises(StoreCorrupt, match="restore a backup"):
            await store.check()
        with pytest.raises(StoreCorrupt):
            await store.backup(tmp_path / "copy.db")
    assert path.read_bytes()[4096 * 3 :] == damaged[4096 * 3 :]
    assert sorted(os.listdir(tmp_path)) == ["notes.db"]


async def test_a_damaged_header_is_told_and_the_file_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with open_store(path, NOTES) as store:
        await store.write(put("a"))
    damaged = b"\0" * 50 + path.read_bytes()[50:]
    path.write_bytes(damaged)
    with pytest.raises(StoreForeign, match="its beginning is damaged"):
        async with open_store(path, NOTES):
            pass
    assert path.read_bytes() == damaged


FULL = """
import resource, sys, pathlib, trio
from anima.store import open_store, StoreError
from tests.anima.store.stores import NOTES, put, texts

async def main():
    path = pathlib.Path(sys.argv[1])
    kept = []
    async with open_store(path, NOTES) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
        for n in range(200):
            text = f"{n} " + "x" * 3000
            try:
                await store.write(put(text))
            except StoreError as error:
                print(type(error).__name__, str(error)[-60:])
                break
            kept.append(text)
        assert await texts(store) == kept
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await store.write(put("after"))
    async with open_store(path, NOTES) as store:
        assert await texts(store) == [*kept, "after"]
        await store.check()
        print(len(kept) > 10)

trio.run(main)
"""

READ_ONLY = """
import os, sys, pathlib, trio
from anima.store import open_store, StoreReadOnly
from tests.anima.store.stores import NOTES

async def main(path):
    try:
        async with open_store(path, NOTES):
            pass
    except StoreReadOnly as error:
        print(error)

if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
for name in sys.argv[1:]:
    trio.run(main, pathlib.Path(name))
"""


def run_program(program: str, *arguments: object) -> str:
    found = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_no_room_for_a_file_is_told_and_once_there_is_some_it_goes_on(tmp_path: Path) -> None:
    told = run_program(FULL, tmp_path / "notes.db").splitlines()
    assert told[0].startswith(("StoreFull", "StoreFailed"))
    assert told[1:] == ["True"]


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="mounting a small disk takes root on Linux")
def test_a_full_disk_is_told_and_once_there_is_room_it_goes_on(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"mount: {mounted.stderr.decode()}")
    try:
        (disk / "ballast").write_bytes(b"x" * 150_000)
        trio.run(_fill, disk)
    finally:
        subprocess.run(["umount", disk], check=True)


async def _fill(disk: Path) -> None:
    kept = []
    async with open_store(disk / "notes.db", NOTES) as store:
        with pytest.raises(StoreFull, match="make room"):
            for n in range(300):
                await store.write(put(f"{n} {'x' * 2000}"))
                kept.append(f"{n} {'x' * 2000}")
        assert await texts(store) == kept
        (disk / "ballast").unlink()
        await store.write(put("after"))
        assert await texts(store) == [*kept, "after"]
        await store.check()


def test_a_folder_or_file_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "there.db").touch(0o444)
    folder.chmod(0o555)
    for parent in folder.parents:  # pytest's folders are for their owner only
        if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    told = run_program(READ_ONLY, folder / "new.db", folder / "there.db", folder / "deep" / "new.db").splitlines()
    assert len(told) == 3
    assert all("cannot be opened for writing (Permission denied)" in line for line in told)


LOOK = """
import os, sys, pathlib, trio
from anima.store import open_store, StoreReadOnly
from tests.anima.store.stores import NOTES, put, texts

async def main(path, to):
    async with open_store(path, NOTES) as store:
        print(await texts(store))
        await store.backup(to)
        try:
            await store.write(put("no"))
        except StoreReadOnly as error:
            print(error)
    async with open_store(to, NOTES) as copy:
        print(await texts(copy))

if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
trio.run(main, pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


@pytest.mark.parametrize("killed", [False, True], ids=["closed", "killed"])
def test_what_may_not_be_written_can_be_read_and_copied(tmp_path: Path, killed: bool) -> None:
    """Also where its program was killed, and some of it is in the log alone."""
    folder, elsewhere = tmp_path / "locked", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    pid = os.fork()
    if pid == 0:
        trio.run(_leave_a_note, folder / "notes.db", killed)
        os._exit(0)
    os.waitpid(pid, 0)
    assert (folder / "notes.db-wal").exists() is killed
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    for parent in folder.parents:
        if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    there, refused, copied = run_program(LOOK, folder / "notes.db", elsewhere / "copy.db").splitlines()
    assert there == copied == "['a', 'b']"
    assert "cannot be written" in refused


async def _leave_a_note(path: Path, killed: bool) -> None:
    async with open_store(path, NOTES) as store:
        await store.write(put("a", "b"))
        if killed:
            os._exit(0)


CHANGED = """
import os, sys, pathlib, trio
from anima.store import open_store, StoreBusy
from tests.anima.store.stores import NOTES, texts

async def main(path):
    async with open_store(path, NOTES) as store:
        print(await texts(store), flush=True)
        input()
        try:
            print(await texts(store))
        except StoreBusy as error:
            print(error)

if os.getuid() == 0:
    os.setuid(65534)
trio.run(main, pathlib.Path(sys.argv[1]))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="root writes what others may only read")
def test_who_reads_what_it_may_not_write_is_never_told_what_was_true_before(tmp_path: Path) -> None:
    """Read without a lock, by a link; then its owner goes on writing."""
    folder = tmp_path / "locked"
    folder.mkdir()
    link = tmp_path / "link.db"
    link.symlink_to(folder / "notes.db")
    trio.run(_leave_a_note, folder / "notes.db", False)
    (folder / "notes.db").chmod(0o444)
    for parent in folder.parents:
        if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    command = [sys.executable, "-c", CHANGED, str(link)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reading:
        assert reading.stdout is not None
        assert reading.stdin is not None
        assert reading.stdout.readline() == "['a', 'b']\n"
        trio.run(_more_notes, folder / "notes.db")
        reading.stdin.write("\n")
        reading.stdin.close()
        assert "somebody wrote it while it was read; open it again" in reading.stdout.read()


async def _more_notes(path: Path) -> None:
    async with open_store(path, NOTES) as store:
        await store.write(put("c"))


OUTDATED = """
import os, sys, pathlib, trio
from anima.store import Schema, open_store, StoreReadOnly
from tests.anima.store.stores import NOTES

async def main(path):
    try:
        async with open_store(path, Schema(NOTES.name, (*NOTES.migrations, "CREATE TABLE more (it)"))):
            pass
    except StoreReadOnly as error:
        print(error)

if os.getuid() == 0:
    os.setuid(65534)
trio.run(main, pathlib.Path(sys.argv[1]))
"""


def test_what_may_not_be_written_and_is_of_an_older_version_says_so(tmp_path: Path) -> None:
    trio.run(_leave_a_note, tmp_path / "notes.db", False)
    (tmp_path / "notes.db").chmod(0o444)
    tmp_path.chmod(0o555)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    assert "it has an older version, and may not be written here" in run_program(OUTDATED, tmp_path / "notes.db")
