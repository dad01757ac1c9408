"""`anima backup CONFIG FILE`."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import click
import trio

from anima.agents import JOURNAL
from anima.config import AgentFile, Tree
from anima.memory import open_memory
from anima.store import StoreError, open_store

from ._configs import read_config
from ._journals import fail, file_of

#: The file of the archive that says where each of the others belongs.
CONTENTS = "CONTENTS"


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="CONFIG")
@click.argument("to", type=click.Path(path_type=Path), metavar="FILE")
def backup(file: Path, to: Path) -> None:
    """Copy the journal and the memories of an agent, or of a tree, into FILE, a zip archive; also while it runs.

    Each of them is copied as it is at one moment. To restore, unpack it into the home; what belongs elsewhere is below
    `elsewhere/`, and the file CONTENTS says where. What cannot be copied is named and left out.

    Exit status: 0 all of it is copied, 1 something is not, or nothing is and there is no FILE, 2 bad configuration.
    """
    config = read_config(file)
    stores = {name: path for name, path in _stores(config).items() if path.exists()}
    if to.exists():
        fail(f"there is something at {to} already; nothing was written")
    if not stores:
        fail(f"{file} has neither a journal nor memories yet")
    try:
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".anima-backup-") as folder:
            left_out = _pack(stores, file_of(config), Path(folder), to)
    except OSError as error:
        fail(f"{to} cannot be written: {error.strerror}")
    for text in left_out:
        click.echo(f"anima: not copied: {text}", err=True)
    if len(left_out) == len(stores):
        fail(f"nothing could be copied; there is no {to}")
    click.echo(f"{to}: {len(stores) - len(left_out)} of {len(stores)} files", err=True)
    sys.exit(1 if left_out else 0)


def _stores(config: AgentFile | Tree) -> Mapping[str, Path]:
    """All files of a configuration, by their names in an archive."""
    agents = list(config.agents.values()) if isinstance(config, Tree) else [config]
    memories = {one.spec.memory.path for one in agents if one.spec.memory is not None and one.spec.memory.path}
    home = config.home.resolve()
    found: dict[str, Path] = {}
    for path in (file_of(config), *sorted(memories)):
        whole = path.resolve()
        inside = whole.is_relative_to(home)
        found[str(whole.relative_to(home)) if inside else f"elsewhere/{len(found)}/{path.name}"] = path
    return found


def _pack(stores: Mapping[str, Path], journal: Path, folder: Path, to: Path) -> list[str]:
    """Make the archive, in `folder` first. What could not be copied, and why; all of it: there is no archive."""
    left_out: list[str] = []
    archive = folder / "archive"
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED) as packed:
        places: list[str] = []
        for number, (name, path) in enumerate(stores.items()):
            copy = folder / str(number)
            try:
                trio.run(_copy, path, path == journal, copy)
            except StoreError as error:
                left_out.append(str(error))
                continue
            packed.write(copy, name)
            copy.unlink()
            places.append(f"{name}\t{path.absolute()}\n")
        packed.writestr(CONTENTS, "".join(places))
    if len(left_out) < len(stores):
        archive.chmod(0o600)
        with open(archive, "rb") as written:
            os.fsync(written.fileno())
        archive.rename(to)
        with contextlib.suppress(OSError):
            folder_of_it = os.open(to.parent, os.O_RDONLY)
            os.fsync(folder_of_it)
            os.close(folder_of_it)
    return left_out


async def _copy(path: Path, is_journal: bool, to: Path) -> None:
    if is_journal:
        async with open_store(path, JOURNAL) as store:
            await store.backup(to)
    else:
        async with open_memory(path) as memories:
            await memories.store.backup(to)
