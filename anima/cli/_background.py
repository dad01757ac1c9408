"""Trio in a thread of its own: the main one belongs to the terminal."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import click
import trio

from anima.actors import ActorError
from anima.agents import AgentSpec, Answer, StopReason, Task, TurnEvent
from anima.observe import Log
from anima_supervisors import Event, SupervisorError, describe, leaves

from ._configs import Config
from ._progress import Progress
from ._session import Session, open_session

T = TypeVar("T")

#: How long, in seconds, a stop may take that nobody waits for any more.
STOP_SECONDS = 15.0
#: A turn that was interrupted should end within so many seconds.
HEARD_SECONDS = 1.0


class NotHeard(Exception):
    """A turn was interrupted, and again, and nothing has come of it: something holds up the loop."""


class Background:
    """The agent, and all that Trio runs, in a thread. What is public is for the main thread, and waits."""

    def __init__(self, config: Config, path: str, log: Log) -> None:
        self._owner = f"anima chat {config.file}"
        self._config = config
        self._path = path
        self._log = log
        self._thread = threading.Thread(target=self._run, name="anima-chat", daemon=True)
        self._started: Future[Session] = Future()
        self._token: trio.lowlevel.TrioToken | None = None
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._progress = Progress(sys.stderr)
        self._session: Session | None = None
        self._asked: tuple[Task, Future[Answer]] | None = None

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> Session:
        """Start everything; wait until the agent is up. Raises what starting raises."""
        self._thread.start()
        return self._started.result()

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:
            errors = [leaf for leaf in leaves(error) if not isinstance(leaf, trio.Cancelled)]
            deciding = errors[0] if errors else error
            if not self._started.done():
                self._started.set_exception(deciding)
            else:
                click.echo(f"anima: ended by {describe(deciding)}", err=True)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            async with open_session(self._config, self._path, self._on_event, self._owner) as self._session:
                async with trio.open_nursery() as self._nursery:
                    self._started.set_result(self._session)
                    await self._progress.run()
        if not self._started.done():
            raise KeyboardInterrupt

    def _on_event(self, event: Event) -> None:
        if self._session is None or not self._session.told_by_turn(event):
            self._progress.clear()
            self._log(event)

    def ask(self, task: Task, show: Callable[[list[TurnEvent]], None]) -> Answer:
        """Give the agent a task and show what comes, in this thread. Ctrl-C ends the turn with what there is.

        Raises what `Session.ask` raises, and `NotHeard`.
        """
        events: queue.SimpleQueue[list[TurnEvent] | None] = queue.SimpleQueue()
        answer: Future[Answer] = Future()
        self._asked = task, answer
        self._in_trio(lambda: self._nursery_start(task, events, answer))
        interrupted: float | None = None
        while True:
            try:
                shown = events.get()
                if shown is None:
                    self._asked = None
                    return answer.result()
                show(shown)
            except KeyboardInterrupt:
                now = time.monotonic()
                if interrupted is not None and now - interrupted >= HEARD_SECONDS:
                    raise NotHeard from None
                interrupted = interrupted or now
                self._in_trio(lambda: self._interrupt(task.id))

    def _interrupt(self, turn: str) -> None:
        assert self._session is not None
        self._session.home.interrupt(turn)

    def _nursery_start(self, task: Task, events: Any, answer: Future[Answer]) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(self._ask, task, events, answer)

    async def _ask(self, task: Task, events: Any, answer: Future[Answer]) -> None:
        async def show(some: list[TurnEvent]) -> None:
            self._progress.seen(some)
            events.put(some)

        assert self._session is not None
        try:
            answer.set_result(await self._session.ask(task, show))
        except Exception as error:
            deciding = next(leaves(error))
            answer.set_exception(deciding if isinstance(deciding, ActorError | SupervisorError) else error)
        finally:
            if not answer.done():
                answer.set_exception(SupervisorError("everything was stopped before there was an answer"))
            events.put(None)

    @property
    def parked(self) -> str | None:
        """The turn that was asked for last, if it was left as it is."""
        if self._asked is None:
            return None
        task, answer = self._asked
        answered = answer.done() and answer.exception() is None
        ended = answered and answer.result().stop_reason is not StopReason.SUPERVISOR_SHUTDOWN
        return None if ended else task.id

    def do(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Do something on Trio's loop, and wait for it. Raises what that raises, and `trio.RunFinishedError`."""
        assert self._session is not None
        assert self._token is not None
        return trio.from_thread.run(work, self._session, trio_token=self._token)

    @property
    def spec(self) -> AgentSpec:
        """The agent that is talked to."""
        assert self._session is not None
        return self._session.spec

    def stop(self) -> None:
        """Stop everything in order, and wait for that. A turn that is being thought about is parked."""
        if self._session is not None:
            self._in_trio(self._session.home.park)
        self._in_trio(self._scope.cancel)
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join(STOP_SECONDS)

    def _in_trio(self, call: Callable[[], object]) -> None:
        token = self._token
        if token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(call)
