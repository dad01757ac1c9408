"""Chains of messages: the trace and the sender that each one has, and the end of those that become too long."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import ActorRef, ActorSpec, Reason, System, TooManyHops, open_system
from anima_supervisors import Exit, Strategy, SupervisorSpec
from tests.anima.actors.puppets import Do, fail
from tests.anima.actors.tracers import Note, Pass, Player, tell


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
