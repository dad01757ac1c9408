"""What agents of one program share: models, the journal, and who is thinking."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Protocol
from urllib.parse import quote

import attrs
import trio

from anima.actors import ActorError, ActorRef, Refused
from anima.llm import IncidentHook, Model, ModelSpec, open_models
from anima.memory import AgentMemory, Memories, open_memory
from anima.store import open_store
from anima_supervisors import BadSpec

from ._budgets import Budget, Budgets
from ._journal import Journal, MemoryJournal
from ._messages import Note, Wake
from ._spec import MemorySpec
from ._store_journal import JOURNAL, Retention, StoreJournal


class ModelSource(Protocol):
    """Where agents get their models from."""

    def get(self, spec: ModelSpec, *, on_incident: IncidentHook | None = None) -> Model:
        """The model that `spec` means; `on_incident` hears of retries and the like. Raises `BadSpec`."""


@attrs.define
class Interruptible:
    """A turn that is being thought about. `interrupted`: it is to end now; `parked`: it is to be left as it is."""

    scope: trio.CancelScope
    interrupted: bool = False
    parked: bool = False
    _repeatable: set[trio.CancelScope] = attrs.field(factory=set, init=False)

    def park(self) -> None:
        self.parked = True
        for scope in self._repeatable:
            scope.cancel(reason="the turn is parked")

    @contextlib.contextmanager
    def repeatable(self, scope: trio.CancelScope) -> Iterator[None]:
        """The block, in `scope`, can be done again when the turn goes on: to be parked it is not waited for."""
        self._repeatable.add(scope)
        if self.parked:
            scope.cancel(reason="the turn is parked")
        try:
            with scope:
                yield
        finally:
            self._repeatable.discard(scope)


class Home:
    """The place that agents live in. It outlives their crashes: an agent that is restarted goes on with its turn.

    Made by `open_home`, or by hand for tests. Belongs to one Trio loop. `now` is the time of the wall, in UNIX seconds.
    """

    def __init__(
        self,
        models: ModelSource,
        journal: Journal | None = None,
        random: Random | None = None,
        now: Callable[[], float] = time.time,
        resume: bool = True,
        memories: OpenMemories | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        self.models = models
        self.journal: Journal = journal or MemoryJournal()
        self.random = random or Random()
        self.now = now
        #: agents go on by themselves with what an earlier program has left
        self.resume = resume
        #: what agents share the spending of
        self.budgets = budgets or Budgets()
        self._memories = memories
        self._thinking: dict[str, Interruptible] = {}
        self._unheard: set[str] = set()
        self._parked = False

    async def memory(self, spec: MemorySpec, agent: str) -> AgentMemory:
        """The memory of an agent. Raises `BadSpec` in a home that was made by hand, and what opening one raises."""
        if self._memories is None:
            raise BadSpec(f"{agent} cannot remember in this home: open one by `open_home`")
        return (await self._memories.get(spec)).of(agent, spec.scopes)

    @property
    def thinking(self) -> tuple[str, ...]:
        """The turns that agents are thinking about now."""
        return tuple(self._thinking)

    def interrupt(self, turn: str) -> bool:
        """End a turn that is being thought about: it is answered with what there is, and `StopReason.CANCELLED`.

        False if nobody is thinking about it. Does not wait.
        """
        thinking = self._thinking.get(turn)
        if thinking is None:
            return False
        thinking.interrupted = True
        thinking.scope.cancel(reason="the turn was interrupted")
        return True

    def park(self, *, at_once: bool = False) -> None:
        """The program is about to end: all turns stop at their next step, and go on when it is started again.

        External tools that run are waited for, by whoever stops the agents; calls of models and of other tools are
        given up and made again. With `at_once` external tools are cancelled too, and in doubt. Whoever asked gets an
        answer with `StopReason.SUPERVISOR_SHUTDOWN`, except for an agent, which asks again. What is asked from now on
        is kept, for next time.
        """
        self._parked = True
        for thinking in self._thinking.values():
            thinking.park()
            if at_once:
                thinking.scope.cancel(reason="the turn is parked at once")

    @contextlib.contextmanager
    def thinking_about(self, turn: str) -> Iterator[Interruptible]:
        """While the block runs, `interrupt` and `park` reach the turn. Raises `Refused` if somebody thinks about it.

        Two who write the same turn would leave records that nobody can read.
        """
        if turn in self._thinking:
            raise Refused(f"turn {turn} is being thought about already: a task is given to one agent")
        mine = self._thinking[turn] = Interruptible(trio.CancelScope(), parked=self._parked)
        try:
            yield mine
        finally:
            del self._thinking[turn]

    async def post(self, ref: ActorRef[Any], note: Note) -> bool:
        """Tell an agent something so that it will know, whatever happens to it or to the program: a durable `tell`.

        False if a note of this id was posted before. When it has returned, the note is kept. Raises `StoreError`.
        """
        new = await self.journal.post(ref.path, note.to(ref.path))
        if not ref.ended:  # it is kept: an agent that is away finds it when it is back
            self.wake(ref)
        return new

    def wake(self, ref: ActorRef[Any]) -> None:
        """Have an agent look into its journal; where its mailbox is full, after what it does now."""
        try:
            ref.tell(Wake())
        except ActorError:
            self._unheard.add(ref.path)

    def unheard(self, agent: str) -> bool:
        """Whether the agent was to be woken and its mailbox was full; once."""
        if agent not in self._unheard:
            return False
        self._unheard.discard(agent)
        return True


class OpenMemories:
    """The files that agents remember in, each opened when it is first needed, all closed with `stack`."""

    def __init__(self, stack: contextlib.AsyncExitStack) -> None:
        self._stack = stack
        self._lock = trio.Lock()
        self._open: dict[tuple[Path | None, bool], Memories] = {}

    async def get(self, spec: MemorySpec) -> Memories:
        """Raises `StoreError`, `SemanticMissing`."""
        key = (spec.path, spec.semantic)
        async with self._lock:
            if key not in self._open:
                memory = open_memory(spec.path, semantic=spec.semantic)
                self._open[key] = await self._stack.enter_async_context(memory)
            return self._open[key]


@contextlib.asynccontextmanager
async def open_home(
    folder: Path | None = None,
    *,
    name: str = "home",
    owner: str = "",
    resume: bool = True,
    budgets: Mapping[str, Budget] | None = None,
    retention: Retention = Retention(),
    random: Random | None = None,
) -> AsyncIterator[Home]:
    """Open a home for agents: `async with open_home(Path(".anima")) as home`, around the system that they live in.

    With a folder, turns are kept in `folder/NAME.journal`, which belongs to this program alone meanwhile; `owner` is
    what others are told about it. When the program is started again, agents go on with what was left, by themselves if
    `resume` says so, or when they get the task again. Of turns that have ended so much is kept as `retention` says.
    Without a folder, turns last as long as the program.

    `budgets`, by the path of a supervisor, hold for all agents below it together, also over restarts of the program. At
    the end connections are closed, and servers that were started for models are stopped in order.

    Raises `StoreLocked`, with who has it, and any other `StoreError`.
    """
    random = random or Random()
    async with contextlib.AsyncExitStack() as stack:
        journal: Journal | None = None
        if folder is not None:
            file = journal_file(folder, name)
            kept = StoreJournal(await stack.enter_async_context(open_store(file, JOURNAL, owner=owner)))
            await kept.prune(retention)
            journal = kept
        models = await stack.enter_async_context(open_models(random=random))
        spent = {} if journal is None or not budgets else await journal.spent()
        shared = Budgets(budgets, spent)
        yield Home(models, journal, random, resume=resume, memories=OpenMemories(stack), budgets=shared)


def journal_file(folder: Path, name: str) -> Path:
    """Where the journal of an agent, or of a tree, is kept."""
    return folder / f"{quote(name, safe=' ')}.journal"
