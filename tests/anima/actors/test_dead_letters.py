"""Dead letters: what is kept of a message that nobody took, sending it again, and chains that become too long."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorRef,
    ActorSpec,
    DeadLettered,
    MailboxFull,
    MailboxSpec,
    Reason,
    Refused,
    Request,
    Stop,
    System,
    TooManyHops,
    actor_events,
    message,
    open_system,
    receive,
)
from anima_supervisors import Exit, Inline, Strategy, SupervisorSpec
from anima_supervisors.testing import EventLog


@message
class Do(Request[Any]):
    """Runs inside of the handler, with the actor."""

    code: Callable[[Any], Awaitable[Any]]


@message
class Note:
    text: str


@message
class Pass(Request[int]):
    """Goes to and fro between two actors, as a `how`; the reply is how often it did."""

    to: ActorRef[Any]
    how: str


class Player(Actor[Do | Note | Pass | Stop]):
    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)

    @receive
    async def note(self, message: Note) -> None:
        self.log.append((message.text, self.trace))

    @receive
    async def go_on(self, message: Pass) -> int:
        self.log.append(self.trace)
        back = Pass(self.ref, message.how)
        try:
            match message.how:
                case "tell":
                    message.to.tell(back)
                case "put":
                    await message.to.put(back)
                case _:
                    await message.to.ask(back)
        except TooManyHops as error:
            self.log.append(error)
        return 0


class Starter(Player):
    """Sends something before it is up."""

    def __init__(self, log: list[Any], first: ActorRef[Note]) -> None:
        super().__init__(log)
        self.first = first

    async def started(self) -> None:
        self.first.tell(Note("started"))


class Crier(Player):
    """Sends something when it has crashed, and when it is to end."""

    def __init__(self, log: list[Any], other: ActorRef[Note]) -> None:
        super().__init__(log)
        self.other = other

    async def crashed(self, message: object, error: Exception) -> None:
        self.other.tell(Note("crashed"))

    async def stopping(self, reason: Exit) -> None:
        self.other.tell(Note("stopping"))


async def idle(_: object) -> None:
    pass


async def fail(_: object) -> None:
    raise ValueError("broken")


def tell(ref: ActorRef[Any], *messages: object) -> Do:
    async def code(_: object) -> None:
        for one in messages:
            ref.tell(one)

    return Do(code)


# What is kept


async def test_a_message_to_an_address_without_an_actor_is_a_dead_letter() -> None:
    async with open_system() as system:
        system.ref("home/nobody", Player).tell(Note("outside"))
        sender = await system.spawn("sender", Player)
        await sender.ask(tell(system.ref("home/nobody"), Note("from an actor")))
        outside, inside = system.dead_letters
        assert (outside.message, outside.to, outside.sender) == (Note("outside"), "home/nobody", None)
        assert (outside.reason, outside.attempts, outside.error) == (Reason.NO_ACTOR, 0, None)
        assert abs(outside.time - time.time()) < 60
        assert (outside.trace, outside.hops, outside.way) == (None, 1, ())
        assert (inside.sender, inside.hops, inside.way) == ("home/sender", 2, ("home/sender",))
        assert inside.trace is not None
        assert len(inside.trace) == 32
        assert int(inside.trace, 16) > 0


async def test_a_message_to_an_actor_that_has_ended_is_a_dead_letter() -> None:
    async with open_system() as system:
        ref = await system.spawn("player", Player)
        await system.stop(ref)
        ref.tell(Note("late"))
        [letter] = system.dead_letters
        assert letter.reason is Reason.NO_ACTOR


async def test_each_dead_letter_is_an_event_and_is_counted_by_its_reason() -> None:
    events = EventLog()

    async def refuse(_: object) -> None:
        raise Refused("no")

    async with open_system(on_event=Inline(events)) as system:
        ref = await system.spawn("player", Player)
        ref.tell(Do(fail))
        ref.tell(Do(refuse))
        await ref.ask(Do(idle))
        system.ref("home/nobody").tell(Note("1"))
        system.ref("home/nobody").tell(Note("2"))
        assert system.dead_letters.counts == {Reason.QUARANTINED: 1, Reason.REFUSED: 1, Reason.NO_ACTOR: 2}
        told = [(event.path, event.reason, event.message, event.attempts) for event in events.of(DeadLettered)]
        assert told[0] == ("home/player", "quarantined", "Do", 1)
        assert told[1][:3] == ("home/player", "refused", "Do")
        assert told[2:] == [("home/nobody", "no_actor", "Note", 0)] * 2
        assert "broken" in str(events.of(DeadLettered)[0].error)
    assert actor_events()["message.dead_letter"] is DeadLettered


async def test_only_the_last_ones_are_kept_and_all_are_counted() -> None:
    async with open_system(kept_letters=2) as system:
        for n in range(5):
            system.ref("home/nobody").tell(Note(f"{n}"))
        assert [letter.message for letter in system.dead_letters] == [Note("3"), Note("4")]
        assert len(system.dead_letters) == 2
        assert system.dead_letters.counts[Reason.NO_ACTOR] == 5
        [first, last] = system.dead_letters
        assert system.dead_letters.get(last.id) is last
        assert system.dead_letters.get(first.id - 1) is None


async def test_a_dead_letter_can_be_dropped() -> None:
    async with open_system() as system:
        system.ref("home/nobody").tell(Note("1"))
        [letter] = system.dead_letters
        system.dead_letters.drop(letter.id)
        assert len(system.dead_letters) == 0
        with pytest.raises(KeyError):
            system.dead_letters.drop(letter.id)


async def test_a_dead_letter_can_be_sent_again_and_is_none_any_more() -> None:
    log: list[Any] = []
    async with open_system() as system:
        system.ref("home/player").tell(Note("patient"))
        [letter] = system.dead_letters
        await system.spawn("player", Player, log)
        system.dead_letters.resend(letter.id)
        await wait_all_tasks_blocked()
        assert [text for text, _ in log] == ["patient"]
        assert len(system.dead_letters) == 0
        with pytest.raises(KeyError):
            system.dead_letters.resend(letter.id)


async def test_what_is_sent_again_is_handled_as_if_for_the_first_time() -> None:
    crashes = [True, True, True, False]

    async def fragile(_: object) -> None:
        if crashes.pop(0):
            raise ValueError("broken")

    async with open_system() as system:
        ref = await system.spawn(ActorSpec("player", Player, attempts=2))
        ref.tell(Do(fragile))
        await wait_all_tasks_blocked()
        [letter] = system.dead_letters
        assert letter.attempts == 2
        system.dead_letters.resend(letter.id)
        await wait_all_tasks_blocked()
        assert crashes == []
        assert len(system.dead_letters) == 0


async def test_a_dead_letter_that_cannot_be_sent_again_is_kept(autojump_clock: MockClock) -> None:
    async def busy(_: object) -> None:
        await trio.sleep(1)

    async with open_system() as system:
        system.ref("home/player").tell(Note("1"))
        [letter] = system.dead_letters
        ref = await system.spawn(ActorSpec("player", Player, mailbox=MailboxSpec(1)))
        ref.tell(Do(busy))
        await wait_all_tasks_blocked()
        ref.tell(Note("in its way"))
        with pytest.raises(MailboxFull):
            system.dead_letters.resend(letter.id)
        assert system.dead_letters.get(letter.id) is letter


async def test_sending_again_to_nobody_makes_a_new_dead_letter_however_few_are_kept() -> None:
    async with open_system(kept_letters=1) as system:
        system.ref("home/nobody").tell(Note("1"))
        [before] = system.dead_letters
        system.dead_letters.resend(before.id)
        [after] = system.dead_letters
        assert after.id != before.id
        assert after.message == before.message


# Chains


async def test_the_trace_is_inherited_by_all_that_a_message_causes() -> None:
    log: list[Any] = []
    async with open_system() as system:
        last = await system.spawn("last", Player, log)
        middle = await system.spawn("middle", Player, log)
        first = await system.spawn("first", Player, log)

        async def in_middle(actor: Player) -> None:
            log.append(("middle", actor.trace))
            await last.put(Note("put"))

        async def in_first(actor: Player) -> None:
            log.append(("first", actor.trace))
            assert actor.sender is None
            last.tell(Note("told"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(middle.ask, Do(in_middle))

        await first.ask(Do(in_first))
        await wait_all_tasks_blocked()
        assert sorted(name for name, _ in log) == ["first", "middle", "put", "told"]
        assert len({trace for _, trace in log}) == 1
        log.clear()
        await first.ask(Do(in_first))
        last.tell(Note("alone"))
        await wait_all_tasks_blocked()
        assert len({trace for _, trace in log}) == 2  # each chain has its own


async def test_the_sender_is_known_in_the_handler() -> None:
    async with open_system() as system:
        a, b = await system.spawn("a", Player), await system.spawn("b", Player)

        async def who(actor: Player) -> Any:
            return actor.sender

        async def ask_b(_: object) -> Any:
            return await b.ask(Do(who))

        assert await a.ask(Do(ask_b)) == a
        assert await b.ask(Do(who)) is None


async def test_what_was_sent_before_the_first_message_is_no_part_of_its_chain() -> None:
    log: list[Any] = []
    async with open_system() as system:
        other = await system.spawn("other", Player, log)
        starter = await system.spawn("starter", Starter, log, other)
        sender = await system.spawn("sender", Player)
        await sender.ask(tell(starter, Note("in"), tell(other, Note("out"))))
        await wait_all_tasks_blocked()
        traces = dict(log)
        assert set(traces) == {"started", "in", "out"}
        assert traces["in"] == traces["out"]
        assert traces["started"] != traces["in"]


@pytest.mark.parametrize("hook", ["crashed", "stopping"])
async def test_what_was_sent_at_the_end_of_an_incarnation_is_no_part_of_a_later_chain(hook: str) -> None:
    log: list[Any] = []
    root = SupervisorSpec(strategy=Strategy.ONE_FOR_ALL)
    async with open_system(root) as system:
        other = system.ref("home/other", Player)
        crier = ActorSpec("crier", functools.partial(Crier, log, other)).child()
        neighbour = ActorSpec("neighbour", Player).child()
        await system.supervisor.start_child(ActorSpec("other", functools.partial(Player, log)).child())
        for spec in (crier, neighbour):
            await system.supervisor.start_child(spec)
        ref = system.ref("home/crier", Player)
        crashing = ref if hook == "crashed" else system.ref("home/neighbour", Player)
        crashing.tell(Do(fail))
        await wait_all_tasks_blocked()
        await system.ref("home/neighbour", Player).ask(tell(ref, Note("in"), tell(other, Note("out"))))
        await wait_all_tasks_blocked()
        traces = dict(log)
        assert set(traces) == {hook, "in", "out"}
        assert traces["in"] == traces["out"]
        assert traces[hook] != traces["in"]


@pytest.mark.parametrize("how", ["tell", "put", "ask"])
async def test_a_message_beyond_the_most_hops_is_a_dead_letter_and_its_sender_is_told(
    autojump_clock: MockClock, how: str
) -> None:
    log: list[Any] = []
    async with open_system(max_hops=5) as system:
        if how == "ask":  # a circle of asks would be refused: a row of actors
            refs = [await system.spawn(f"{n}", Player, log) for n in range(7)]
            await refs[0].ask(_row(system, log, 1))
        else:
            a, b = await system.spawn("a", Player, log), await system.spawn("b", Player, log)
            a.tell(Pass(b, how))
            await wait_all_tasks_blocked()
        *traces, error = log
        assert isinstance(error, TooManyHops)
        assert error.hops == 6
        assert len(traces) == 5  # so many were handled
        assert len(set(traces)) == 1
        [letter] = system.dead_letters
        assert (letter.reason, letter.hops, letter.trace) == (Reason.TOO_MANY_HOPS, 6, traces[0])
        assert len(letter.way) == 5
        assert letter.to == error.path


def _row(system: System, log: list[Any], next: int) -> Do:
    """Asks the actor of the next number to do the same."""

    async def code(actor: Player) -> None:
        log.append(actor.trace)
        try:
            await system.ref(f"home/{next}", Player).ask(_row(system, log, next + 1))
        except TooManyHops as error:
            log.append(error)

    return Do(code)


async def test_a_circle_of_messages_dies_after_the_default_of_hops() -> None:
    log: list[Any] = []
    async with open_system() as system:
        a, b = await system.spawn("a", Player, log), await system.spawn("b", Player, log)
        a.tell(Pass(b, "tell"))
        await wait_all_tasks_blocked()
        assert len(log) == 64 + 1
        [letter] = system.dead_letters
        assert letter.hops == 65


async def test_a_timer_begins_a_new_chain_each_time(autojump_clock: MockClock) -> None:
    log: list[Any] = []

    async def tick(actor: Any) -> None:
        log.append(actor.trace)
        if len(log) < 10:
            actor.after(1, Do(tick))

    async with open_system(max_hops=3) as system:
        ref = await system.spawn(ActorSpec("player", functools.partial(Player, log)))
        ref.tell(Do(tick))
        await trio.sleep(20)
        assert len(set(log)) == 10
        assert len(system.dead_letters) == 0
