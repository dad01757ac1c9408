"""Files that only their owner may read."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from ._errors import StoreError, StoreFull, StoreLost, StoreReadOnly

FILE_MODE = 0o600
FOLDER_MODE = 0o700


def open_private(path: Path) -> int:
    """Open a file for reading and writing, and make it and its folder where they are missing: for their owner only.

    What SQLite puts beside a database gets the mode of the database. Raises `StoreReadOnly`, `StoreFull`.
    """
    try:
        _make_folder(path.parent)
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        if new:
            sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    with contextlib.suppress(PermissionError):  # it is somebody else's, who lets us use it
        os.fchmod(descriptor, FILE_MODE)
    return descriptor


def unwritable(path: Path, error: OSError) -> StoreError:
    """What an error of the system means for a store."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(path, f"no room is left on its disk ({reason}); nothing was written, make room and try again")
    return StoreReadOnly(path, f"it cannot be opened for writing ({reason}); look at the file and its folder")


def make_private(path: Path) -> None:
    """The same, without keeping it open."""
    os.close(open_private(path))


def _make_folder(folder: Path) -> None:
    """With those above it; a power cut leaves all of them, once this has returned."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Identity:
    """Tells whether the file at a path is the one that was there when this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._whole = path.absolute()  # wherever the program goes
        try:
            self._found = self._look()
        except OSError:
            self._found = None

    def check(self) -> None:
        """Raises `StoreLost` where it is not."""
        try:
            same = self._found is None or self._look() == self._found
        except OSError:
            return  # that says nothing of the file
        if not same:
            what = "its file was removed, or another one has its name; open it again, or stop this program"
            raise StoreLost(self._path, what)

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._whole)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_dev, found.st_ino
