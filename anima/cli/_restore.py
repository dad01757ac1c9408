"""`anima restore CONFIG FILE`."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import click
import trio

from anima.agents import JOURNAL
from anima.memory import open_memory
from anima.store import StoreError, lock_exclusively, lock_path, open_store

from ._backup import CONTENTS, files_of
from ._configs import read_config
from ._journals import fail, file_of

#: What SQLite keeps beside a database; it belongs to that one, and would be the end of another one of its name.
BESIDE = ("", "-wal", "-shm")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="CONFIG")
@click.argument("archive", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--replace", is_flag=True, help="Put what is there aside, under another name.")
def restore(file: Path, archive: Path, replace: bool) -> None:
    """Bring back the journal and the memories that `anima backup` has copied into FILE. Not while they are used.

    All of them are looked through first: with a damaged one nothing is done. Exit status: 0, or 1 where nothing was
    done, 2 bad configuration.
    """
    config = read_config(file)
    journal = file_of(config)
    try:
        with zipfile.ZipFile(archive) as packed:
            places = _places(packed, files_of(config), archive)
            there = [str(path) for path in places.values() if path.exists() and path.stat().st_size]
            if there and not replace:
                fail(f"there is {', '.join(there)} already; --replace puts that aside. Nothing was done")
            trio.run(_restore, packed, places, journal, f"anima restore {file}")
    except (zipfile.BadZipFile, OSError) as error:
        fail(f"{archive} cannot be restored: {error}")
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
            await _look_through(copy, path == journal)
        for path, copy in copies.items():
            _put_aside(path)
            copy.rename(path)
            descriptor = os.open(path.parent, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


def _unpack(packed: zipfile.ZipFile, name: str, to: Path) -> None:
    with packed.open(name) as source, open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
        shutil.copyfileobj(source, copy)


async def _look_through(copy: Path, is_journal: bool) -> None:
    """That it is what it should be, and whole. Raises `StoreError`."""
    if is_journal:
        async with open_store(copy, JOURNAL) as store:
            await store.check()
    else:
        async with open_memory(copy) as memories:
            await memories.store.check()


def _put_aside(path: Path) -> None:
    name = f"{path}.replaced-{time.strftime('%Y%m%d-%H%M%S')}"
    aside = next(one for n in itertools.count() if not os.path.lexists(one := f"{name}-{n}" if n else name))
    for end in BESIDE:
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{end}", f"{aside}{end}")
