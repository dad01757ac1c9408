"""The agent: an actor that thinks. It handles one task at a time, and each from its journal."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import ClassVar

import trio

from anima.actors import Actor, ActorError, ActorRef, Stop, Timer, receive
from anima.hub import Capability, Hub
from anima.llm import CircuitClosed, CircuitOpened, FallingBack, Incident, Message, Retrying
from anima_supervisors import DynamicSupervisorSpec
from anima_tools import Invocation, Toolbox

from . import _said as said
from ._answer import Answer
from ._conversation import read_conversation, read_turn
from ._events import AgentModelTrouble, AgentTurnBegan, ModelErred, TurnDone, TurnEvent, TurnStarted
from ._home import Home
from ._messages import Note, Task, Tick
from ._records import Told, TurnBegan
from ._spec import AgentSpec, TimerSpec
from ._talk import talk_tools
from ._thinking import Thinking, Ways
from ._turn import Plan, Turn

#: The capability that every agent offers, beside its own: by it agents find each other.
AGENT = "agent"
#: Of the time that its asker waits, so much may be spent on waiting for others.
PATIENCE = 0.9
#: So many conversations are held in memory; others are read from the journal again.
REMEMBERED = 32


class Agent(Actor[Task | Note | Tick | Stop]):
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
        self._timers: dict[TimerSpec, Timer] = {}
        #: the turn that it thinks about, and who is told
        self._now: tuple[str, Callable[[TurnEvent], None]] | None = None

    async def started(self) -> None:
        hub = Hub.of(self.system)
        names = ", ".join(capability.name for capability in self.spec.capabilities)
        about = {"name": self.spec.name, "description": self.spec.description, "can": names}
        hub.offer(self.ref, Capability(AGENT, attributes=about, accepts=Task))
        for capability in self.spec.capabilities:
            hub.offer(self.ref, capability)
        for timer in self.spec.timers:
            self._arm(timer, trio.current_time() + timer.every)

    @receive
    async def task(self, task: Task) -> Answer:
        return await self._think(task.id, task.text, task.conversation, task.listener)

    @receive
    async def note(self, note: Note) -> None:
        await self._think(note.id, said.note(note.sender, note.text).text)

    @receive
    async def tick(self, tick: Tick) -> None:
        await self._think(f"tick-{self.trace}", tick.timer.message)
        self._arm(tick.timer, max(tick.due + tick.timer.every, trio.current_time()))

    def _arm(self, timer: TimerSpec, due: float) -> None:
        """Set a timer anew. Not before its last tick has been dealt with: slow thoughts make no queue of ticks."""
        before = self._timers.get(timer)
        if before is not None:
            before.cancel()
        self._timers[timer] = self.after(max(0.0, due - trio.current_time()), Tick(timer, due))

    async def _think(
        self, id: str, text: str, conversation: str = "main", listener: ActorRef[TurnEvent] | None = None
    ) -> Answer:
        journal, me = self.home.journal, self.ref.path
        history = await self._history(conversation, before=id)
        turn = await read_turn(journal, id, self._plan, history)
        resumed = turn.began is not None
        if not resumed:
            sender = "" if self.sender is None else self.sender.path
            began = TurnBegan(task=text, conversation=conversation, agent=me, sender=sender)
            await journal.append(id, [began])
            turn.apply(began)
        tell = functools.partial(_tell, listener)
        tell(TurnStarted(id, me, resumed))
        self.system.emit(AgentTurnBegan, me, turn=id, resumed=resumed)
        self._now = id, tell
        with self.home.thinking_about(id) as interruptible:
            answer = await Thinking(turn, self.spec, self._ways(tell)).run(interruptible)
        self._now = None
        self._remember(conversation, turn)
        tell(TurnDone(id, answer))
        return answer

    def _ways(self, tell: Callable[[TurnEvent], None]) -> Ways:
        return Ways(
            model=self._model,
            price=self.spec.cost,
            journal=self.home.journal,
            invocation=self._invocation,
            notes=self._notes,
            tell=tell,
            emit=lambda kind, **fields: self.system.emit(kind, self.ref.path, **fields),
        )

    def _invocation(self, key: str) -> Invocation:
        return Invocation(key, self.spec.workspace, self.ref.path)

    def _notes(self) -> list[Told]:
        """What has come while it thinks."""
        return [said.note(note.sender, note.text) for note in self.take_waiting(Note)]

    def _incident(self, incident: Incident) -> None:
        """Something is done about a model that could not answer."""
        what, error = _words(incident)
        self.system.emit(
            AgentModelTrouble, self.ref.path, model=incident.model, what=f"{error}; {what}" if error else what
        )
        if self._now is not None and error:
            turn, tell = self._now
            tell(ModelErred(turn, error, what))

    async def _history(self, conversation: str, before: str) -> tuple[Message, ...]:
        known = self._conversations.get(conversation)
        if known is not None and not await self.home.journal.records(before):
            return known
        return await read_conversation(self.home.journal, self.ref.path, conversation, before)

    def _remember(self, conversation: str, turn: Turn) -> None:
        self._conversations.pop(conversation, None)
        self._conversations[conversation] = (*turn.history, *turn.messages)
        while len(self._conversations) > REMEMBERED:
            del self._conversations[next(iter(self._conversations))]

    # For its tools

    @property
    def patience(self) -> float:
        """How long, in seconds, it can wait for others, and still answer whoever waits for it."""
        asked = self.asked_until - trio.current_time()
        own = self.spec.limits.seconds
        return min(self.ask_timeout, PATIENCE * max(0.0, asked), math.inf if own is None else own)


def _words(incident: Incident) -> tuple[str, str]:
    """What is done, and the error that it is done about."""
    match incident:
        case Retrying(_, error, delay, attempt):
            return f"attempt {attempt} in {delay:.1f} s", str(error)
        case FallingBack(_, error, to):
            return f"{to} is asked instead", str(error)
        case CircuitOpened(_, failures, seconds):
            return f"failed {failures} times in a row; it is left alone for {seconds:.0f} s", ""
        case CircuitClosed():
            return "it answers again", ""


def _tell(listener: ActorRef[TurnEvent] | None, event: TurnEvent) -> None:
    """Tell whoever listens. One who is too slow, or gone, misses it."""
    if listener is not None and not listener.ended:
        try:
            listener.tell(event)
        except ActorError:
            return
