"""The mailbox under tasks that run into each other: nobody waits until they settle, they are cancelled anywhere."""

from __future__ import annotations

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import Mailbox, MailboxClosed, MailboxFull, Overflow


@attrs.frozen
class Move:
    """One operation of a task, after a pause of so many turns of the scheduler; cancelled after so many, or never."""

    how: str
    pause: int
    cancel: int | None
    #: of what was taken in a batch, so many are kept and the others put back
    kept: int


def _moves(kinds: list[str]) -> st.SearchStrategy[list[Move]]:
    turns = st.sampled_from([0, 0, 0, 1, 2, 3])
    cancel = st.sampled_from([None, None, None, 0, 1, 2, 4])
    return st.lists(st.builds(Move, st.sampled_from(kinds), turns, cancel, st.integers(0, 3)), max_size=8)


@attrs.frozen
class Race:
    capacity: int
    overflow: Overflow
    putting: list[list[Move]]
    taking: list[list[Move]]
    #: it is closed after so many turns, or when nobody moves any more
    closed: int | None
    seed: int


races = st.builds(
    Race,
    st.integers(1, 3),
    st.sampled_from(Overflow),
    st.lists(_moves(["put", "put", "send", "send", "tell", "reserved"]), min_size=1, max_size=3),
    st.lists(_moves(["get", "receive", "receive", "batch", "now"]), min_size=1, max_size=3),
    st.sampled_from([None, None, 3, 10]),
    st.integers(0, 2**16),
)

BATCH = 3


class Run:
    """One race, and what became of each message: its number, and who has put it."""

    def __init__(self, race: Race) -> None:
        self.race = race
        self.dropped: list[tuple[int, int]] = []
        self.accepted: set[tuple[int, int]] = set()
        self.reserved: set[tuple[int, int]] = set()
        self.kept: list[tuple[int, int]] = []
        self.left: list[tuple[int, int]] | None = None
        self._nursery: trio.Nursery
        self.mailbox = Mailbox[tuple[int, int]](race.capacity, race.overflow, self.dropped.append)
        self.sender, self.receiver = self.mailbox.sender(), self.mailbox.receiver()

    async def run(self) -> None:
        with trio.fail_after(10):
            async with trio.open_nursery() as self._nursery:
                for who, moves in enumerate(self.race.putting):
                    self._nursery.start_soon(self.put_all, who, moves)
                for moves in self.race.taking:
                    self._nursery.start_soon(self.take_all, moves)
                if self.race.closed is None:
                    await wait_all_tasks_blocked()
                    self.check_that_nobody_waits_in_vain()
                else:
                    await turns(self.race.closed)
                self.left = self.mailbox.close()

    async def put_all(self, who: int, moves: list[Move]) -> None:
        for number, move in enumerate(moves):
            await turns(move.pause)
            message = (who, number)
            with trio.CancelScope() as scope:
                self.cancel_later(scope, move)
                try:
                    await self.put(move.how, message)
                except MailboxFull:
                    assert move.how == "tell", "it waits for room"
                except (MailboxClosed, trio.BrokenResourceError) as error:
                    assert isinstance(error, MailboxClosed) is (move.how != "send")
                    assert self.left is not None
                else:
                    self.accepted.add(message)
            self.check_length()

    def cancel_later(self, scope: trio.CancelScope, move: Move) -> None:
        if move.cancel is not None:
            self._nursery.start_soon(cancel, scope, move.cancel)

    async def put(self, how: str, message: tuple[int, int]) -> None:
        match how:
            case "put":
                await self.mailbox.put(message)
            case "send":
                await self.sender.send(message)
            case "tell":
                self.mailbox.put_nowait(message)
            case "reserved":
                self.reserved.add(message)
                self.mailbox.put_reserved(message)

    async def take_all(self, moves: list[Move]) -> None:
        for move in moves:
            await turns(move.pause)
            with trio.CancelScope() as scope:
                self.cancel_later(scope, move)
                try:
                    await self.take(move)
                except (trio.EndOfChannel, MailboxClosed) as error:
                    assert isinstance(error, MailboxClosed) is (move.how != "receive")
                    assert self.left is not None
                    return
                except trio.WouldBlock:
                    pass
            self.check_length()

    async def take(self, move: Move) -> None:
        match move.how:
            case "get":
                self.kept.append(await self.mailbox.get())
            case "receive":
                self.kept.append(await self.receiver.receive())
            case "now":
                self.kept.append(self.mailbox.get_nowait())
            case "batch":
                batch = await self.mailbox.get_batch(BATCH)
                # What was in the reserved lane would lose its place there; once it is closed, nothing goes back.
                back = [] if self.left is not None or self.reserved.intersection(batch) else batch[move.kept :]
                self.kept += batch[: len(batch) - len(back)]
                self.mailbox.give_back(back)

    def check_length(self) -> None:
        """What is put back has had its room already, all else waits for some."""
        gives_back = sum(move.how == "batch" for moves in self.race.taking for move in moves) > 0
        more = BATCH * len(self.race.taking) if gives_back else 0
        assert self.mailbox.statistics().length <= self.race.capacity + more

    def check_that_nobody_waits_in_vain(self) -> None:
        now = self.mailbox.statistics()
        assert not (now.tasks_waiting_get and len(self.mailbox)), now
        assert not (now.tasks_waiting_put and now.length < now.capacity), now

    def check(self) -> None:
        assert self.left is not None
        ended = [*self.kept, *self.dropped, *self.left]
        assert len(ended) == len(set(ended)), "doubled"
        assert set(ended) == self.accepted, "lost, or put although it was refused"
        assert not self.reserved & set(self.dropped), "the reserved lane is never full"
        assert self.race.overflow is not Overflow.REJECT or not self.dropped
        if len(self.race.taking) == 1:
            for lane in (self.reserved, self.accepted - self.reserved):
                taken = [message for message in [*self.kept, *self.left] if message in lane]
                for who in range(len(self.race.putting)):
                    numbers = [number for other, number in taken if other == who]
                    assert numbers == sorted(numbers), "out of order"


async def turns(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def cancel(scope: trio.CancelScope, count: int) -> None:
    await turns(count)
    scope.cancel()


@given(races)
@settings(max_examples=max(500, settings.default.max_examples))  # type: ignore[union-attr]
def test_tasks_that_run_into_each_other_lose_no_message_and_double_none(race: Race) -> None:
    trio._core._run._r.seed(race.seed)
    run = Run(race)
    trio.run(run.run, clock=MockClock(autojump_threshold=0))
    run.check()
