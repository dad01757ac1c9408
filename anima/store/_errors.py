"""What can go wrong with a store, whose fault it is, and what to do. SQLite's own errors are translated here only.

StoreError
├── BadSchema         the author's: a schema that cannot be
├── StoreClosed       the caller's: the store has ended, or has given up after an earlier failure
├── StoreLocked       another process owns it, and says so
├── StoreLost         another process has become its owner since
├── StoreBusy         other programs were writing for too long
├── StoreTimeout      what was asked of it took too long
├── StoreForeign      the file is something else
├── StoreNewer        the file was written by a newer version of this program
├── StoreReadOnly     the file or its folder cannot be written or opened
├── StoreFull         no room is left
├── StoreFailed       the disk failed
└── StoreCorrupt      the file is damaged

What a piece of work raises by itself, a broken constraint for one, reaches its caller as it is.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path


class StoreError(Exception):
    """The base of what a store raises. `path` is its file; None where it is in memory."""

    def __init__(self, path: Path | None, text: str) -> None:
        super().__init__(f"{where(path)}: {text}")
        self.path = path
        self.text = text


class BadSchema(StoreError, ValueError):
    """A schema that cannot be: no name, no migration, or a migration that leaves references to nothing."""


class StoreClosed(StoreError):
    """The store has ended, or has given up after a failure that left it in doubt; what it says names the failure."""


class StoreLocked(StoreError):
    """Another process owns it: `pid` and `program`, as far as they are known. Nothing was touched."""

    def __init__(self, path: Path | None, pid: int | None, program: str) -> None:
        whose = "another process" if pid is None else f"process {pid}"
        what = f" ({program})" if program else ""
        super().__init__(path, f"{whose}{what} holds it; stop that one first, or use another file")
        self.pid = pid
        self.program = program


class StoreLost(StoreError):
    """Another process has become the owner since, or the file is gone: what this one says is no longer written."""


class StoreBusy(StoreError):
    """Other programs were writing for longer than this one waits. Nothing was written; try again."""


class StoreTimeout(StoreError):
    """It took longer than it may. What was to be written was not, unless the text says that this is not known."""


class StoreForeign(StoreError):
    """The file is something else: no database, or one of another kind. It was left as it is."""


class StoreNewer(StoreError):
    """The file has a newer version of the schema than this program knows. It was left as it is; update the program."""

    def __init__(self, path: Path | None, found: int, known: int) -> None:
        super().__init__(
            path, f"it has version {found} of its schema, and this program knows up to {known}; use a newer program"
        )
        self.found = found
        self.known = known


class StoreReadOnly(StoreError):
    """The file, or the folder that it is in, cannot be opened for writing. Nothing was written."""


class StoreOutdated(StoreReadOnly):
    """It has an older version of the schema, and cannot be brought to this one without being written."""


class StoreFull(StoreError):
    """No room is left on the disk. Nothing was written, what was there is there; make room and try again."""


class StoreFailed(StoreError):
    """The disk failed to read or write."""


class StoreCorrupt(StoreError):
    """The file is damaged. It was left as it is; restore a backup."""


_KINDS: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreBusy, "other programs were writing for too long; nothing was written, try again"),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "another use of it was in the way; nothing was written, try again"),
    sqlite3.SQLITE_INTERRUPT: (StoreTimeout, "it took longer than it may, and was stopped; nothing was written"),
    sqlite3.SQLITE_FULL: (StoreFull, "no room is left on its disk; nothing was written, make room and try again"),
    sqlite3.SQLITE_READONLY: (StoreReadOnly, "it cannot be written; look at the mode of the file and its folder"),
    sqlite3.SQLITE_PERM: (StoreReadOnly, "it may not be opened; look at the mode of the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: (StoreReadOnly, "it cannot be opened; look at the mode of the file and its folder"),
    sqlite3.SQLITE_NOTADB: (
        StoreForeign,
        "it is no SQLite database, or its beginning is damaged; it was left as it is",
    ),
    sqlite3.SQLITE_CORRUPT: (StoreCorrupt, "the file is damaged; it was left as it is, restore a backup"),
    sqlite3.SQLITE_IOERR: (StoreFailed, "its disk failed to read or write; look at the disk, and open it again"),
}


def where(path: Path | None) -> str:
    """What errors call a store."""
    return "the store in memory" if path is None else f"the store {path}"


def code_of(error: sqlite3.Error) -> int:
    """The extended code of an error of SQLite; 0 where it has none."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code if isinstance(code, int) else 0


def translated(error: sqlite3.Error, path: Path | None) -> Exception:
    """The error of the store that one of SQLite means; itself, where it is the work's own (a constraint, bad SQL)."""
    code = code_of(error)
    found = _KINDS[sqlite3.SQLITE_FULL] if code == sqlite3.SQLITE_IOERR_SHMSIZE else _KINDS.get(code & 0xFF)
    if found is None:
        return error
    kind, text = found
    told = kind(path, f"{text} ({error})")
    told.__cause__ = error
    return told
