"""Writing together, reading beside it, and what a cancellation leaves behind."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from anima.store import (
    Connection,
    Store,
    StoreClosed,
    StoreFailed,
    StoreReadOnly,
    StoreTimeout,
    connect_sqlite,
    open_store,
)

from .stores import NOTES, all_texts, put, texts


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "home" / "notes.db" if request.param == "file" else None, NOTES) as store:
        yield store


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "notes.db", NOTES) as store:
        yield store


class Gate:
    """Holds up the thread of the writer, from the loop."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.reached = threading.Event()

    def work(self, connection: Connection) -> None:
        connection.execute("INSERT INTO note (text) VALUES ('gate')")
        self.reached.set()
        assert self.open.wait(10)

    async def hold(self, store: Store) -> None:
        await store.write(self.work)

    async def wait_reached(self) -> None:
        await trio.to_thread.run_sync(self.reached.wait, 10)


def names_in(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


async def test_what_was_written_can_be_read(store: Store) -> None:
    assert await store.write(put("a", "b")) == 2
    assert await texts(store) == ["a", "b"]


async def test_work_that_raises_is_rolled_back_alone(store: Store) -> None:
    async def fail() -> None:
        def work(connection: Connection) -> None:
            put("lost")(connection)
            raise LookupError("no")

        with pytest.raises(LookupError, match="no"):
            await store.write(work)

    async with trio.open_nursery() as nursery:
        for n in range(10):
            nursery.start_soon(store.write, put(f"kept {n}"))
            nursery.start_soon(fail)
    assert sorted(await texts(store)) == [f"kept {n}" for n in range(10)]


async def test_a_broken_constraint_reaches_its_caller_as_it_is(store: Store) -> None:
    await store.write(put("a"))
    with pytest.raises(sqlite3.IntegrityError):
        await store.write(put("b", "a"))
    assert await texts(store) == ["a"]


async def test_work_is_done_in_the_order_of_the_calls(file: Store) -> None:
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.hold, file)
        await gate.wait_reached()
        for n in range(300):  # more than one batch
            nursery.start_soon(file.write, put(f"{n:03}"), name=str(n))
            await trio.lowlevel.checkpoint()
        gate.open.set()
    assert await texts(file) == ["gate", *(f"{n:03}" for n in range(300))]


async def test_what_waits_is_committed_together(file: Store) -> None:
    gate = Gate()
    seen_outside: list[int] = []

    def look(connection: Connection) -> None:
        put(f"{len(seen_outside)}")(connection)
        with contextlib.closing(connect_sqlite(str(file.path))) as other:
            seen_outside.append(len(all_texts(other)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.hold, file)
        await gate.wait_reached()
        for _ in range(20):
            nursery.start_soon(file.write, look)
        await trio.testing.wait_all_tasks_blocked()
        gate.open.set()
    assert seen_outside == [1] * 20, "the gate's, and none of the batch before all of it"


async def test_a_reader_is_not_held_up_by_a_writer_and_sees_what_is_committed(file: Store) -> None:
    await file.write(put("before"))
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.hold, file)
        await gate.wait_reached()
        assert await texts(file) == ["before"]
        gate.open.set()
    assert await texts(file) == ["before", "gate"]


async def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(StoreReadOnly, match="a read cannot write"):
        await store.read(put("a"))
    await store.write(put("b"))
    assert await texts(store) == ["b"]


async def test_a_read_sees_one_moment(file: Store) -> None:
    begun, go_on = threading.Event(), threading.Event()
    found = []

    def twice(connection: Connection) -> None:
        found.append(all_texts(connection))
        begun.set()
        assert go_on.wait(10)
        found.append(all_texts(connection))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(file.read, twice)
        await trio.to_thread.run_sync(begun.wait, 10)
        await file.write(put("new"))
        go_on.set()
    assert found == [[], []]


async def test_who_is_cancelled_while_waiting_has_written_nothing(file: Store) -> None:
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.hold, file)
        await gate.wait_reached()
        with trio.move_on_after(0.01) as scope:
            await file.write(put("never"))
        assert scope.cancelled_caught
        gate.open.set()
    assert await texts(file) == ["gate"]


async def test_who_is_cancelled_while_it_is_committed_learns_the_outcome(file: Store) -> None:
    gate = Gate()
    outcome = []

    async def write(task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope() as scope:
            task_status.started(scope)
            await file.write(gate.work)
            outcome.append("written")
            await trio.lowlevel.checkpoint()
            outcome.append("went on")
        assert scope.cancelled_caught

    async with trio.open_nursery() as nursery:
        scope = await nursery.start(write)
        await gate.wait_reached()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert outcome == []
        gate.open.set()
    assert outcome == ["written"]


async def test_a_cancelled_leader_hands_on(file: Store) -> None:
    gate = Gate()
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def lead() -> None:
            with scope:
                await gate.hold(file)

        nursery.start_soon(lead)
        await gate.wait_reached()
        nursery.start_soon(file.write, put("next"))
        scope.cancel()
        gate.open.set()
    assert await texts(file) == ["gate", "next"]


async def test_a_read_that_is_cancelled_stops_its_statement_and_leaves_its_connection_usable(file: Store) -> None:
    def endless(connection: Connection) -> object:
        return connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        ).fetchall()

    for _ in range(4):
        with trio.move_on_after(0.02) as scope:
            await file.read(endless)
        assert scope.cancelled_caught
    with pytest.raises(StoreTimeout, match="took longer"):
        await file.read(endless, timeout=0.02)
    assert await texts(file) == []


async def test_a_batch_that_takes_too_long_is_stopped_and_the_store_goes_on(tmp_path: Path) -> None:
    def endless(connection: Connection) -> None:
        connection.execute(
            "INSERT INTO note (text) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1e12) "
            "SELECT max(i) FROM n"
        )

    async with open_store(tmp_path / "notes.db", NOTES, limit=0.05) as store:
        with pytest.raises(StoreTimeout, match="nothing was written"):
            await store.write(endless)
        await store.write(put("after"))
        assert await texts(store) == ["after"]


async def test_work_that_never_comes_back_is_given_up_and_nobody_waits_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anima.store._writer.GRACE", 0.02)
    monkeypatch.setattr("anima.store._store.GRACE", 0.02)
    gate = Gate()
    with pytest.raises(StoreTimeout, match="could not be closed in time"):
        async with open_store(tmp_path / "notes.db", NOTES, limit=0.05) as store:
            async with trio.open_nursery() as nursery:

                async def wait_behind() -> None:
                    await gate.wait_reached()
                    with pytest.raises(StoreClosed, match="given up"):
                        await store.write(put("behind"))

                nursery.start_soon(wait_behind)
                with pytest.raises(StoreTimeout, match="not known"):
                    await gate.hold(store)
            with pytest.raises(StoreClosed, match="given up"):
                await store.write(put("later"))
            assert await texts(store) == []
    gate.open.set()
    async with store._writer._threads:  # the thread has it until it ends
        pass


async def test_work_that_ends_the_transaction_is_refused(store: Store) -> None:
    with pytest.raises(StoreFailed, match="ended the transaction"):
        await store.write(lambda connection: connection.execute("ROLLBACK").fetchall())
    await store.write(put("after"))
    assert await texts(store) == ["after"]


async def test_after_its_end_it_refuses(tmp_path: Path) -> None:
    async with open_store(tmp_path / "notes.db", NOTES) as store:
        pass
    with pytest.raises(StoreClosed, match="closed"):
        await store.write(put("late"))
    with pytest.raises(StoreClosed, match="closed"):
        await texts(store)


async def test_what_waits_at_the_end_is_written(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    gate = Gate()
    async with trio.open_nursery() as nursery:
        async with open_store(path, NOTES) as store:
            nursery.start_soon(gate.hold, store)
            await gate.wait_reached()
            for n in range(5):
                nursery.start_soon(store.write, put(str(n)))
            await trio.testing.wait_all_tasks_blocked()
            gate.open.set()
    async with open_store(path, NOTES) as store:
        assert len(await texts(store)) == 6


async def test_the_error_of_the_block_passes_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(LookupError):
        async with open_store(tmp_path / "notes.db", NOTES):
            raise LookupError


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "home" / "notes.db"
    async with open_store(path, NOTES, owner="tests") as store:
        await store.write(put("secret"))
        await texts(store)
        assert names_in(path.parent) == {"notes.db", "notes.db-wal", "notes.db-shm", "notes.db.lock"}
        assert {stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_backup_is_whole_while_others_write(store: Store, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"

    async def write_on() -> None:
        for n in range(100):
            await store.write(put(f"{n:03} a", f"{n:03} b"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write_on)
        await store.write(put("first"))
        await store.backup(copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    async with open_store(copy, NOTES) as other:
        await other.check()
        found = await texts(other)
    assert "first" in found
    assert len(found) % 2 == 1, "both of a pair, or none"
    with pytest.raises(FileExistsError):
        await store.backup(copy)
    assert names_in(tmp_path) <= {"copy.db", "home"}


async def test_a_checkpoint_empties_the_log(file: Store) -> None:
    await file.write(put("a"))
    assert file.path is not None
    log = file.path.with_name("notes.db-wal")
    assert log.stat().st_size > 0
    assert await file.checkpoint()
    assert log.stat().st_size == 0


async def test_a_sound_file_passes_the_check(store: Store) -> None:
    await store.write(put("a"))
    await store.check()
