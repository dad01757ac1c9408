"""One owner at a time."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from anima.store import FileLock, StoreClosed, StoreLocked, StoreLost, connect_sqlite, lock_exclusively, open_store

from .stores import NOTES, put, texts

HOLD = """
import sys, pathlib
from anima.store import FileLock
lock = FileLock.take(pathlib.Path(sys.argv[1]), "the other program")
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_second_holder_is_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / "lock"
    async with lock_exclusively(path, "anima run agent.toml") as lock:
        assert lock.path == path
        with pytest.raises(StoreLocked, match=rf"process {os.getpid()} \(anima run agent.toml\) holds it") as caught:
            async with lock_exclusively(path):
                pass
        assert (caught.value.pid, caught.value.program) == (os.getpid(), "anima run agent.toml")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with lock_exclusively(path):
        pass


def test_the_kernel_takes_it_back_when_its_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as other:
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(StoreLocked, match=rf"process {other.pid} \(the other program\)"):
                FileLock.take(path)
        finally:
            os.killpg(other.pid, signal.SIGKILL)
        other.wait()
        FileLock.take(path).release()


def test_a_lock_file_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"\xff\xfe\n" * 5000)
    lock = FileLock.take(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(StoreLocked, match="another process holds it"):
        FileLock.take(path)
    lock.release()
    lock.release()


async def test_an_owner_keeps_others_out_and_its_epoch_grows(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    epochs = []
    for _ in range(3):
        async with open_store(path, NOTES, owner="me") as store:
            epochs.append(store.epoch)
            with pytest.raises(StoreLocked, match=r"notes\.db\.lock"):
                async with open_store(path, NOTES, owner="you"):
                    pass
    assert epochs == [1, 2, 3]
    async with open_store(path, NOTES) as store:
        assert store.epoch is None


async def test_who_has_lost_the_ownership_writes_no_more(tmp_path: Path) -> None:
    """The lock file was removed, or is on a disk that knows no locks: the epoch holds all the same."""
    path = tmp_path / "notes.db"
    async with open_store(path, NOTES, owner="first") as first:
        await first.write(put("first"))
        path.with_name("notes.db.lock").unlink()
        async with open_store(path, NOTES, owner="second") as second:
            for _ in range(2):
                with pytest.raises(Exception, match="epoch 2, this one has 1") as caught:
                    await first.write(put("late"))
            assert isinstance(caught.value.__cause__, StoreLost)
            await second.write(put("second"))
            assert await texts(first) == ["first", "second"]


@pytest.mark.parametrize("owner", ["first", None])
@pytest.mark.parametrize("another", [True, False])
async def test_who_has_lost_its_file_is_told_and_writes_no_more(
    tmp_path: Path, another: bool, owner: str | None
) -> None:
    """Its folder was removed; another program may have made it anew."""
    path = tmp_path / "home" / "notes.db"
    async with open_store(path, NOTES, owner=owner) as first:
        await first.write(put("first"))
        shutil.rmtree(path.parent)
        async with AsyncExitStack() as stack:
            if another:
                await stack.enter_async_context(open_store(path, NOTES, owner="second"))
            with pytest.raises(StoreLost, match="its file was removed, or another one has its name"):
                await first.write(put("late"))
            with pytest.raises(StoreClosed, match="its file was removed"):  # for good
                await first.write(put("later"))


async def test_who_reads_has_lost_its_file_too_and_makes_none_anew(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with open_store(path, NOTES) as store:
        shutil.rmtree(tmp_path)
        with pytest.raises(StoreLost, match="its file was removed"):
            await texts(store)
        with pytest.raises(StoreLost):
            await texts(store)  # nor has the first one made it anew


async def test_an_owner_is_one_wherever_its_program_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_store(Path("notes.db"), NOTES, owner="first") as store:
        monkeypatch.chdir("/")
        await store.write(put("a"))
        assert await texts(store) == ["a"]


def test_a_process_that_was_forked_meanwhile_does_not_keep_it(tmp_path: Path) -> None:
    lock = FileLock.take(tmp_path / "lock")
    wait, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(wait, 1)
        os._exit(0)
    try:
        lock.release()
        FileLock.take(tmp_path / "lock").release()
    finally:
        os.close(go)
        os.waitpid(pid, 0)
        os.close(wait)


async def test_readers_beside_an_owner_need_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with open_store(path, NOTES, owner="me") as owner:
        await owner.write(put("a"))
        async with open_store(path, NOTES, connect=connect_sqlite) as beside:
            assert await texts(beside) == ["a"]
