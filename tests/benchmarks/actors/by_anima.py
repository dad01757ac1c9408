"""Our own actors: the full runtime, supervised, with hooks for events but nobody listening."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from trio.testing import wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorRef,
    ActorSpec,
    MailboxFull,
    MailboxSpec,
    Request,
    System,
    message,
    open_system,
    receive,
)
from anima.hub import Hub, Slow
from anima_supervisors import DynamicSupervisorSpec, SupervisorSpec
from tests.benchmarks.actors.workloads import (
    CAPACITY,
    RING,
    SIBLINGS,
    SUBSCRIBERS,
    Crashed,
    Meter,
    resident_bytes,
)


@message
class Number:
    """The message that all workloads send."""

    value: int


@message
class Crash:
    """The message on which an actor crashes."""

    value: int


@message
class Ask(Request[int]):
    """The request."""

    value: int


class Counter(Actor[Number]):
    """Counts its messages, and says so when it has had them all."""

    mailbox = MailboxSpec(CAPACITY)

    def __init__(self, expected: int, done: trio.Event) -> None:
        self._left = expected
        self._done = done

    @receive
    async def count(self, message: Number) -> None:
        self._left -= 1
        if not self._left:
            self._done.set()


class Once(Actor[Number]):
    """Handles one message."""

    @receive
    async def once(self, message: Number) -> None:
        self.stop()


class Answerer(Actor[Ask | Crash]):
    """Answers requests, and crashes on command."""

    @receive
    async def answer(self, message: Ask) -> int:
        return message.value + 1

    @receive
    async def crash(self, message: Crash) -> None:
        raise Crashed


class Hop(Actor[Number]):
    """Passes the token on."""

    def __init__(self, done: trio.Event) -> None:
        self._done = done
        self.onward: ActorRef[Number] | None = None

    @receive
    async def hop(self, message: Number) -> None:
        if message.value:
            self.onward.tell(Number(message.value - 1))  # type: ignore[union-attr]
        else:
            self._done.set()


def _run(main: Callable[[System], Awaitable[float]], restarts: int = 3) -> float:
    async def run() -> float:
        spec = DynamicSupervisorSpec(intensity=restarts)
        async with open_system(spec, max_hops=10**9) as system:
            return await main(system)

    return trio.run(run)


def tell(count: int) -> float:
    """The producer tells, and waits for room when there is none."""

    async def main(system: System) -> float:
        done = trio.Event()
        ref = await system.spawn("counter", Counter, count, done)
        with Meter(count) as meter:
            for n in range(count):
                try:
                    ref.tell(Number(n))
                except MailboxFull:
                    await ref.put(Number(n))
            await done.wait()
        return meter.cost

    return _run(main)


def ask(count: int) -> float:
    """With the default deadline."""

    async def main(system: System) -> float:
        ref = await system.spawn("answerer", Answerer)
        with Meter(count) as meter:
            for n in range(count):
                await ref.ask(Ask(n))
        return meter.cost

    return _run(main)


def ring(count: int) -> float:
    """The token is a number that falls by one with each hop."""

    async def main(system: System) -> float:
        done = trio.Event()
        hops: list[Hop] = []

        class Linked(Hop):
            def __init__(self) -> None:
                super().__init__(done)
                hops.append(self)

        refs = [await system.spawn(f"hop-{n}", Linked) for n in range(RING)]
        for n, hop in enumerate(hops):
            hop.onward = refs[(n + 1) % RING]
        await wait_all_tasks_blocked()
        with Meter(count) as meter:
            refs[0].tell(Number(count - 1))
            await done.wait()
        return meter.cost

    return _run(main)


def spawn_stop(count: int) -> float:
    """It stops itself when it has handled its message; whoever spawned it waits until it is gone for good."""

    async def main(system: System) -> float:
        with Meter(count) as meter:
            for n in range(count):
                ref = await system.spawn(f"actor-{n}", Once)
                ref.tell(Number(n))
                await ref.wait_ended()
        return meter.cost

    return _run(main)


def idle_bytes(count: int) -> float:
    """An actor with its mailbox, and its place in the tree."""

    async def main(system: System) -> float:
        before = resident_bytes()
        for n in range(count):
            await system.spawn(f"actor-{n}", Answerer)
        await wait_all_tasks_blocked()
        return (resident_bytes() - before) / count

    return _run(main)


def _measure_restarts(count: int, siblings: int) -> float:
    async def main() -> float:
        actors = [ActorSpec(f"actor-{n}", Answerer).child() for n in range(1 + siblings)]
        async with open_system(SupervisorSpec(intensity=2 * count, children=actors)) as system:
            ref = system.ref("home/actor-0", Answerer)
            await wait_all_tasks_blocked()
            with Meter(count) as meter:
                for n in range(count):
                    ref.tell(Crash(n))
                    await ref.ask(Ask(n))
            return meter.cost

    return trio.run(main)


def restart(count: int) -> float:
    """The crash is an exit, a decision of the supervisor, and a new incarnation with the old mailbox."""
    return _measure_restarts(count, 0)


def restart_among_1000(count: int) -> float:
    """The same in a supervisor with siblings."""
    return _measure_restarts(count, SIBLINGS)


def publish_100(count: int) -> float:
    """By the hub, to subscribers that are waited for, so that none is left out."""

    async def main(system: System) -> float:
        hub = Hub.of(system)
        messages = count // SUBSCRIBERS
        done = [trio.Event() for _ in range(SUBSCRIBERS)]
        for n, event in enumerate(done):
            ref = await system.spawn(f"subscriber-{n}", Counter, messages, event)
            hub.subscribe(ref, "numbers", slow=Slow.WAIT)
        await wait_all_tasks_blocked()
        with Meter(messages * SUBSCRIBERS) as meter:
            for n in range(messages):
                await hub.publish("numbers", Number(n))
            for event in done:
                await event.wait()
        return meter.cost

    return _run(main)
