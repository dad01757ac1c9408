"""An agent that is running and can be given tasks: what `anima run` and `anima chat` have in common."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable

import trio

from anima.actors import ActorRef, ActorSpec, ActorStopped, Inbox, MailboxSpec, System, open_system
from anima.agents import TURN_EVENTS, Agent, AgentSpec, Answer, Home, Task, TurnEvent, open_home
from anima.config import Tree
from anima_supervisors import Event

from ._configs import HOME, Config, spec_at

#: So many events of a turn may wait for a slow terminal; beyond that some are not shown.
WAITING_EVENTS = 100_000
#: After so many seconds a task that holds up the loop is named.
BLOCKED_SECONDS = 0.5

#: Takes the events of a turn as they come, several at once where they come fast.
Show = Callable[[list[TurnEvent]], Awaitable[None]]


class Session:
    """A running agent, alone or in its tree. Made by `open_session`."""

    def __init__(self, home: Home, system: System, ref: ActorRef[Task], spec: AgentSpec) -> None:
        self.home = home
        self.system = system
        self.ref = ref
        self.spec = spec

    def told_by_turn(self, event: Event) -> bool:
        """Whether whoever listens to the agent's turns hears of this from them already."""
        return event.path == self.ref.path and event.name.startswith(("turn.", "model."))

    async def ask(self, task: Task, show: Show) -> Answer:
        """Give the agent a task and show what happens. Waits for the answer, without limit.

        Raises `AskError` where there is none. Cancelled, the turn is left as it is.
        """
        async with self.system.open_inbox(*TURN_EVENTS, mailbox=MailboxSpec(WAITING_EVENTS)) as inbox:
            heard = Task(task.text, task.conversation, task.id, inbox.ref)
            showing = _Showing(inbox, show)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(showing.run)
                answer = await self.ref.ask(heard, timeout=float("inf"))
                nursery.cancel_scope.cancel()  # the agent has told all that it will
            await showing.finish()
        return answer


class _Showing:
    """Shows what comes, several at once where it comes fast, and nothing twice or never."""

    def __init__(self, inbox: Inbox[TurnEvent], show: Show) -> None:
        self._inbox = inbox
        self._show = show
        self._taken: list[TurnEvent] = []

    async def run(self) -> None:
        """Show events until it is cancelled."""
        while True:
            self._taken.append(await self._inbox.receive())
            await self._show_taken()

    async def finish(self) -> None:
        """Show what is left."""
        await self._show_taken()

    async def _show_taken(self) -> None:
        with contextlib.suppress(trio.WouldBlock):
            while True:
                self._taken.append(self._inbox.receive_nowait())
        await self._show(self._taken)
        self._taken = []


@contextlib.asynccontextmanager
async def open_session(
    config: Config, path: str, on_event: Callable[[Event], None], owner: str
) -> AsyncIterator[Session]:
    """Start the agent of a file, or a whole tree, of which the agent at `path` is asked, or one that it has started.

    What happens is kept in its home, which belongs to `owner` meanwhile; what was left there is gone on with only when
    it is asked for. At the end of the block everything is stopped in order. Raises what starting raises, `StoreError`,
    and `ActorStopped` if the agent is not there.
    """
    budgets = config.budgets if isinstance(config, Tree) else {}
    name, spec = home_name(config), spec_at(config, path)
    async with open_home(
        config.home, name=name, owner=owner, resume=False, budgets=budgets, retention=config.retention
    ) as home:
        if isinstance(config, Tree):
            tree, root = config.in_home(home), config.root
            async with open_system(tree, name=root, on_event=on_event, watchdog=BLOCKED_SECONDS) as system:
                yield Session(home, system, _alive(system, path), spec)
        else:
            async with open_system(name=HOME, on_event=on_event, watchdog=BLOCKED_SECONDS) as system:
                make = functools.partial(Agent, config.spec, home)
                await system.spawn(ActorSpec(config.spec.name, make, declares=config.subscribe))
                yield Session(home, system, _alive(system, path), spec)


def home_name(config: Config) -> str:
    """The name of its journal in its home."""
    return config.root if isinstance(config, Tree) else config.spec.name


def _alive(system: System, path: str) -> ActorRef[Task]:
    ref: ActorRef[Task] = system.ref(path, Agent)
    if ref.ended:
        raise ActorStopped(path, f"there is no agent at {path} any more")
    return ref
