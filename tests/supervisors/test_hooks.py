"""One hook for all events: it can neither hurt nor delay the tree, and gets them in order."""

from __future__ import annotations

import threading

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from anima_supervisors import (
    ChildSpec,
    Event,
    EventsDropped,
    Exited,
    Inline,
    Started,
    Starting,
    Stopping,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors import _hooks as hooks
from anima_supervisors.testing import EventLog, Puppet


async def idle() -> None:
    await trio.sleep_forever()


SPEC = SupervisorSpec(children=[ChildSpec("a", idle)])


async def test_a_plain_hook_gets_all_events_in_order_in_a_thread_of_its_own() -> None:
    events: list[Event] = []
    threads: set[str] = set()

    def hook(event: Event) -> None:
        events.append(event)
        threads.add(threading.current_thread().name)

    async with open_supervisor(SPEC, on_event=hook):
        pass
    assert [type(event) for event in events] == [Starting, Starting, Started, Started, Stopping, Exited, Exited]
    assert [event.id for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert threads == {"anima-events"}


async def test_a_hook_that_hangs_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anima_supervisors._open.FLUSH_SECONDS", 0.01)
    release = threading.Event()
    done = threading.Event()

    def hook(event: Event) -> None:
        release.wait()
        if isinstance(event, Exited) and event.path == "root":
            done.set()

    puppet = Puppet()
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", puppet.run)]), on_event=hook):
        puppet.fail()
        await wait_all_tasks_blocked()
        assert puppet.attempts == 2
    release.set()
    assert await trio.to_thread.run_sync(done.wait, 10)


async def test_events_that_a_slow_hook_has_no_room_for_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "QUEUE_LIMIT", 5)
    first, release = threading.Event(), threading.Event()
    events: list[Event] = []

    def hook(event: Event) -> None:
        events.append(event)
        first.set()
        release.wait()

    puppet = Puppet()
    async with open_supervisor(SupervisorSpec(intensity=99, children=[ChildSpec("a", puppet.run)]), on_event=hook):
        await trio.to_thread.run_sync(first.wait)
        for _ in range(10):
            puppet.fail()
            await wait_all_tasks_blocked()
        release.set()
        while not any(isinstance(event, EventsDropped) for event in events):
            puppet.fail()
            await trio.to_thread.run_sync(threading.Event().wait, 0.001)
    (dropped, *_) = [event for event in events if isinstance(event, EventsDropped)]
    after = events[events.index(dropped) + 1]
    before = events[events.index(dropped) - 1]
    assert after.id - before.id - 1 == dropped.count


@pytest.mark.parametrize("inline", [False, True])
async def test_a_hook_that_raises_is_reported_once_and_hurts_nothing(
    inline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    calls = 0

    def hook(_: Event) -> None:
        nonlocal calls
        calls += 1
        raise ValueError("bad hook")

    puppet = Puppet()
    spec = SupervisorSpec(children=[ChildSpec("a", puppet.run)])
    async with open_supervisor(spec, on_event=Inline(hook) if inline else hook):
        puppet.fail()
        await wait_all_tasks_blocked()
        assert puppet.attempts == 2
    assert calls > 5
    assert [str(args.exc_value) for args in reported] == ["bad hook"]


async def test_a_child_can_send_events_of_its_own() -> None:
    from collections.abc import Callable

    @attrs.frozen(kw_only=True)
    class Progress(Event):
        name = "work.progress"
        done: int

    async def start(*, emit: Callable[..., None]) -> None:
        emit(Progress, done=7)
        await trio.sleep_forever()

    log = EventLog()
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start)]), on_event=Inline(log)):
        await wait_all_tasks_blocked()
    (event,) = log.of(Progress)
    assert (event.path, event.incarnation, event.done, event.fields()) == ("root/a", 1, 7, {"done": 7})


def test_an_event_knows_its_own_fields() -> None:
    event = Started(id=1, time=0.0, path="a", incarnation=1, value=5)
    assert event.fields() == {"value": 5}
    with pytest.raises(AttributeError):
        event.value = 6  # type: ignore[misc]


@pytest.mark.parametrize("inline", [False, True])
async def test_a_hook_that_exits_the_program_is_only_a_bad_hook(inline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    events: list[Event] = []

    def hook(event: Event) -> None:
        events.append(event)
        raise SystemExit(1)

    async with open_supervisor(SPEC, on_event=Inline(hook) if inline else hook):
        pass
    assert len(events) == 7


async def test_a_flood_of_output_leaves_room_for_what_happens_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from collections.abc import Callable

    from anima_supervisors import ProcessOutput

    monkeypatch.setattr(hooks, "QUEUE_LIMIT", 20)
    first, release = threading.Event(), threading.Event()
    events: list[Event] = []

    def hook(event: Event) -> None:
        events.append(event)
        first.set()
        release.wait()

    async def chatty(*, emit: Callable[..., None]) -> None:
        for n in range(100):
            emit(ProcessOutput, stream="stdout", line=str(n))
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", idle)]), on_event=hook) as supervisor:
        await trio.to_thread.run_sync(first.wait)
        await supervisor.start_child(ChildSpec("chatty", chatty))
        await wait_all_tasks_blocked()
        await supervisor.terminate_child("chatty")
        release.set()
    assert [event.path for event in events if isinstance(event, Exited)] == ["root/chatty", "root/a", "root"]
    assert sum(event.count for event in events if isinstance(event, EventsDropped)) > 80


async def test_the_end_of_the_tree_needs_none_of_the_programs_threads() -> None:
    limiter = trio.to_thread.current_default_thread_limiter()
    tokens = int(limiter.available_tokens)
    holders = [object() for _ in range(tokens)]
    for holder in holders:
        limiter.acquire_on_behalf_of_nowait(holder)
    async with open_supervisor(SPEC, on_event=lambda _: None):
        pass
    for holder in holders:
        limiter.release_on_behalf_of(holder)
