"""`anima restore CONFIG FILE`."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import tempfile
import time
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import click
import trio

from anima.store import StoreBusy, StoreError, lock_exclusively, lock_path, sync_folder
from anima_supervisors import describe

from ._backup import CONTENTS, files_of, open_file
from ._configs import Config, configured
from ._journals import fail, file_of

#: What SQLite keeps beside a database; it belongs to that one, and would be the end of another one of its name.
BESIDE = ("-wal", "-shm")
#: What reading an archive may raise: one that is none, is damaged, or made by a stranger.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)


@click.command()
@configured
@click.argument("archive", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--replace", is_flag=True, help="Put what is there aside, under another name.")
def restore(config: Config, archive: Path, replace: bool) -> None:
    """Bring back the journal and the memories that `anima backup` has copied into FILE. Not while they are used.

    All of them are looked through first: with a damaged one nothing is done. Exit status: 0, or 1 where that, or a
    program that uses them, is in the way, 2 bad configuration.
    """
    journal = file_of(config)
    try:
        with zipfile.ZipFile(archive) as packed:
            places = _places(packed, files_of(config), archive)
            there = [str(path) for path in places.values() if path.exists() and path.stat().st_size]
            if there and not replace:
                fail(f"there is {', '.join(there)} already; --replace puts that aside. Nothing was done")
            trio.run(_restore, packed, places, journal, f"anima restore {config.file}")
    except DAMAGED as error:
        fail(f"{archive} cannot be restored: {describe(error)}")
    except StoreError as error:
        fail(str(error))
    click.echo(f"restored {', '.join(map(str, places.values()))}", err=True)


def _places(packed: zipfile.ZipFile, files: Mapping[str, Path], archive: Path) -> dict[str, Path]:
    """Where each file of the archive belongs. Ends the program where there is one that belongs nowhere."""
    names = [name for name in packed.namelist() if name != CONTENTS]
    strange = [name for name in names if name not in files]
    if strange or not names:
        what = (
            f"has {', '.join(strange)}, which this configuration has no place for" if strange else "has nothing in it"
        )
        fail(f"{archive} {what}; nothing was done")
    return {name: files[name] for name in names}


async def _restore(packed: zipfile.ZipFile, places: Mapping[str, Path], journal: Path, program: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(lock_exclusively(lock_path(journal), program))
        copies: dict[Path, Path] = {}
        for name, path in places.items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=".anima-restore-")
            copy = Path(stack.enter_context(folder), "copy")
            copies[path] = copy
            await trio.to_thread.run_sync(_unpack, packed, name, copy)
            async with open_file(copy, path == journal) as store:  # it is what it should be, and whole
                await store.check()
        for path in copies:
            await trio.to_thread.run_sync(_alone, path)
        for path, copy in copies.items():
            await trio.to_thread.run_sync(put_in_place, path, copy)


def _unpack(packed: zipfile.ZipFile, name: str, to: Path) -> None:
    with packed.open(name) as source, open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
        shutil.copyfileobj(source, copy)


def _alone(path: Path) -> None:
    """That nobody else has it open; what is in its log comes into it. Raises `StoreBusy`."""
    if not path.exists():
        return
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreBusy(path, "another program has it open; nothing was done") from error
        except sqlite3.DatabaseError:
            pass  # it is damaged: its log goes with it


def put_in_place(path: Path, copy: Path) -> None:
    """Put the copy where `path` is, and what is there aside with what SQLite keeps beside it. One is always there."""
    name = f"{path}.replaced-{time.strftime('%Y%m%d-%H%M%S')}"
    aside = next(one for n in itertools.count() if not os.path.lexists(one := f"{name}-{n}" if n else name))
    with contextlib.suppress(FileNotFoundError):
        os.link(path, aside)
    for end in BESIDE:
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{end}", f"{aside}{end}")
    os.replace(copy, path)
    sync_folder(path.parent)
