"""Pykka: an actor is a thread that reads an unbounded queue.

The CPU time is that of all threads. There is no supervision: who needs an actor again starts a new one.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

from tests.benchmarks.actors.workloads import (
    RING,
    SIBLINGS,
    SUBSCRIBERS,
    Crash,
    Crashed,
    Meter,
    Number,
    resident_bytes,
)

# Not by an import statement, as types are checked where it is not installed, too.
pykka: Any = importlib.import_module("pykka")

#: Crashes are wanted here; what they are logged as would be measured as well.
logging.getLogger("pykka").setLevel(logging.CRITICAL)


def version() -> str:
    return f"Pykka {importlib.metadata.version('pykka')}"


class Actor(pykka.ThreadingActor):  # type: ignore[misc]
    """The one place that knows that Pykka's types are unknown."""


class Counter(Actor):
    """Counts its messages, and says so when it has had them all."""

    def __init__(self, expected: int, done: threading.Event) -> None:
        super().__init__()
        self._expected = expected
        self._count = 0
        self._done = done

    def on_receive(self, message: Number) -> None:
        self._count += 1
        if self._count == self._expected:
            self._done.set()


class Answerer(Actor):
    """Answers requests, and crashes on command; then it says that it has failed."""

    def __init__(self, failures: SimpleQueue[None]) -> None:
        super().__init__()
        self._failures = failures

    def on_receive(self, message: Number | Crash) -> int:
        if isinstance(message, Crash):
            raise Crashed
        return message.value + 1

    def on_failure(self, *_: object) -> None:
        self._failures.put(None)


class Hop(Actor):
    """Passes the token on, less one."""

    def __init__(self, index: int, ring: Sequence[Any], done: threading.Event) -> None:
        super().__init__()
        self._next = (index + 1) % RING
        self._ring = ring
        self._done = done

    def on_receive(self, message: Number) -> None:
        if message.value:
            self._ring[self._next].tell(Number(message.value - 1))
        else:
            self._done.set()


def tell(count: int) -> float:
    """Nothing holds the producer back."""
    done = threading.Event()
    actor = Counter.start(count, done)
    with Meter(count) as meter:
        for n in range(count):
            actor.tell(Number(n))
        done.wait()
    actor.stop()
    return meter.cost


def ask(count: int) -> float:
    """The asking thread blocks until the reply is there."""
    actor = Answerer.start(SimpleQueue())
    with Meter(count) as meter:
        for n in range(count):
            actor.ask(Number(n))
    actor.stop()
    return meter.cost


def ring(count: int) -> float:
    """The token is a number that falls by one with each hop."""
    done = threading.Event()
    actors: list[Any] = []
    actors.extend(Hop.start(index, actors, done) for index in range(RING))
    with Meter(count) as meter:
        actors[0].tell(Number(count - 1))
        done.wait()
    pykka.ActorRegistry.stop_all()
    return meter.cost


def spawn_stop(count: int) -> float:
    """Stopping waits for the end of the actor."""
    done = threading.Event()
    with Meter(count) as meter:
        for n in range(count):
            actor = Counter.start(count, done)
            actor.tell(Number(n))
            actor.stop()
    return meter.cost


def idle_bytes(count: int) -> float:
    """An actor with its thread and queue."""
    done = threading.Event()
    before = resident_bytes()
    actors = [Counter.start(count, done) for _ in range(count)]
    taken = resident_bytes() - before
    for actor in actors:
        actor.stop(block=False)
    return taken / count


def restart(count: int) -> float:
    """Who uses the actor is told that it has failed, and starts a new one in its place."""
    return _restart(count, 0)


def restart_among_1000(count: int) -> float:
    """The siblings are threads as well."""
    return _restart(count, SIBLINGS)


def _restart(count: int, siblings: int) -> float:
    failures: SimpleQueue[None] = SimpleQueue()
    for _ in range(siblings):
        Answerer.start(failures)
    actor = Answerer.start(failures)
    with Meter(count) as meter:
        for n in range(count):
            actor.tell(Crash(n))
            failures.get()
            actor = Answerer.start(failures)
            actor.ask(Number(n))
    pykka.ActorRegistry.stop_all()
    return meter.cost


def publish_100(count: int) -> float:
    """The message is told to one subscriber after the other."""
    messages = count // SUBSCRIBERS
    done = [threading.Event() for _ in range(SUBSCRIBERS)]
    actors = [Counter.start(messages, event) for event in done]
    with Meter(messages * SUBSCRIBERS) as meter:
        for n in range(messages):
            message = Number(n)
            for actor in actors:
                actor.tell(message)
        for event in done:
            event.wait()
    pykka.ActorRegistry.stop_all()
    return meter.cost
