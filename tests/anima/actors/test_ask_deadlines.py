"""The deadlines of asks: they travel through a chain, and end what nobody waits for any more."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import ActorRef, AskTimeout, Reason, open_system
from anima_supervisors import Exited, Inline
from anima_supervisors.testing import EventLog
from tests.anima.actors.puppets import Do
from tests.anima.actors.workers import Double, Work, Worker


class Hasty(Worker):
    ask_timeout = 1.0


class Thorough(Worker):
    detach = True


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
