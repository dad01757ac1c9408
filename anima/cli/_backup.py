"""`anima backup CONFIG FILE`."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from pathlib import Path

import click
import trio

from anima.agents import JOURNAL
from anima.config import Tree
from anima.store import StoreError, open_store

from ._configs import read_config
from ._journals import fail, file_of


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="CONFIG")
@click.argument("to", type=click.Path(path_type=Path), metavar="FILE")
def backup(file: Path, to: Path) -> None:
    """Copy the journal and the memories of an agent, or of a tree, into FILE, a zip archive; also while it runs.

    Each of them is copied as it is at one moment. To restore, unpack it into the home. Exit status: 0, or 1 where it
    failed, and then there is no FILE.
    """
    config = read_config(file)
    agents = list(config.agents.values()) if isinstance(config, Tree) else [config]
    memories = {one.spec.memory.path for one in agents if one.spec.memory is not None and one.spec.memory.path}
    stores = [path for path in (file_of(config), *sorted(memories)) if path.exists()]
    if to.exists():
        fail(f"there is something at {to} already; nothing was written")
    if not stores:
        fail(f"{file} has neither a journal nor memories yet")
    try:
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".anima-backup-") as folder:
            copies = [Path(folder) / path.name for path in stores]
            for path, copy in zip(stores, copies, strict=True):
                trio.run(_copy, path, copy)
            archive = Path(folder) / "archive"
            with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED) as packed:
                for copy in copies:
                    packed.write(copy, copy.name)
            archive.chmod(0o600)
            with open(archive, "rb") as written:
                os.fsync(written.fileno())
            archive.rename(to)
    except StoreError as error:
        fail(str(error))
    with contextlib.suppress(OSError):
        click.echo(f"{to}: {', '.join(path.name for path in stores)}", err=True)


async def _copy(path: Path, to: Path) -> None:
    from anima.memory._schema import SCHEMA

    schema = JOURNAL if path.suffix == ".journal" else SCHEMA
    async with open_store(path, schema) as store:
        await store.backup(to)
