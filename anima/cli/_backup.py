"""`anima backup CONFIG FILE`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import click
import trio

from anima.agents import JOURNAL
from anima.config import Tree
from anima.memory import open_memory
from anima.store import Store, StoreError, open_store, sync_folder
from anima_supervisors import leaves

from ._configs import Config, configured
from ._journals import fail, file_of
from ._signals import PARKED

#: The file of the archive that says where each of the others belongs.
CONTENTS = "CONTENTS"


@click.command()
@configured
@click.argument("to", type=click.Path(path_type=Path), metavar="FILE")
def backup(config: Config, to: Path) -> None:
    """Copy the journal and the memories of an agent, or of a tree, into FILE, a zip archive; also while it runs.

    Each of them is copied as it is at one moment. `anima restore` brings them back. What cannot be copied is named and
    left out.

    Exit status: 0 all of it is copied, 1 something is not, or nothing is and there is no FILE, 2 bad configuration.
    """
    stores = {name: path for name, path in files_of(config).items() if path.exists()}
    if to.exists():
        fail(f"there is something at {to} already; nothing was written")
    if not stores:
        fail(f"{config.file} has neither a journal nor memories yet")
    try:
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".anima-backup-") as folder:
            left_out = _run(stores, file_of(config), Path(folder), to)
    except OSError as error:
        fail(f"{to} cannot be written: {error.strerror or error}")
    if left_out is None:
        click.echo(f"anima: told to go; there is no {to}", err=True)
        sys.exit(PARKED)
    for text in left_out:
        click.echo(f"anima: not copied: {text}", err=True)
    if len(left_out) == len(stores):
        fail(f"nothing could be copied; there is no {to}")
    click.echo(f"{to}: {len(stores) - len(left_out)} of {len(stores)} files", err=True)
    sys.exit(1 if left_out else 0)


def files_of(config: Config) -> Mapping[str, Path]:
    """All files of a configuration, by their names in an archive; also those that are not there.

    Inside of the home the name is the place there; elsewhere one that is the same wherever the configuration lies.
    """
    agents = list(config.agents.values()) if isinstance(config, Tree) else [config]
    memories = {one.spec.memory.path for one in agents if one.spec.memory is not None and one.spec.memory.path}
    home, beside = config.home.resolve(), config.file.resolve().parent
    found: dict[str, Path] = {}
    for path in (file_of(config), *sorted(memories)):
        whole = path.resolve()
        if whole.is_relative_to(home):
            found[str(whole.relative_to(home))] = path
        else:
            place = hashlib.sha256(os.path.relpath(whole, beside).encode("utf-8", "surrogateescape")).hexdigest()[:12]
            found[f"elsewhere/{place}/{path.name}"] = path
    return found


def _run(stores: Mapping[str, Path], journal: Path, folder: Path, to: Path) -> list[str] | None:
    """Raises what went wrong itself: not the group that it comes in."""
    try:
        return trio.run(_backup, stores, journal, folder, to)
    except BaseExceptionGroup as group:
        raise next(leaves(group)) from None


async def _backup(stores: Mapping[str, Path], journal: Path, folder: Path, to: Path) -> list[str] | None:
    """Make the archive, in `folder` first. What could not be copied, and why; None if it was told to go before."""
    left_out: list[str] = []
    archive = folder / "archive"
    published = False
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(_cancel_when_told_to_go, scope)
            places: list[str] = []
            with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED) as packed:
                for number, (name, path) in enumerate(stores.items()):
                    copy = folder / str(number)
                    try:
                        async with open_file(path, path == journal) as store:
                            await store.backup(copy)
                    except StoreError as error:
                        left_out.append(str(error))
                        continue
                    await trio.to_thread.run_sync(packed.write, copy, name)
                    copy.unlink()
                    places.append(f"{name}\t{path.absolute()}\n")
                packed.writestr(CONTENTS, "".join(places))
            if places:
                with trio.CancelScope(shield=True):  # on the disk in a moment, or not at all
                    await trio.to_thread.run_sync(_publish, archive, to)
                published = True
            nursery.cancel_scope.cancel()
    return None if scope.cancelled_caught and not published else left_out


async def _cancel_when_told_to_go(scope: trio.CancelScope, task_status: trio.TaskStatus[None]) -> None:
    minded = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]
    with trio.open_signal_receiver(*minded or [signal.SIGTERM]) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel(reason="told to go")


@contextlib.asynccontextmanager
async def open_file(path: Path, is_journal: bool) -> AsyncIterator[Store]:
    """A file of a configuration as the store that it is. Raises `StoreError`."""
    if is_journal:
        async with open_store(path, JOURNAL) as store:
            yield store
    else:
        async with open_memory(path) as memories:
            yield memories.store


def _publish(archive: Path, to: Path) -> None:
    archive.chmod(0o600)
    with open(archive, "rb") as written:
        os.fsync(written.fileno())
    with contextlib.suppress(PermissionError, NotImplementedError):  # where there are no links
        os.link(archive, to)  # unlike a rename it does not replace what has come there meanwhile
    if not to.exists():
        archive.rename(to)
    sync_folder(to.parent)
