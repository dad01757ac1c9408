"""Asks: the reply, the deadline that travels with them, and what the asker is told when there is no reply."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorRef,
    ActorSpec,
    ActorStopped,
    AskFailed,
    AskTimeout,
    MailboxDropped,
    MailboxSpec,
    Overflow,
    Reason,
    Refused,
    Request,
    Stop,
    message,
    open_system,
    receive,
)
from anima_supervisors import Exited, Inline
from anima_supervisors.testing import EventLog


@message
class Double(Request[int]):
    n: int


@message
class DoubleTwice(Double):
    pass


@message
class Work(Request[str]):
    """Takes so many seconds."""

    name: str
    seconds: float = 0.0


@message
class Do(Request[Any]):
    """Runs inside of the handler."""

    code: Callable[[Any], Awaitable[Any]]


class Worker(Actor[Double | Work | Do | Stop]):
    """Notes what becomes of its work."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.log = [] if log is None else log

    @receive
    async def double(self, message: Double) -> int:
        return 2 * message.n

    @receive
    async def work(self, message: Work) -> str:
        self.log.append(f"began {message.name}")
        try:
            await trio.sleep(message.seconds)
        except trio.Cancelled:
            self.log.append(f"cut {message.name}")
            raise
        self.log.append(f"did {message.name}")
        return message.name

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)


class Hasty(Worker):
    ask_timeout = 1.0


class Thorough(Worker):
    detach = True


class TooBusy(Refused):
    pass


async def fail(_: object) -> None:
    raise ValueError("broken")


async def refuse(_: object) -> None:
    raise TooBusy("not now")


async def test_the_reply_is_what_the_handler_returns() -> None:
    async with open_system() as system:
        worker = await system.spawn("worker", Worker)
        assert await worker.ask(Double(21)) == 42
        assert await worker.ask(DoubleTwice(4)) == 8  # a subclass goes where its base goes


@pytest.mark.parametrize(
    ("kind", "timeout", "seconds"), [(Worker, None, 5.0), (Hasty, None, 1.0), (Hasty, 7.0, 7.0), (Worker, 0.5, 0.5)]
)
async def test_an_ask_without_a_reply_times_out_at_its_deadline(
    autojump_clock: MockClock, kind: type[Worker], timeout: float | None, seconds: float
) -> None:
    async with open_system() as system:
        worker = await system.spawn("worker", kind)
        began = trio.current_time()
        with pytest.raises(AskTimeout, match="home/worker") as info:
            await worker.ask(Work("long", 100), timeout=timeout)
        assert info.value.path == "home/worker"
        assert trio.current_time() - began == seconds


async def test_a_handler_is_cut_short_when_its_asker_times_out_and_the_rest_is_handled(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        worker = await system.spawn("worker", Worker, log)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def impatient() -> None:
                with pytest.raises(AskTimeout):
                    await worker.ask(Work("long", 100), timeout=2)

            await wait_all_tasks_blocked()
            worker.tell(Work("next"))
            assert await worker.ask(Work("last")) == "last"
            assert trio.current_time() == 2
        assert log == ["began long", "cut long", "began next", "did next", "began last", "did last"]
        assert events.of(Exited) == []
        assert len(system.dead_letters) == 0


async def test_a_handler_is_cut_short_when_its_asker_is_cancelled(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with open_system() as system:
        worker = await system.spawn("worker", Worker, log)
        with trio.move_on_after(1):
            await worker.ask(Work("long", 3))
        await trio.sleep(5)
        assert log == ["began long", "cut long"]
        assert await worker.ask(Double(1)) == 2


async def test_a_handler_goes_on_without_an_asker_where_its_class_says_detach(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with open_system() as system:
        worker = await system.spawn("worker", Thorough, log)
        with pytest.raises(AskTimeout):
            await worker.ask(Work("timed out", 3), timeout=1)
        with trio.move_on_after(3):
            await worker.ask(Work("cancelled", 3))
        assert await worker.ask(Work("last")) == "last"
        assert [line for line in log if line.startswith("did")] == ["did timed out", "did cancelled", "did last"]


async def test_asks_inside_a_handler_wait_no_longer_than_its_asker_and_are_cut_short_with_it(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    async with open_system() as system:
        inner = await system.spawn("inner", Worker, log)
        outer = await system.spawn("outer", Worker)
        deadlines: list[float] = []

        async def ask_inner(actor: Worker) -> object:
            deadlines.append(actor.deadline)
            return await inner.ask(Work("long", 100), timeout=50)

        began = trio.current_time()
        with pytest.raises(AskTimeout):
            await outer.ask(Do(ask_inner), timeout=2)
        assert trio.current_time() - began == 2
        await wait_all_tasks_blocked()
        assert deadlines == [began + 2]
        assert log == ["began long", "cut long"]


async def test_the_deadline_goes_through_every_ask_of_a_chain(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        refs = [await system.spawn(f"worker-{n}", Worker) for n in range(4)]
        deadlines: list[float] = []

        def step(n: int) -> Do:
            async def code(actor: Worker) -> object:
                deadlines.append(actor.deadline)
                await trio.sleep(1)
                return None if n == 3 else await refs[n + 1].ask(step(n + 1), timeout=100)

            return Do(code)

        began = trio.current_time()
        await refs[0].ask(step(0), timeout=7)
        assert deadlines == [began + 7] * 4


async def test_an_ask_inside_a_handler_is_not_lengthened_by_the_patience_of_its_asker(
    autojump_clock: MockClock,
) -> None:
    async with open_system() as system:
        inner = await system.spawn("inner", Worker)
        outer = await system.spawn("outer", Worker)

        async def ask_inner(_: Worker) -> object:
            with pytest.raises(AskTimeout):
                await inner.ask(Work("long", 1000))
            return trio.current_time()

        began = trio.current_time()
        assert await outer.ask(Do(ask_inner), timeout=100) == began + 5


async def test_tasks_of_a_handler_share_its_deadline_and_those_of_others_do_not(autojump_clock: MockClock) -> None:
    times: dict[str, float] = {}
    async with open_system() as system, trio.open_nursery() as outside:
        inner = [await system.spawn(id, Worker) for id in ("one", "two")]
        outer = await system.spawn("outer", Worker)

        async def ask(name: str, ref: ActorRef[Work]) -> None:
            try:
                await ref.ask(Work("long", 100), timeout=10)
            except (AskTimeout, trio.Cancelled):
                times[name] = trio.current_time()
                raise

        async def start_both(_: Worker) -> None:
            async def gets_its_timeout() -> None:
                with pytest.raises(AskTimeout):
                    await ask("outside", inner[1])

            outside.start_soon(gets_its_timeout)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, "inside", inner[0])

        began = trio.current_time()
        with pytest.raises(AskTimeout):
            await outer.ask(Do(start_both), timeout=2)
        await trio.sleep(20)
        assert times == {"inside": began + 2, "outside": began + 10}


async def test_a_cancelled_ask_takes_the_whole_chain_behind_it_along(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with open_system() as system:
        last = await system.spawn("last", Worker, log)
        middle, first = [await system.spawn(id, Worker) for id in ("middle", "first")]

        async def ask_last(_: Worker) -> object:
            return await last.ask(Work("long", 100), timeout=100)

        async def ask_middle(_: Worker) -> object:
            return await middle.ask(Do(ask_last), timeout=100)

        with trio.move_on_after(1):
            await first.ask(Do(ask_middle), timeout=100)
        await wait_all_tasks_blocked()
        assert trio.current_time() == 1
        assert log == ["began long", "cut long"]
        assert [await ref.ask(Double(1)) for ref in (first, middle, last)] == [2, 2, 2]


async def test_an_ask_that_was_given_up_before_its_turn_is_not_handled(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with open_system() as system:
        worker = await system.spawn("worker", Worker, log)
        worker.tell(Work("first", 3))
        with pytest.raises(AskTimeout, match="mailbox"):
            await worker.ask(Work("timed out"), timeout=1)
        with trio.move_on_after(1):
            await worker.ask(Work("cancelled"))
        assert await worker.ask(Work("last")) == "last"
        assert log == ["began first", "did first", "began last", "did last"]
        letters = list(system.dead_letters)
        assert [letter.message for letter in letters] == [Work("timed out"), Work("cancelled")]
        assert {letter.reason for letter in letters} == {Reason.EXPIRED}
        assert {letter.attempts for letter in letters} == {0}


async def test_the_asker_gets_the_error_of_the_handler_as_the_cause() -> None:
    async with open_system() as system:
        worker = await system.spawn("worker", Worker)
        with pytest.raises(AskFailed, match="home/worker") as info:
            await worker.ask(Do(fail))
        assert isinstance(info.value.__cause__, ValueError)
        assert info.value.path == "home/worker"
        assert await worker.ask(Double(2)) == 4  # it is up again


async def test_a_refusal_reaches_the_asker_as_it_is_and_crashes_nobody() -> None:
    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        worker = await system.spawn("worker", Worker)
        with pytest.raises(TooBusy, match="not now"):
            await worker.ask(Do(refuse))
        assert len(system.dead_letters) == 0
        worker.tell(Do(refuse))
        assert await worker.ask(Double(2)) == 4
        [letter] = system.dead_letters
        assert letter.reason is Reason.REFUSED
        assert letter.error is not None
        assert "not now" in letter.error
        assert events.of(Exited) == []


async def test_nobody_at_an_address_is_said_at_once() -> None:
    async with open_system() as system:
        with pytest.raises(ActorStopped, match="home/nobody") as info:
            await system.ref("home/nobody", Worker).ask(Double(1))
        assert info.value.path == "home/nobody"
        worker = await system.spawn("worker", Worker)
        await system.stop(worker)
        with pytest.raises(ActorStopped):
            await worker.ask(Double(1))


async def test_an_ask_that_waits_in_the_mailbox_hears_of_the_end(autojump_clock: MockClock) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        worker = await system.spawn("worker", Worker)
        worker.tell(Work("first", 2))

        @nursery.start_soon
        async def ask() -> None:
            with pytest.raises(ActorStopped, match="home/worker"):
                await worker.ask(Double(1))
            assert trio.current_time() == 2

        await wait_all_tasks_blocked()
        worker.tell(Stop())


async def test_an_ask_whose_handler_is_killed_by_the_end_of_the_actor_hears_of_the_end(
    autojump_clock: MockClock,
) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        worker = await system.spawn("worker", Worker)

        @nursery.start_soon
        async def ask() -> None:
            with pytest.raises(ActorStopped, match="home/worker"):
                await worker.ask(Work("long", 100), timeout=100)
            assert trio.current_time() == 5

        await wait_all_tasks_blocked()
        await system.stop(worker)


async def test_a_request_that_is_handled_when_the_actor_is_told_to_stop_is_answered(autojump_clock: MockClock) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        worker = await system.spawn("worker", Worker)

        @nursery.start_soon
        async def ask() -> None:
            assert await worker.ask(Work("long", 3)) == "long"

        await wait_all_tasks_blocked()
        await system.stop(worker)


async def test_an_ask_waits_for_room_no_longer_than_for_its_reply(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with open_system() as system:
        small = ActorSpec("worker", functools.partial(Worker, log), mailbox=MailboxSpec(1))
        worker = await system.spawn(small)
        worker.tell(Work("first", 3))
        await wait_all_tasks_blocked()
        worker.tell(Work("second", 3))
        with pytest.raises(AskTimeout):
            await worker.ask(Work("gave up"), timeout=1)
        assert await worker.ask(Work("had room"), timeout=10) == "had room"
        assert trio.current_time() == 6
        assert log[-2:] == ["began had room", "did had room"]
        assert "began gave up" not in log


async def test_an_ask_that_is_dropped_for_want_of_room_fails_at_once() -> None:
    async with open_system() as system:
        spec = ActorSpec("worker", Worker, mailbox=MailboxSpec(1, Overflow.DROP_NEWEST))
        worker = await system.spawn(spec)
        worker.tell(Double(1))
        with pytest.raises(AskFailed) as info:
            await worker.ask(Double(2))
        assert isinstance(info.value.__cause__, MailboxDropped)
        [letter] = system.dead_letters
        assert (letter.message, letter.reason) == (Double(2), Reason.DROPPED)
