"""Where things are kept: one SQLite file, durable, never on the loop. Knows nothing of agents.

- `_errors`: what can go wrong; SQLite's errors are translated here
- `_connection`: the seam below, which tests put something else into
- `_schema`: versions of the tables
- `_files`, `_lock`: files for one's own eyes, and who owns one
- `_batch`, `_writer`: work that is committed together, and who does it
- `_readers`: reading beside it
- `_store`: what users hold in their hands; start with `open_store`
"""

from ._connection import Connect, Connection, Cursor, Parameters, connect_sqlite
from ._errors import (
    BadSchema,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    StoreError,
    StoreFailed,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreLost,
    StoreNewer,
    StoreReadOnly,
    StoreTimeout,
)
from ._files import sync_folder
from ._lock import FileLock, lock_exclusively
from ._schema import Migration, Schema
from ._store import Store, lock_path, open_store

__all__ = [
    "BadSchema",
    "Connect",
    "Connection",
    "Cursor",
    "FileLock",
    "Migration",
    "Parameters",
    "Schema",
    "Store",
    "StoreBusy",
    "StoreClosed",
    "StoreCorrupt",
    "StoreError",
    "StoreFailed",
    "StoreForeign",
    "StoreFull",
    "StoreLocked",
    "StoreLost",
    "StoreNewer",
    "StoreReadOnly",
    "StoreTimeout",
    "connect_sqlite",
    "lock_exclusively",
    "lock_path",
    "open_store",
    "sync_folder",
]
