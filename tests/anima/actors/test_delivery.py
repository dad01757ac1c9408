"""The whole: whatever actors do, and whatever is done to them, every message is accounted for and every wait ends."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable
from random import Random

import trio
from hypothesis import given
from trio.testing import MockClock

from anima.actors import (
    ActorError,
    ActorSpec,
    ActorStopped,
    DeadLetter,
    MailboxSpec,
    PoolSpec,
    Reason,
    Receiver,
    Stop,
    System,
    open_system,
)
from anima_supervisors import (
    ChildNotFound,
    ChildSpec,
    ChildStuck,
    RestartIntensityExceeded,
    SupervisorError,
    SupervisorSpec,
    SupervisorStopped,
)
from anima_supervisors.testing import kill
from tests.anima.actors.players import KINDS, Do, Handling, Sent, World
from tests.anima.actors.programs import Act, Inner, Leaf, Program, programs

#: The errors by which a sender is told that its message was not taken, or what became of it.
DOCUMENTED = {
    "tell": {"MailboxFull", "TooManyHops"},
    "put": {"ActorStopped", "AskCircle", "TooManyHops", "cancelled"},
    "ask": {"AskTimeout", "AskFailed", "ActorStopped", "AskCircle", "Refused", "TooManyHops", "cancelled"},
    "after": set[str](),
}


# A run


def spec_of(world: World, node: Inner, path: str) -> SupervisorSpec:
    children = []
    for n, child in enumerate(node.children):
        below = f"{path}/{n}"
        if isinstance(child, Inner):
            children.append(ChildSpec(str(n), spec_of(world, child, below)))
        else:
            children.append(part_of(world, child, str(n), below).child())
    return SupervisorSpec(strategy=node.strategy, intensity=node.intensity, children=children)


def part_of(world: World, leaf: Leaf, id: str, path: str) -> ActorSpec[object] | PoolSpec[object]:
    world.paths.append(path)
    spec: ActorSpec[object] = ActorSpec(
        id,
        functools.partial(KINDS[leaf.kind], world),  # type: ignore[arg-type]
        leaf.restart,
        shutdown=leaf.shutdown,
        mailbox=MailboxSpec(leaf.capacity, leaf.overflow),
        attempts=leaf.attempts,
    )
    if not leaf.replicas:
        return spec
    world.paths.append(f"{path}/1")
    return PoolSpec(spec, leaf.replicas, intensity=100)


class Run:
    """One program, from outside of the actors."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.world = World()
        self.letters: list[DeadLetter] = []
        self.system: System
        self._scopes: list[trio.CancelScope] = []
        self._nursery: trio.Nursery

    async def run(self) -> None:
        program, world = self.program, self.world
        spec = spec_of(world, program.root, "home")
        with trio.move_on_after(10_000) as all:
            async with trio.open_nursery() as self._nursery:
                try:
                    opened = open_system(
                        spec, random=Random(program.seed), max_hops=program.max_hops, kept_letters=1_000_000
                    )
                    async with opened as self.system:
                        world.system = self.system
                        world.look()
                        for step in program.steps:
                            for _ in range(step.times):
                                await self._step(step)
                            await self._pause(step.pause)
                            world.look()
                        if program.patient:
                            await trio.sleep(60)
                except RestartIntensityExceeded:
                    pass
                # Nobody keeps deadlines any more: what is not over will never be.
                self._nursery.cancel_scope.deadline = trio.current_time() + 1
            if self._nursery.cancel_scope.cancelled_caught:
                world.wrong.append("somebody waits for a system that is closed")
        if all.cancelled_caught:
            world.wrong.append("the system does not end")
        self.letters = list(self.system.dead_letters)

    async def _step(self, step: Act) -> None:
        match step.do:
            case "tell" | "tell stop":
                await self._allowing(ActorError, self.world.send, step, "outside")
            case "cancel":
                if self._scopes:
                    self._scopes[step.to % len(self._scopes)].cancel()
            case "kill":
                path = self.world.paths[step.to % len(self.world.paths)].removeprefix("home/")
                with contextlib.suppress(ChildNotFound):
                    kill(self.system.supervisor, path)
            case _:
                scope = trio.CancelScope(deadline=trio.current_time() + step.cancel)
                self._scopes.append(scope)
                self._nursery.start_soon(self._aside, step, scope)

    async def _pause(self, seconds: float) -> None:
        if seconds < 0:
            await trio.lowlevel.checkpoint()
        elif seconds > 0:
            await trio.sleep(seconds)

    async def _aside(self, step: Act, scope: trio.CancelScope) -> None:
        with scope:
            match step.do:
                case "stop":
                    await self._allowing((ActorStopped, ChildStuck, SupervisorStopped), self._stop, step)
                case "resize":
                    await self._allowing((ActorStopped, SupervisorError), self._resize, step)
                case "spawn":
                    await self._allowing(SupervisorError, self._spawn, step)
                case _:
                    sender = f"task {len(self.world.sent)} {step.do}"
                    await self._allowing(ActorError, self.world.send, step, sender)
        self._scopes.remove(scope)

    async def _allowing(
        self,
        errors: type[Exception] | tuple[type[Exception], ...],
        do: Callable[..., Awaitable[object]],
        *arguments: object,
    ) -> None:
        try:
            await do(*arguments)
        except errors:
            pass
        except Exception as error:
            self.world.wrong.append(f"{arguments} raised {error!r}")

    async def _stop(self, step: Act) -> None:
        await self.system.stop(self.world.ref(step.to))

    async def _resize(self, step: Act) -> None:
        await self.system.resize(self.world.ref(step.to), 1 + step.to % 3)

    async def _spawn(self, step: Act) -> None:
        id = f"spawned{step.to % 2}"
        if f"home/{id}" not in self.world.paths:
            self.world.paths.append(f"home/{id}")
        ref = await self.system.spawn(id, KINDS[step.to % len(KINDS)], self.world)
        assert ref.path == f"home/{id}"


# What has to hold


def check(run: Run) -> None:
    world = run.world
    assert not world.wrong, world.wrong
    handlings: dict[int, list[Handling]] = {}
    for one in world.handlings:
        handlings.setdefault(one.id, []).append(one)
    letters: dict[int, list[DeadLetter]] = {}
    for letter in run.letters:
        if isinstance(letter.message, Do):
            letters.setdefault(letter.message.id, []).append(letter)
        else:
            assert (letter.message, letter.reason) == (Stop(), Reason.NO_ACTOR), letter
            world.stops_for_nobody -= 1
    assert world.stops_for_nobody == 0
    for sent in world.sent.values():
        check_message(sent, handlings.get(sent.id, []), letters.get(sent.id, []))
    check_order(world)
    check_nothing_left(run)


def check_message(sent: Sent, handlings: list[Handling], letters: list[DeadLetter]) -> None:
    what = f"{sent}\n{handlings}\n{letters}"
    refused = sum(one.outcome == "refused" for one in handlings) if sent.how == "ask" else 0
    ends = sum(one.outcome in ("done", "taken") for one in handlings) + refused + len(letters)
    last = handlings[-1] if handlings else None
    assert sent.outcome is not None, f"the sender still waits: {what}"
    assert sent.outcome == "accepted" or sent.outcome in DOCUMENTED[sent.how], f"no documented error: {what}"
    if told_that_unsent(sent):
        assert not handlings, f"handled, though the sender was told that it was not sent: {what}"
        assert not letters, f"a dead letter, though the sender was told that it was not sent: {what}"
        return
    assert ends <= 1, f"accounted for {ends} times: {what}"
    nobody_waits = sent.how == "ask" and sent.outcome in ("AskTimeout", "cancelled")
    if ends == 0:
        cut_short = nobody_waits and last is not None and last.outcome in ("cut", "cut or raised")
        perhaps_not = sent.outcome == "AskCircle" or sent.cancelled_before or not sent.sure
        unsent = sent.how == "ask" and perhaps_not and last is None
        early = sent.how == "after" and sent.incarnation_ended <= sent.at and last is None
        assert cut_short or unsent or early, f"lost: {what}"
    check_sender(sent, handlings, letters, what)
    for letter in letters:
        check_letter(sent, handlings, letter, what)
    tries = [one for one in handlings if one.outcome != "stashed"]
    assert all(len(tries) <= one.attempts for one in tries), f"begun {len(tries)} times: {what}"
    for one in handlings:
        same_pool = sent.pool and one.path.startswith(sent.to + "/")
        moved = one.path.rpartition("/")[0] == sent.to.rpartition("/")[0]
        assert one.path == sent.to or same_pool or moved, f"handled at another address: {what}"
        assert one.outcome != "taken" or sent.how != "ask", f"taken, though somebody waits for the reply: {what}"
        assert one.begun <= sent.ended or sent.how != "ask", f"begun when nobody waited any more: {what}"
        if sent.how == "ask" and not one.detach and not one.deaf:
            assert one.ended <= sent.ended, f"goes on when nobody waits any more: {what}"


def told_that_unsent(sent: Sent) -> bool:
    match sent.how:
        case "put":
            return sent.outcome in ("cancelled", "ActorStopped", "AskCircle")
        case "ask":  # a pool may move it to a member that waits for the asker
            return sent.outcome == "AskCircle" and not (sent.pool or sent.to != sent.address)
    return sent.outcome == "MailboxFull"


def check_sender(sent: Sent, handlings: list[Handling], letters: list[DeadLetter], what: str) -> None:
    """What the sender was told is what has happened."""
    last = handlings[-1].outcome if handlings else None
    reasons = {letter.reason for letter in letters}
    if sent.outcome == "TooManyHops":
        assert not handlings, what
        assert reasons == {Reason.TOO_MANY_HOPS}, what
    if sent.how != "ask":
        return
    assert sent.ended <= max(sent.deadline, sent.at), f"waited beyond the deadline: {what}"
    match sent.outcome:
        case "accepted":
            assert last == "done", f"answered, and not handled to the end: {what}"
        case "Refused":
            assert last == "refused", what
        case "AskTimeout":
            assert sent.ended == max(sent.deadline, sent.at), f"gave up too early: {what}"
        case "AskFailed":
            assert sent.error is not None
            assert sent.error.__cause__ is not None, what
            assert reasons, what
            assert reasons <= {Reason.DROPPED, Reason.QUARANTINED}, what
        case "ActorStopped":
            assert reasons <= {Reason.LEFT_OVER, Reason.INTERRUPTED}, what
            assert reasons or not sent.sure, what


def check_letter(sent: Sent, handlings: list[Handling], letter: DeadLetter, what: str) -> None:
    last = handlings[-1].outcome if handlings else None
    attempts = [one for one in handlings if one.outcome != "stashed"]
    assert letter.to == sent.address, what
    assert letter.sender == sent.actor, what
    assert letter.attempts == len(attempts), f"begun {len(attempts)} times: {what}"
    match letter.reason:
        case Reason.NO_ACTOR | Reason.TOO_MANY_HOPS:
            assert last is None, what
        case Reason.EXPIRED:
            assert sent.how == "ask", what
            assert sent.outcome in ("AskTimeout", "cancelled", "AskCircle"), what
        case Reason.QUARANTINED:
            assert last in ("raised", "cut or raised"), what
        case Reason.INTERRUPTED:
            assert last in ("cut", "cut or raised"), what
        case Reason.REFUSED:
            assert (last, sent.how == "ask") == ("refused", False), what


def check_order(world: World) -> None:
    """Of one sender to one actor: what was sent first is begun first, unless it is taken before its turn."""
    last: dict[tuple[str, str], int] = {}
    seen = set()
    for one in world.handlings:
        sent = world.sent[one.id]
        if one.id in seen or sent.pool or one.path != sent.to or one.outcome == "taken":
            continue
        seen.add(one.id)
        before = last.get((sent.sender, sent.to), 0)
        assert before < one.id, f"{sent} was begun after {world.sent[before]}"
        last[sent.sender, sent.to] = one.id


def check_nothing_left(run: Run) -> None:
    system = run.system
    assert system.actors() == ()
    assert system.loops == {}
    assert [due for _, _, due in system.timers._heap if not due.over] == []
    assert system.timers._young == {}
    for place in run.world.places:
        assert place.ended
        if isinstance(place, Receiver):
            assert not place.waits_for, f"{place} waits for {place.waits_for}"
            assert len(place.mailbox) == 0
            assert not place.mailbox.putting
            assert not getattr(place, "stash", None)
    assert sum(system.dead_letters.counts.values()) == len(run.letters)


@given(programs())
def test_whatever_happens_every_message_is_accounted_for_once(program: Program) -> None:
    trio._core._run._r.seed(program.seed)
    run = Run(program)
    trio.run(run.run, clock=MockClock(autojump_threshold=0))
    check(run)
