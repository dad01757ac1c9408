"""The tools by which agents talk with each other, over the actor floor: deadlines, hops and traces carry over.

The id of what they send is the idempotency key of the step, so that a step that is tried again is not done twice.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import attrs

from anima.actors import ActorRef
from anima.hub import Hub
from anima_supervisors import ChildAlreadyPresent, ChildAlreadyStarted, ChildStartFailed
from anima_tools import Effect, Invocation, Tool, ToolError, tool

from ._journal import Spawned
from ._messages import Note, Task, Wake
from ._records import TurnBegan
from ._spec import AgentSpec

if TYPE_CHECKING:
    from ._agent import Agent

#: `find_agents` shows so many at the most.
SHOWN = 50
#: A tool that waits for another agent has a deadline of its own: that of the ask comes first.
WAITING = 3600.0


class NobodyFound(ToolError):
    """There is no such agent, or nobody who can do that."""


def talk_tools(agent: Agent) -> list[Tool]:
    """The tools of `agent.spec.talk`, at work for `agent`."""
    return [one for one in _made(_Talk(agent), agent.depth, agent.spec) if one.name in agent.spec.talk]


def tools_of(spec: AgentSpec) -> list[Tool]:
    """All tools that an agent has, to be looked at: those by which it would talk work for nobody."""
    talk = _made(_Talk(None), 0, spec)
    return [*spec.toolbox, *(one for one in talk if one.name in spec.talk)]


def _made(talk: _Talk, depth: int, spec: AgentSpec) -> list[Tool]:
    made = [
        tool(talk.find_agents, effect=Effect.PURE),
        tool(talk.ask_agent, effect=Effect.IDEMPOTENT, deadline=WAITING),
        tool(talk.tell_agent, effect=Effect.IDEMPOTENT),
        tool(talk.publish, effect=Effect.IDEMPOTENT),
    ]
    if depth < spec.spawn_depth:
        made.append(tool(talk.spawn_agent, effect=Effect.IDEMPOTENT))
    return made


async def bring_back(agent: Agent) -> None:
    """Start those again that the agent has started: in earlier programs, or before it crashed.

    Where agents go on only when they are told to, those of turns that can be gone on with.
    """
    if "spawn_agent" not in {one.name for one in talk_tools(agent)}:
        return  # it may not any more
    for spawned in await agent.home.journal.spawned(agent.ref.path, now_open=not agent.home.resume):
        with contextlib.suppress(ChildStartFailed):  # the tree has told why; without it the agent works all the same
            await _spawn(agent, spawned)


async def _spawn(agent: Agent, spawned: Spawned) -> ActorRef[Any]:
    # Without a memory: it would be that of whoever has the name, which the model has chosen.
    spec = attrs.evolve(
        agent.spec,
        name=spawned.name,
        persona=spawned.persona,
        capabilities=(),
        timers=(),
        output=None,
        memory=None,
    )
    return await agent.spawn(spawned.name, type(agent), spec, agent.home, agent.depth + 1)


class _Talk:
    def __init__(self, agent: Agent | None) -> None:
        self._for = agent

    @property
    def _agent(self) -> Agent:
        if self._for is None:
            raise ToolError("this tool belongs to no agent")
        return self._for

    @property
    def _hub(self) -> Hub:
        return Hub.of(self._agent.system)

    async def find_agents(self, capability: str = "") -> str:
        """Find other agents that you can ask: all of them, or those that can do something.

        Args:
            capability: what they have to be able to do, by its name; leave it out to see all agents
        """
        agents = [ref for ref in self._hub.find("agent") if ref != self._agent.ref]
        if capability:
            able = set(self._hub.find(capability))
            agents = [ref for ref in agents if ref in able]
        if not agents:
            return f"Nobody can {capability}." if capability else "There are no other agents."
        lines = [self._line(ref) for ref in agents[:SHOWN]]
        return "\n".join([*lines, f"and {len(agents) - SHOWN} more"] if len(agents) > SHOWN else lines)

    def _line(self, ref: ActorRef[Any]) -> str:
        about = self._about(ref)
        words = [str(about["description"])] if about["description"] else []
        words += [f"can: {about['can']}"] if about["can"] else []
        return f"{ref.path}: {'; '.join(words) or about['name']}"

    def _about(self, ref: ActorRef[Any]) -> Any:
        return next(offer.capability.attributes for offer in self._hub.offers("agent") if offer.ref == ref)

    async def ask_agent(self, agent: str, task: str, invocation: Invocation) -> str:
        """Give another agent a task and wait for its answer.

        Args:
            agent: its address or name as `find_agents` shows it, or something that it has to be able to do
            task: what it has to do; it knows nothing else of your conversation
        """
        me = self._agent
        ref = await self._begun_by(invocation.key) or self._find(agent)
        answer = await ref.ask(Task(task, f"with {me.ref.path}", invocation.key), timeout=me.patience)
        if answer.complete:
            return str(answer.text)
        why = f": {answer.error}" if answer.error else ""
        if not answer.text:
            raise ToolError(f"{ref.path} has no answer ({answer.stop_reason.value}{why})")
        return f"{answer.text}\n\n[It could not finish ({answer.stop_reason.value}{why}).]"

    async def tell_agent(self, agent: str, text: str, invocation: Invocation) -> str:
        """Tell another agent something, without waiting for an answer.

        Args:
            agent: its address or name as `find_agents` shows it, or something that it has to be able to do
            text: what it has to know
        """
        ref = self._find(agent)
        me = self._agent
        await me.home.post(ref, Note(text, me.ref.path, invocation.key))
        return f"told {ref.path}"

    async def publish(self, topic: str, text: str, invocation: Invocation) -> str:
        """Tell something to everyone who listens to a topic.

        Args:
            topic: words joined by dots, like news.sport
            text: what they have to know
        """
        note, me = Note(text, self._agent.ref.path, invocation.key), self._agent
        agents = [ref for ref in self._hub.listeners(topic, note) if ref.place().would_accept(Wake)]
        for ref in agents:  # kept for it first, whatever happens to it or to the program
            await me.home.post(ref, note)
        count = max(len(agents), await self._hub.publish(topic, note))
        return f"{count} listen to {topic} and were told"

    async def spawn_agent(self, name: str, persona: str, invocation: Invocation) -> str:
        """Start an agent of your own, with your tools, that you can then ask.

        Args:
            name: one word
            persona: what it is and how it should work; it is all that the agent knows
        """
        me = self._agent
        if "/" in name:
            raise ToolError(f"the name of an agent has no '/': {name!r}")
        spawned = Spawned(name, persona, invocation.key)
        try:
            ref = await _spawn(me, spawned)
        except (ChildAlreadyStarted, ChildAlreadyPresent):
            if spawned not in await me.home.journal.spawned(me.ref.path, now_open=False):
                raise ToolError(f"you have an agent called {name!r} already: ask it, or take another name") from None
            ref = me.system.ref(f"{me.ref.path}/{name}")  # an earlier try of this very step has started it
        else:
            await me.home.journal.keep_spawned(me.ref.path, me.turn, spawned)
        return f"{ref.path} has started: ask it by this address"

    async def _begun_by(self, turn: str) -> ActorRef[Any] | None:
        """Who has taken up this very task before, when it was given in an earlier try, and goes on with it."""
        records = await self._agent.home.journal.records(turn)
        takers = [record.agent for record in records if isinstance(record, TurnBegan)]
        return next((ref for ref in self._hub.find("agent") if ref.path in takers), None)

    def _find(self, agent: str) -> ActorRef[Any]:
        others = [ref for ref in self._hub.find("agent") if ref != self._agent.ref]
        for ref in others:
            if ref.path == agent:
                return ref
        named = [ref for ref in others if agent in (ref.path.rpartition("/")[2], self._about(ref)["name"])]
        able = [ref for ref in self._hub.find(agent) if ref in others]
        for found in (named, able):
            if found:
                return min(found, key=lambda ref: ref.place().load)
        known = ", ".join(ref.path for ref in others[:SHOWN]) or "none"
        raise NobodyFound(f"no agent is called {agent!r}, and none offers that; there are: {known}")
