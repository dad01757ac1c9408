"""What stands in a journal, for those who look at it from outside: also beside the program that owns it."""

from __future__ import annotations

import time

import attrs

from anima.store import Connection, Store
from anima_tools import ToolResult

from . import _said as said
from ._answer import StopReason
from ._codec import Codec
from ._records import Record, ToolAnswered, TurnEnded
from ._state import Plan, TurnState
from ._store_journal import keep_record

_COLUMNS = "id, agent, conversation, state, attempts, began, changed, stop_reason, error"


@attrs.frozen
class Run:
    """One turn, as the journal has it. `state`: open, ended, or aside; times in UNIX seconds."""

    id: str
    agent: str
    conversation: str
    state: str
    attempts: int
    began: float
    changed: float
    stop_reason: str | None
    error: str | None


@attrs.frozen
class Entry:
    """A record with the time at which it was kept, in UNIX seconds."""

    time: float
    record: Record


async def list_runs(store: Store) -> tuple[Run, ...]:
    """All turns of a journal, in the order in which they began."""
    rows = await store.read(
        lambda connection: connection.execute(f"SELECT {_COLUMNS} FROM turns ORDER BY number").fetchall()
    )
    return tuple(Run(*row) for row in rows)


async def read_run(store: Store, id: str) -> tuple[Entry, ...]:
    """The records of one. Raises `UnreadableRecord`."""
    rows = await store.read(
        lambda connection: connection.execute(
            "SELECT time, body FROM records WHERE turn = (SELECT number FROM turns WHERE id = ?) ORDER BY number", (id,)
        ).fetchall()
    )
    codec = Codec()
    return tuple(Entry(time, codec.decode(body, id)) for time, body in rows)


async def retry_run(store: Store, id: str) -> None:
    """Have a turn that was put aside gone on with, as if it had never failed. The store has to be owned."""
    sql = "UPDATE turns SET state = 'open', attempts = 0, error = NULL WHERE id = ? AND state = 'aside'"
    await store.write(lambda connection: connection.execute(sql, (id,)).fetchall())


class NotInDoubt(Exception):
    """A step has its result, or was never begun; the text says which ones are in doubt."""


async def settle_step(store: Store, id: str, step: int, *, took_effect: bool, note: str = "") -> None:
    """Say of a call that was cut off whether it took effect, and have its turn gone on with. The store has to be owned.

    Raises `NotInDoubt`, `UnreadableRecord`.
    """
    state = TurnState(id, Plan())
    for entry in await read_run(store, id):
        state.apply(entry.record)
    call = None if state.ended else state.in_doubt.get(step)
    if call is None:
        known = ", ".join(f"{step} ({call.name})" for step, call in state.in_doubt.items()) or "none"
        raise NotInDoubt(f"step {step} of run {id} is not in doubt; there are: {known}")
    result = ToolResult(call.id, call.name, said.settled(took_effect, note), failed=not took_effect)
    body, now = Codec().encode(ToolAnswered(step=step, result=result, seconds=state.seconds)), time.time()

    def write(connection: Connection) -> None:
        keep_record(connection, id, body, now)
        connection.execute("UPDATE turns SET state = 'open', attempts = 0, error = NULL WHERE id = ?", (id,))

    await store.write(write)


async def end_run(store: Store, id: str, now: float) -> None:
    """End a turn that is open or put aside: it was cancelled. One that has ended stays. The store has to be owned."""
    body = Codec().encode(TurnEnded(stop_reason=StopReason.CANCELLED, text=""))

    def write(connection: Connection) -> None:
        sql = (
            "UPDATE turns SET state = 'ended', stop_reason = 'cancelled', error = NULL, changed = ?"
            " WHERE id = ? AND state != 'ended'"
        )
        if connection.execute(f"{sql} RETURNING id", (now, id)).fetchall():
            keep_record(connection, id, body, now)

    await store.write(write)


async def forget_run(store: Store, id: str) -> None:
    """Take a turn out of the journal for good, with all that it has come to; its conversation goes on without it.

    What it has spent stays counted. The store has to be owned.
    """
    await store.write(lambda connection: connection.execute("DELETE FROM turns WHERE id = ?", (id,)).fetchall())
