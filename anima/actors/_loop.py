"""One incarnation of an actor: make it, handle its messages one by one, and account for whatever ends it.

One cancel scope serves for all messages and is renewed after use: it is cancelled when nobody waits any more for the
reply to the request that is being handled. Stops are messages in the reserved lane. Invariants, guarded by
tests/anima/actors/test_delivery.py:
- a message that is taken out of the mailbox is handled, or put back, or a dead letter, and that exactly once
- what an incarnation has made known about itself is taken back before its supervisor hears of its end
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import trio

from anima_supervisors import CleanExit, DoNotRestart, Handle, Shutdown, StopRequest, is_ignore, leaves

from ._actor import Actor
from ._cell import Cell, State
from ._deadletters import Reason
from ._envelope import Envelope, News, Redelivery, StopSignal
from ._errors import BadActor, Refused

if TYPE_CHECKING:
    from ._spec import ActorSpec, PoolSpec

#: An actor that never waits yields to the other tasks after so many messages.
YIELD_EVERY = 64
#: How long, in seconds, the hook `crashed` may take before the restart.
CRASHED_SECONDS = 5.0


class ActorStart:
    """The start callable of an actor's child. Its first actor may have been made already."""

    __slots__ = ("_first", "_pool", "_spec")

    def __init__(self, spec: ActorSpec[Any], pool: PoolSpec[Any] | None, first: Actor[Any] | None = None) -> None:
        self._spec = spec
        self._pool = pool
        self._first = first

    async def run(self, *, handle: Handle, stop: StopRequest, task_status: Any) -> None:
        """The task of one incarnation."""
        system: Any = handle.shared
        if not hasattr(system, "cell_for"):
            raise BadActor(f"{handle.path}: an actor lives in a tree that open_system has opened")
        cell: Cell = system.cell_for(handle, self._spec, self._pool, self._first)
        cell.system.loops[trio.lowlevel.current_task()] = cell
        try:
            first, self._first = self._first, None
            actor = cell.begin(handle, first)
            if actor._traits.started:
                await actor.started()
                cell.idle()  # what it has sent is no part of what comes
            cell.up()
            task_status.started(cell.ref)
            stop.call_when_set(cell.asked_to_stop)
            end: Shutdown | Envelope | None = None
            while end is None or isinstance(end, Envelope):
                if end is None:
                    end = await _serve(cell, actor, handle, None, None)
                else:
                    end = await _serve_requests(cell, actor, handle, end)
            if actor._traits.stopping:
                await _stopping(actor, end)
        except DoNotRestart:
            raise
        except Exception as error:
            if cell.state is not State.STARTING or not is_ignore(error):
                await _crashed(cell, error)
            raise
        finally:
            # After a crash there is nothing left to do here: this is for a cancellation.
            cell.unfinished(Reason.INTERRUPTED, None)
            cell.incarnation_ended()
            del cell.system.loops[trio.lowlevel.current_task()]  # no name for it: that would be a circle
        raise DoNotRestart(end.info) if end.final else CleanExit(end.info)

    def run_at_once(self, *, handle: Handle, stop: StopRequest) -> Awaitable[None]:
        """The same for an actor that is up at once: it has been made, or was up before."""
        return self.run(handle=handle, stop=stop, task_status=handle)


ActorStart.run.kind = ActorStart.run_at_once.kind = "actor"  # type: ignore[attr-defined]  # what snapshots and outlines call it


async def _serve_requests(cell: Cell, actor: Actor[Any], handle: Handle, first: Envelope) -> Shutdown | Envelope | None:
    """Go on with `first`, in a cancel scope. Returns as `_serve` does."""
    end: Shutdown | Envelope | None = None
    with trio.CancelScope() as scope:
        cell.scope = scope
        end = await _serve(cell, actor, handle, scope, first)
    cell.scope = None
    if scope.cancelled_caught:
        cell.cut_short()
    return end


async def _serve(
    cell: Cell, actor: Actor[Any], handle: Handle, scope: trio.CancelScope | None, first: Envelope | None
) -> Shutdown | Envelope | None:
    """Handle messages until it is to end; why: a final `Shutdown` if it was told to, or the supervisor's.

    Returns a request where there is no scope around that could cut its handling short, and None where there is one
    that was used: it goes on with a scope, or without.
    """
    mailbox = cell.mailbox
    budget = YIELD_EVERY
    envelope: Envelope
    while True:
        # What follows is `mailbox.take()` and `mailbox.wait()`, without the calls.
        if first is not None:
            envelope, first = first, None
        elif mailbox.reserved:
            envelope = mailbox.reserved.popleft()
            if isinstance(envelope, StopSignal):
                if envelope.incarnation is None or envelope.incarnation is handle:
                    return Shutdown(envelope.reason, final=envelope.final)
                continue  # it was for one that has ended in another way
            if isinstance(envelope, News) and envelope.incarnation not in (None, handle):
                continue
        elif mailbox.queue:
            envelope = mailbox.queue.popleft()
            if mailbox.putting:
                mailbox.let_in()
        else:
            budget = YIELD_EVERY
            await trio.lowlevel.wait_task_rescheduled(mailbox.park())
            continue
        reply = envelope.reply
        if reply is not None:
            if reply.over:
                cell.system.dead_letters.add(envelope, cell.address, Reason.EXPIRED)
                continue
            if scope is None and not cell.detach:
                return envelope
            reply.handler = cell
        message = envelope.message
        cell.current = envelope
        handler = actor._handlers.get(message.__class__) or actor._handler(message)
        try:
            result = await handler(actor, message)
        except Refused as refusal:
            _refused(cell, refusal)
        except ExceptionGroup as group:  # from a nursery of the handler
            refusals = [leaf for leaf in leaves(group) if isinstance(leaf, Refused)]
            if len(refusals) < sum(1 for _ in leaves(group)):
                raise
            _refused(cell, refusals[0])
        else:
            if reply is not None and not cell.stashed:
                reply.answer(result)
        cell.current = cell.trace_out = None  # `cell.idle()`, without the call
        cell.stashed = False
        if scope is not None and scope.cancel_called:
            return None  # the handler has ended in the moment in which nobody waited any more
        budget -= 1
        if not budget:
            budget = YIELD_EVERY
            await trio.lowlevel.checkpoint()


async def _stopping(actor: Actor[Any], end: Shutdown) -> None:
    """Call the hook. Where the end is final, it stays so even if the hook fails."""
    try:
        await actor.stopping(end)
    except Exception as error:
        if end.final:
            raise DoNotRestart(error) from error
        raise


def _refused(cell: Cell, refusal: Refused) -> None:
    envelope = cell.current
    assert envelope is not None
    cell.take_out_of_stash()
    if envelope.reply is not None:
        envelope.reply.fail(refusal)
    else:
        cell.lost(Redelivery(envelope), Reason.REFUSED, refusal)


async def _crashed(cell: Cell, error: Exception) -> None:
    """A hook or a handler has raised: let the actor see it, and account for the message."""
    envelope, actor = cell.current, cell.actor
    cell.unfinished(Reason.QUARANTINED, error)
    if actor is None or not actor._traits.crashed:
        return
    try:
        with trio.move_on_after(CRASHED_SECONDS):
            await actor.crashed(None if envelope is None else envelope.message, error)
    except Exception as second:
        error.add_note(f"and the hook `crashed` of {cell.path} raised {second!r}")
