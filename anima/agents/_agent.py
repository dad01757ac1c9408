"""The agent: an actor that thinks. It handles one task at a time, and each from its journal."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import attrs
import trio

from anima.actors import Actor, ActorRef, Refused, Stop, Timer, receive
from anima.hub import Capability, Hub
from anima.llm import Incident, Message
from anima.memory import MemoryFault
from anima.store import StoreError
from anima_supervisors import DynamicSupervisorSpec, describe, leaves
from anima_tools import Invocation, Toolbox

from . import _said as said
from ._answer import Answer, StopReason
from ._codec import UnreadableRecord
from ._conversation import read_conversation, read_turn
from ._events import (
    AgentMemoryTrouble,
    AgentModelTrouble,
    AgentTurnBegan,
    AgentTurnWaits,
    ModelErred,
    TurnDone,
    TurnEvent,
    TurnStarted,
    incident_words,
)
from ._home import Home
from ._listener import Listener
from ._messages import Note, Resume, Task, Tick, Wake
from ._records import Told, TurnBegan
from ._refusals import NotKept, PutAside, kept
from ._remembering import Remembering
from ._spec import AgentSpec, TimerSpec
from ._state import Plan
from ._talk import bring_back, talk_tools
from ._thinking import RECORDING_SECONDS, Thinking, Ways
from ._turn import Turn

#: The capability that every agent offers, beside its own: by it agents find each other.
AGENT = "agent"
#: A journal that cannot be used is looked into again after so many seconds.
LATER = 10.0
#: Of the time that its asker waits, so much may be spent on waiting for others.
PATIENCE = 0.9
#: So many conversations are held in memory; others are read from the journal again.
REMEMBERED = 32


class Agent(Actor[Task | Note | Wake | Resume | Tick | Stop]):
    """An actor that thinks: `await system.spawn("ada", Agent, spec, home)`, then `await ada.ask(Task("..."))`.

    A task is always answered, with what there is: see `Answer.stop_reason`. Work once taken is finished, also when
    nobody waits any more, within the limits of its spec; `Home.interrupt` ends it. If the agent crashes, or is killed,
    its next incarnation goes on with the same turn where its journal ends, up to `attempts` times.
    """

    ask_timeout: ClassVar[float] = 600.0
    detach: ClassVar[bool] = True
    #: not above the usual limit of restarts: a task that always crashes it must not take its supervisor with it
    attempts: ClassVar[int] = 3
    children: ClassVar[DynamicSupervisorSpec] = DynamicSupervisorSpec()

    def __init__(self, spec: AgentSpec, home: Home, depth: int = 0) -> None:
        self.spec = spec
        self.home = home
        #: how many agents stand above it, each started by the one before
        self.depth = depth
        self._model = home.models.get(spec.model, on_incident=self._incident)
        toolbox = Toolbox([*spec.toolbox, *talk_tools(self)])
        self._plan = Plan(
            system=spec.system,
            toolbox=toolbox,
            limits=spec.limits,
            output=spec.output,
            reflection=spec.reflection,
            repeat_limit=spec.repeat_limit,
            corrections=spec.corrections,
            context_tokens=spec.context_tokens,
        )
        self._conversations: dict[str, tuple[Message, ...]] = {}
        self._remembering: Remembering | None = None
        self._timers: dict[TimerSpec, Timer] = {}
        #: it has looked for letters while it thought
        self._woken = False
        #: the turn that it thinks about, and who is told
        self._now: tuple[str, Callable[[TurnEvent], None]] | None = None

    async def started(self) -> None:
        hub, journal = Hub.of(self.system), self.home.journal
        if self.spec.memory is not None:
            try:
                memory = await self.home.memory(self.spec.memory, self.spec.name)
            except (StoreError, MemoryFault) as error:
                self._memory_trouble(f"it works without its memory until it is started again: {error}")
            else:
                self._remembering = Remembering(memory, self.spec.memory, self.spec.redacted, self._memory_trouble)
                await self._remembering.catch_up(journal, self.ref.path)
        names = ", ".join(capability.name for capability in self.spec.capabilities)
        about = {"name": self.spec.name, "description": self.spec.description, "can": names}
        hub.offer(self.ref, Capability(AGENT, attributes=about, accepts=Task))
        for capability in self.spec.capabilities:
            hub.offer(self.ref, capability)
        self._wake_up()
        for timer in self.spec.timers:
            due = await journal.due(self.ref.path, timer.message)
            if due is None:
                due = self.home.now() + timer.every
                await journal.set_due(self.ref.path, timer.message, due)
            self._arm(timer, due)
        await bring_back(self)

    @receive
    async def task(self, task: Task) -> Answer:
        return await self._think(task.id, task.text, task.conversation, task.listener)

    @receive
    async def note(self, note: Note) -> None:
        with kept(self.ref.path):
            await self.home.journal.post(self.ref.path, note.to(self.ref.path))
        await self.wake(Wake())

    @receive
    async def wake(self, wake: Wake) -> None:
        """Take up one thing that waits in the journal; then it looks again, so that tasks come in between.

        What an earlier program has left comes first, letters after that.
        """
        journal, me = self.home.journal, self.ref.path
        try:
            with kept(me):
                waiting = list(await journal.unfinished(me)) if self.home.resume else []
                waiting = waiting or [letter.id for letter in await journal.letters(me)]
        except NotKept:
            self.after(LATER, wake)  # perhaps there is room on the disk again in a while
            raise
        if waiting:
            self.ref.tell(Resume(waiting[0]))

    @receive
    async def resume(self, resume: Resume) -> None:
        try:
            await self._resume(resume.turn)
        except NotKept:
            self.after(LATER, resume)  # begun in this program, it is not among what an earlier one has left
            raise
        except PutAside:
            self._wake_up()
            raise
        self._wake_up()

    async def _resume(self, id: str) -> None:
        with kept(self.ref.path):
            turn = await read_turn(self.home.journal, id, self._plan, ())
            letters = () if turn.began else await self.home.journal.letters(self.ref.path)
        for letter in letters:
            if letter.id == id:  # with its turn it is seen
                await self._think(id, said.note(letter.sender, letter.text, id).text, taken=[id])
        if turn.began is not None and turn.ended is None:
            await self._think(id, turn.began.task, turn.began.conversation)

    def _wake_up(self) -> None:
        """Look into the journal, after what is in the mailbox. Where that is full, it is looked into after a turn."""
        self.home.wake(self.ref)

    @receive
    async def tick(self, tick: Tick) -> None:
        due = max(tick.due + tick.timer.every, self.home.now())
        try:
            # The next one is set when this one is over: killed before that, it comes again, and is the same turn.
            await self._think(tick.turn(self.ref.path), tick.timer.message)
        except NotKept:
            self._arm(tick.timer, tick.due, LATER)
            raise
        except PutAside:
            await self._set_due(tick.timer, due)
            raise
        await self._set_due(tick.timer, due)

    async def _set_due(self, timer: TimerSpec, due: float) -> None:
        self._arm(timer, due)
        with kept(self.ref.path):
            await self.home.journal.set_due(self.ref.path, timer.message, due)

    def _arm(self, timer: TimerSpec, due: float, least: float = 0.0) -> None:
        """Set a timer anew. Not before its last tick has been dealt with: slow thoughts make no queue of ticks."""
        before = self._timers.get(timer)
        if before is not None:
            before.cancel()
        wait = min(max(least, due - self.home.now()), timer.every)  # not longer, wherever the clock on the wall jumps
        self._timers[timer] = self.after(wait, Tick(timer, due))

    async def _think(
        self,
        id: str,
        text: str,
        conversation: str = "main",
        listener: ActorRef[TurnEvent] | None = None,
        taken: Sequence[str] = (),
    ) -> Answer:
        with kept(self.ref.path):
            return await self._turn(id, text, conversation, Listener(listener), taken)

    async def _turn(self, id: str, text: str, conversation: str, listener: Listener, taken: Sequence[str]) -> Answer:
        journal, me = self.home.journal, self.ref.path
        history = await self._history(conversation, before=id)
        turn = await read_turn(journal, id, self._plan_of(id, conversation), history)
        resumed = turn.began is not None
        if not resumed:
            sender = "" if self.sender is None else self.sender.path
            remember = self.spec.memory is not None and self.spec.memory.auto
            began = TurnBegan(task=text, conversation=conversation, agent=me, sender=sender, remember=remember)
            await journal.append(id, [began], taken)
            turn.apply(began)
        elif turn.began is not None and turn.began.agent != me:
            raise Refused(f"turn {id} belongs to {turn.began.agent}: a task, and its id, is given to one agent")
        elif turn.ended is None and await journal.attempt(id) > self.spec.attempts:
            error = f"work on its next step has begun {self.spec.attempts} times and came to nothing"
            await journal.put_aside(id, error)
            raise PutAside(f"turn {id} of {me} is put aside: {error}; `anima dead-letters` shows it")
        tell = listener.tell
        tell(TurnStarted(id, me, resumed))
        if turn.ended is None:
            self.system.emit(AgentTurnBegan, me, turn=id, resumed=resumed)
        self._now = id, tell
        memory = self._remembering
        ways = self._ways(tell, [] if memory is None else await memory.told(text, history))
        with self.home.thinking_about(id) as interruptible:
            try:
                answer = await Thinking(turn, self.spec, ways).run(interruptible)
            except Exception as error:
                if not all(isinstance(one, (StoreError, UnreadableRecord)) for one in leaves(error)):
                    await self._failed(id, error)
                raise
        self._now = None
        if self._woken or self.home.unheard(me):  # what was not seen in this turn is a turn of its own
            self._woken = False
            self._wake_up()
        if answer.stop_reason is StopReason.AWAITING_APPROVAL:
            await journal.park(id)  # to ask is no failed attempt
            await journal.put_aside(id, answer.error or "")
            self.system.emit(AgentTurnWaits, me, turn=id, question=answer.error or "")
        elif turn.ended is None:
            await journal.park(id)
        elif memory is not None:
            assert turn.began is not None
            await memory.keep(journal, id, turn.began, answer.text)
        self._remember(conversation, turn, resumed)
        await listener.finish(TurnDone(id, answer))
        return answer

    async def _failed(self, turn: str, error: Exception) -> None:
        """It is about to crash: let the journal say by what, and, if this was the last try, that it is over."""
        journal, why = self.home.journal, self.spec.redacted(describe(error))
        with trio.move_on_after(RECORDING_SECONDS, shield=True), contextlib.suppress(StoreError):
            await journal.failed(turn, why)
            if self.last_attempt:
                await journal.put_aside(turn, f"it has crashed its agent {self.attempt} times in a row")

    def _plan_of(self, turn: str, conversation: str) -> Plan:
        """How a turn is to go: what it writes into memory bears its name."""
        if self._remembering is None or self.spec.memory is None or not self.spec.memory.tools:
            return self._plan
        tools = self._remembering.tools(turn, conversation)
        return attrs.evolve(self._plan, toolbox=Toolbox([*self._plan.toolbox, *tools]))

    def _ways(self, tell: Callable[[TurnEvent], None], remembered: list[Told]) -> Ways:
        return Ways(
            model=self._model,
            price=self.spec.cost,
            journal=self.home.journal,
            invocation=self._invocation,
            notes=self._notes,
            remembered=remembered,
            account=self.home.budgets.account(self.ref.path, self.spec.need),
            tell=tell,
            emit=lambda kind, **fields: self.system.emit(kind, self.ref.path, **fields),
        )

    def _invocation(self, key: str) -> Invocation:
        return Invocation(key, self.spec.workspace, self.ref.path)

    async def _notes(self) -> list[Told]:
        """What has come while it thinks. Kept first, then seen with the next call of the model."""
        me, journal = self.ref.path, self.home.journal
        notes = self.take_waiting(Note)
        for note in notes:
            await journal.post(me, note.to(me))
        if not notes and not self.take_waiting(Wake):
            return []
        self._woken = True
        return [said.note(letter.sender, letter.text, letter.id) for letter in await journal.letters(me)]

    def _incident(self, incident: Incident) -> None:
        """Something is done about a model that could not answer."""
        what, error = incident_words(incident)
        self.system.emit(
            AgentModelTrouble, self.ref.path, model=incident.model, what=f"{error}; {what}" if error else what
        )
        if self._now is not None and error:
            turn, tell = self._now
            tell(ModelErred(turn, error, what))

    def _memory_trouble(self, what: str) -> None:
        self.system.emit(AgentMemoryTrouble, self.ref.path, what=what)

    async def _history(self, conversation: str, before: str) -> tuple[Message, ...]:
        known = self._conversations.get(conversation)
        if known is not None and not await self.home.journal.records(before):
            return known
        return await read_conversation(self.home.journal, self.ref.path, conversation, before)

    def _remember(self, conversation: str, turn: Turn, resumed: bool) -> None:
        self._conversations.pop(conversation, None)
        if resumed:  # others may have come after it: they are read from the journal
            return
        self._conversations[conversation] = (*turn.history, *turn.messages)
        while len(self._conversations) > REMEMBERED:
            del self._conversations[next(iter(self._conversations))]

    # For its tools

    @property
    def turn(self) -> str:
        """The turn that it thinks about."""
        assert self._now is not None
        return self._now[0]

    @property
    def patience(self) -> float:
        """How long, in seconds, it can wait for others, and still answer whoever waits for it."""
        asked = self.asked_until - trio.current_time()
        own = self.spec.limits.seconds
        return min(self.ask_timeout, PATIENCE * max(0.0, asked), math.inf if own is None else own)
