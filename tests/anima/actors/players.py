"""Actors that do what their messages say, and a world that writes down who sent what and what became of it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar

import attrs
import trio

from anima.actors import Actor, ActorError, ActorRef, Place, Receiver, Refused, Request, Stop, System, message, receive
from anima_supervisors import Exit, SupervisorError, leaves
from tests.anima.actors.programs import Act

#: Only so often is a message stashed: two that bring each other back would never end.
STASHED_AT_MOST = 3


@message
class Do(Request[int]):
    """Do this; the reply is the id."""

    id: int
    script: tuple[Act, ...]


@attrs.define(eq=False)
class Sent:
    """A message: who sent it, and how that ended for the sender."""

    id: int
    how: str
    #: senders that do one thing after the other, for the order
    sender: str
    #: the address of the actor that sent it
    actor: str | None
    to: str
    pool: bool
    #: where its dead letter is for: of a member of a pool, the pool's address
    address: str
    at: float
    #: it is in the mailbox unless the sender was told otherwise; False: nobody can tell
    sure: bool = True
    #: its sender was cancelled before it began
    cancelled_before: bool = False
    deadline: float = math.inf
    outcome: str | None = None
    error: BaseException | None = None
    ended: float = math.inf
    #: of a timer: when its incarnation ended
    incarnation_ended: float = math.inf


@attrs.define(eq=False)
class Handling:
    id: int
    path: str
    begun: float
    detach: bool
    #: how often it may be begun
    attempts: int
    outcome: str = "under way"
    ended: float = math.inf
    stashed: bool = False
    #: it has slept behind a shield: nobody can cut it short
    deaf: bool = False


class Boom(Exception):
    """What a handler raises when it is told to fail."""


class World:
    """Everybody's diary."""

    def __init__(self) -> None:
        self.sent: dict[int, Sent] = {}
        self.handlings: list[Handling] = []
        self.begun: Counter[int] = Counter()
        self.starts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.stops_for_nobody = 0
        self.paths: list[str] = []
        self.places: dict[Place, None] = {}
        self._refs: dict[str, ActorRef[Any]] = {}
        self._active: dict[str, Handling] = {}
        self._numbers = itertools.count(1)
        self.system: System

    # Addresses

    def ref(self, to: int) -> ActorRef[Any]:
        """Always the same one for an address, so that it gets old."""
        path = self.paths[to % len(self.paths)]
        if path not in self._refs:
            self._refs[path] = self.system.ref(path)
        return self._refs[path]

    def look(self) -> None:
        """Remember all that there is, to look at it at the end."""
        self.places.update(dict.fromkeys(place for ref in self.system.actors() if (place := ref.place_if_any())))

    # Sending

    def note(self, how: str, sender: str, actor: str | None, ref: ActorRef[Any], deadline: float = math.inf) -> Sent:
        self.look()
        place = ref.place_if_any()
        pool = place is not None and not isinstance(place, Receiver)
        address = ref.path if place is None else place.address
        sent = Sent(next(self._numbers), how, sender, actor, ref.path, pool, address, trio.current_time())
        if how == "ask":
            mailbox = place.mailbox if isinstance(place, Receiver) else None
            sent.sure = mailbox is not None and (mailbox.has_room or mailbox.drops)
        sent.deadline = deadline
        self.sent[sent.id] = sent
        return sent

    @contextlib.contextmanager
    def ending(self, sent: Sent) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            sent.outcome = "cancelled" if isinstance(error, trio.Cancelled) else type(error).__name__
            sent.error = error
            raise
        else:
            sent.outcome = "accepted"
        finally:
            sent.ended = trio.current_time()

    async def send(self, act: Act, sender: str, actor: str | None = None, deadline: float = math.inf) -> None:
        """Tell, put or ask; raises what these do. `deadline`: that of the message which the sender handles."""
        ref = self.ref(act.to)
        match act.do:
            case "tell":
                sent = self.note("tell", sender, actor, ref)
                with self.ending(sent):
                    ref.tell(Do(sent.id, act.script))
            case "put":
                sent = self.note("put", sender, actor, ref)
                with self.ending(sent):
                    await ref.put(Do(sent.id, act.script))
            case "ask":
                deadline = min(trio.current_time() + act.seconds, deadline)
                sent = self.note("ask", sender, actor, ref, deadline)
                sent.cancelled_before = trio.current_effective_deadline() == -math.inf
                with self.ending(sent):
                    reply = await ref.ask(Do(sent.id, act.script), timeout=act.seconds)
                if reply != sent.id:
                    self.wrong.append(f"{sent} was answered with {reply}")
            case "tell stop":
                self.stops_for_nobody += ref.ended
                ref.tell(Stop())
            case "put stop":
                await ref.put(Stop())
            case _:
                raise AssertionError(act)

    # Handling

    @contextlib.contextmanager
    def handling(self, actor: Player, message: Do) -> Iterator[Handling]:
        path = actor.ref.path
        one = Handling(message.id, path, trio.current_time(), type(actor).detach, actor.attempts_allowed)
        sent = self.sent[message.id]
        self.handlings.append(one)
        self.begun[message.id] += 1
        if path in self._active:
            self.wrong.append(f"{path} handles {one} while it handles {self._active[path]}")
        self._active[path] = one
        if actor.sender != (None if sent.actor is None else self.system.ref(sent.actor)):
            self.wrong.append(f"{sent} comes from {actor.sender}")
        if actor.deadline != (math.inf if one.detach else sent.deadline):
            self.wrong.append(f"the handler of {sent} has the deadline {actor.deadline}")
        try:
            yield one
        except Exception as error:
            one.outcome = "refused" if _only(error, Refused) else "raised"
            raise
        except BaseException as error:
            # Cancelled in one of its tasks while another one raised: either may be what it ends with.
            one.outcome = "cut" if _only(error, trio.Cancelled) else "cut or raised"
            raise
        else:
            one.outcome = "stashed" if one.stashed else "done"
        finally:
            one.ended = trio.current_time()
            del self._active[path]

    def took(self, actor: Player, message: Do) -> None:
        """An actor has taken a message that waited: that is all of its handling."""
        now, path = trio.current_time(), actor.ref.path
        self.handlings.append(Handling(message.id, path, now, type(actor).detach, actor.attempts_allowed, "taken", now))
        self.begun[message.id] += 1


def _only(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether it is of this kind, or a group of nothing else."""
    return all(isinstance(leaf, kind) for leaf in leaves(error))


class Player(Actor[Do | Stop]):
    """Does what it is told."""

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def attempts_allowed(self) -> int:
        return self._cell.spec.attempts or self.attempts

    @receive
    async def do(self, message: Do) -> int:
        with self.world.handling(self, message) as handling:
            for act in message.script:
                await self.act(act, handling)
        return message.id

    async def act(self, act: Act, handling: Handling) -> None:
        match act.do:
            case "sleep":
                await trio.sleep(act.seconds)
            case "deaf":
                handling.deaf = True
                with trio.CancelScope(shield=True):
                    await trio.sleep(act.seconds)
            case "yield":
                await trio.lowlevel.checkpoint()
            case "fail":
                raise Boom
            case "refuse":
                raise Refused("told to refuse")
            case "stash":
                if not handling.stashed and self.world.begun[handling.id] <= STASHED_AT_MOST:
                    self.stash()
                    handling.stashed = True
            case "unstash":
                self.unstash()
            case "take":
                for message in self.take_waiting(Do):
                    self.world.took(self, message)
            case "stop self":
                self.stop()
            case "after":
                self.later(act)
            case "together":
                handling_one = functools.partial(self._caught, attrs.evolve(act, do="ask"))
                async with trio.open_nursery() as nursery:
                    for n in range(2):
                        alone = f"{self.ref.path} {handling.id} {len(self.world.sent)} {n}"
                        nursery.start_soon(handling_one, functools.partial(self._send, sender=alone))
            case "spawn":
                await self._caught(act, self._spawn)
            case "stop other":
                await self._caught(act, self._stop_other)
            case _:
                await self._caught(act, self._send)

    async def _caught(self, act: Act, do: Callable[[Act], Awaitable[None]]) -> None:
        try:
            await do(act)
        except (ActorError, SupervisorError):
            if not act.catch:
                raise

    async def _send(self, act: Act, sender: str | None = None) -> None:
        path = self.ref.path
        await self.world.send(act, sender or path, path, self.deadline)

    async def _spawn(self, act: Act) -> None:
        id = f"own{act.to % 2}"
        self.world.paths.append(f"{self.ref.path}/{id}")
        await self.spawn(id, KINDS[act.to % len(KINDS)], self.world)

    async def _stop_other(self, act: Act) -> None:
        await self.system.stop(self.world.ref(act.to))

    def later(self, act: Act) -> None:
        path = self.ref.path
        sent = self.world.note("after", f"timer {len(self.world.sent)}", path, self.ref)
        sent.at += act.seconds
        sent.address = self._cell.address
        sent.outcome = "accepted"

        def gone() -> None:
            sent.incarnation_ended = trio.current_time()

        self._cell.while_up(gone)
        self.after(act.seconds, Do(sent.id, act.script))


class Detached(Player):
    detach: ClassVar[bool] = True


class Slow(Player):
    """Takes a while to start, and fails at its third attempt."""

    async def started(self) -> None:
        path = self.ref.path
        self.world.starts[path] += 1
        await trio.sleep(0.125)
        if self.world.starts[path] == 3:
            raise Boom


class Hooked(Player):
    """Does something at its end, and after a crash."""

    async def stopping(self, reason: Exit) -> None:
        await trio.sleep(0.25)
        await self._caught(Act("tell", 1), self._send)

    async def crashed(self, message: object, error: Exception) -> None:
        await trio.sleep(0.25)
        await self._caught(Act("ask", 2, 1.0), self._send)


KINDS: list[type[Player]] = [Player, Detached, Slow, Hooked]
