"""A disk whose power can be cut: what was not synced is then lost in part, torn, and out of order."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import apsw
import attrs

from anima.store import Connection

SECTOR = 512

_names = itertools.count()


@attrs.frozen
class Write:
    offset: int
    data: bytes


@attrs.frozen
class Truncate:
    size: int


@attrs.define
class Durable:
    """A file as the disk has it: `data` for certain, and of `pending` who knows. None: not even its name."""

    data: bytearray | None = None
    pending: list[Write | Truncate] = attrs.Factory(list)


class Disk:
    """Below SQLite, by apsw's VFS. `after` operations the power goes; `connect` is for `open_store`."""

    def __init__(self, random: Random, after: int | None = None) -> None:
        self.random = random
        self.after = after
        self.operations = 0
        self.files: dict[Path, Durable] = {}
        self._deleted: set[Path] = set()
        self._vfs = _Vfs(f"power{next(_names)}", self)

    @property
    def off(self) -> bool:
        return self.after is not None and self.operations >= self.after

    def connect(self, name: str, synchronous: str = "EXTRA") -> Connection:
        """A connection on this disk. With small checkpoints, so that cuts happen in them as well."""
        connection = _Powered(apsw.Connection(name, vfs=self._vfs.name), synchronous)
        connection.execute("PRAGMA wal_autocheckpoint=12")
        return connection

    def connect_hastily(self, name: str) -> Connection:
        """The same for somebody who does not sync each commit, to show that cuts find that out."""
        return self.connect(name, "NORMAL")

    def close(self) -> None:
        self._vfs.unregister()

    def restore(self, folder: Path) -> None:
        """Put what the disk has, once there is power again, into another folder."""
        for path, file in self.files.items():
            if path in self._deleted and self.random.random() < 0.5:
                continue
            if file.data is None and self.random.random() < 0.5:
                continue
            data = bytearray(file.data or b"")
            for change in file.pending:
                self._maybe(data, change)
            (folder / path.name).write_bytes(data)

    def _maybe(self, data: bytearray, change: Write | Truncate) -> None:
        lot = self.random.random()
        if lot < 0.3:
            return
        if isinstance(change, Truncate):
            del data[change.size :]
            return
        for start in range(0, len(change.data), SECTOR):
            if lot < 0.6 and self.random.random() < 0.5:
                continue  # torn
            put(data, change.offset + start, change.data[start : start + SECTOR])

    # Called by the VFS

    def operate(self) -> None:
        if self.off:
            raise apsw.IOError("the power is gone")
        self.operations += 1

    def change(self, path: Path, change: Write | Truncate) -> None:
        self.operate()
        self.files.setdefault(path, Durable()).pending.append(change)

    def sync(self, path: Path) -> None:
        self.operate()
        file = self.files.setdefault(path, Durable())
        data = bytearray() if file.data is None else file.data
        for change in file.pending:
            if isinstance(change, Truncate):
                del data[change.size :]
            else:
                put(data, change.offset, change.data)
        file.data = data
        file.pending.clear()

    def delete(self, path: Path, sync: bool) -> None:
        self.operate()
        if sync:
            self.files.pop(path, None)
        else:
            self._deleted.add(path)

    def opened(self, path: Path) -> None:
        if path in self._deleted:  # made anew
            self._deleted.discard(path)
            self.files[path] = Durable()


def put(data: bytearray, offset: int, part: bytes) -> None:
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(part)] = part


class _Vfs(apsw.VFS):
    def __init__(self, name: str, disk: Disk) -> None:
        super().__init__(name, "")
        self.name = name
        self._disk = disk

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 -- apsw's
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        if self._disk.off:
            raise apsw.CantOpenError("the power is gone")
        self._disk.opened(path)
        return _File(name, flags, path, self._disk)

    def xDelete(self, name: str, sync: bool) -> None:  # noqa: N802
        self._disk.delete(Path(name), bool(sync))
        super().xDelete(name, sync)


class _File(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], path: Path, disk: Disk) -> None:
        super().__init__("", name, flags)
        self._path = path
        self._disk = disk

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.change(self._path, Write(offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.change(self._path, Truncate(size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.sync(self._path)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        if self._disk.off:
            raise apsw.IOError("the power is gone")
        return super().xRead(amount, offset)


class _Rows(list[Any]):
    def fetchone(self) -> Any:
        return self.pop(0) if self else None

    def fetchall(self) -> list[Any]:
        return list(self)


class _Powered:
    """apsw's connection with the errors of sqlite3."""

    def __init__(self, connection: apsw.Connection, synchronous: str) -> None:
        self._connection = connection
        self._synchronous = synchronous

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Any = (), /) -> _Rows:
        sql = sql.replace("synchronous=EXTRA", f"synchronous={self._synchronous}")
        with _told():
            return _Rows(self._connection.execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> _Rows:
        with _told():
            return _Rows(self._connection.executemany(sql, parameters))

    def interrupt(self) -> None:
        self._connection.interrupt()

    def close(self) -> None:
        with _told():
            self._connection.close(True)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        told = sqlite3.OperationalError(str(error))
        told.sqlite_errorcode = getattr(error, "extendedresult", sqlite3.SQLITE_IOERR)  # none: it is ours
        raise told from error
