"""Routers: several identical actors behind one address."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import trio

from anima_supervisors import ChildAlreadyPresent, Exit, Shutdown, Supervisor, SupervisorSpec

from ._cell import Cell, State
from ._envelope import Envelope
from ._mailbox import MailboxStatistics
from ._messages import Stop
from ._place import Place

if TYPE_CHECKING:
    from ._spec import PoolSpec
    from ._system import System


class Route(Protocol):
    """Chooses who takes a message. `members` are in the order of their numbers, at least one."""

    def pick(self, members: list[Cell], message: Any, turn: int) -> Cell: ...


@attrs.frozen
class RoundRobin:
    """One after the other; those that are being restarted, or full, are left out while there are others."""

    def pick(self, members: list[Cell], message: Any, turn: int) -> Cell:
        for step in range(len(members)):
            cell = members[(turn + step) % len(members)]
            if cell.state is State.UP and cell.mailbox.has_room:
                return cell
        return members[turn % len(members)]


@attrs.frozen
class LeastMailbox:
    """The one with the fewest messages before it, of those that are up if there are any."""

    def pick(self, members: list[Cell], message: Any, turn: int) -> Cell:
        def load(cell: Cell) -> tuple[bool, int]:
            return cell.state is not State.UP, cell.load

        return min((members[(turn + step) % len(members)] for step in range(len(members))), key=load)


@attrs.frozen
class ByKey:
    """Messages with the same `key(message)` go to the same actor, also while it is being restarted.

    A change of the pool's size moves as few keys as possible (rendezvous hashing, over the `repr` of the key).
    """

    key: Callable[[Any], Hashable]

    def pick(self, members: list[Cell], message: Any, turn: int) -> Cell:
        key = repr(self.key(message)).encode()

        def weight(cell: Cell) -> tuple[bytes, str]:
            return hashlib.blake2b(key + b"\0" + cell.path.encode(), digest_size=8).digest(), cell.path

        return max(members, key=weight)


class Pool(Place):
    """An address whose messages go to one of its members. It lives as long as any of them."""

    def __init__(self, system: System, path: str, spec: PoolSpec[Any]) -> None:
        super().__init__(system, path)
        self._spec = spec
        self._members: list[Cell] = []
        self._turn = 0
        self._resizing = trio.Lock()

    def __repr__(self) -> str:
        return f"<Pool {self.path} of {len(self._members)}>"

    def join(self, cell: Cell) -> None:
        """A member's address has come to life."""
        self._members.append(cell)
        self._members.sort(key=lambda cell: (len(cell.path), cell.path))
        self.accepts = cell.accepts

    def leave(self, cell: Cell, exit: Exit) -> None:
        """A member has ended for good."""
        self._members.remove(cell)
        if not self._members:
            self.end_place(exit)
            self.undo_there()
            self.tell_end()
            # Without a member their supervisor would stay and keep the name. It may be ending already.
            cell.stop_supervisor(Shutdown("no member is left", final=True))

    def pick(self, message: object) -> Cell:
        """The member whose turn it is."""
        self._turn += 1
        return self._spec.route.pick(self._members, message, self._turn - 1)

    def admit(self, message: object) -> bool:
        """As for one of its members; only that a `Stop` is for all of them."""
        if isinstance(message, Stop):
            for cell in list(self._members):
                cell.admit(message)
            return False
        return self._members[0].admit(message)

    def would_accept(self, kind: type) -> bool:
        return self._members[0].would_accept(kind)

    @property
    def names(self) -> list[str]:
        return self._members[0].names

    @property
    def load(self) -> int:
        return sum(cell.load for cell in self._members)

    def deliver(self, envelope: Envelope) -> None:
        self.pick(envelope.message).deliver(envelope)

    def take_over(self, envelope: Envelope) -> bool:
        """Give a message that a member has left to another one; False if there is none, or no room."""
        if not self._members:
            return False
        try:
            cell = self.pick(envelope.message)
            cell.mailbox.put_nowait(envelope)
        except Exception:  # no room, or a key that this message does not have: it is a dead letter then
            return False
        if envelope.reply is not None:
            envelope.reply.moved_to(cell)
        return True

    async def resize(self, supervisor: Supervisor, above: Supervisor, replicas: int) -> None:
        """Start or stop members until there are so many, the last ones first. One call at a time.

        When it is done, its supervisor will have as many after a restart: `above`, which restarts it, is told.
        """
        if replicas < 1:
            raise ValueError(f"a pool has 1 member or more, not {replicas!r}")
        async with self._resizing:
            await self._resize(supervisor, replicas)
            assert isinstance(supervisor.spec, SupervisorSpec)
            again = attrs.evolve(supervisor.spec, children=self._spec.members(replicas))
            await above.change_start(self._spec.id, again)

    async def _resize(self, supervisor: Supervisor, replicas: int) -> None:
        numbers = sorted(int(cell.path.rpartition("/")[2]) for cell in self._members)
        for number in reversed(numbers[replicas:]):
            await supervisor.terminate_child(str(number))
            await supervisor.delete_child(str(number))
        new = (number for number in itertools.count(1) if number not in numbers)
        for _ in range(replicas - len(numbers)):
            number = next(new)
            try:
                await supervisor.start_child(self._spec.member(number))
            except ChildAlreadyPresent:  # one that has ended for good
                await supervisor.restart_child(str(number))

    def statistics(self) -> MailboxStatistics:
        """The sums over its members."""
        all = [cell.mailbox.statistics() for cell in self._members]
        names = [field.name for field in attrs.fields(MailboxStatistics)]
        return MailboxStatistics(**{name: sum(getattr(one, name) for one in all) for name in names})
