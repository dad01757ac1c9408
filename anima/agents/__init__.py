"""Agents: actors that think. A task goes in, an answer comes out, whatever happens on the way.

From the bottom up:

- `_answer`, `_limits`, `_records`: how a turn ends, what it may use, and the facts that it is made of
- `_said`, `_context`, `_output`: what the model is told by us, how long a conversation is, answers that are objects
- `_actions`, `_turn`: the state machine: facts in, the next action out, no I/O
- `_journal`, `_conversation`: where the facts are kept, and what follows from them
- `_events`, `_messages`, `_spec`, `_home`: what is told meanwhile, what agents are sent, what they are and share
- `_thinking`: does what the state machine wants, recording before and after
- `_talk`, `_agent`: the tools by which agents talk, and the actor

Start with `open_home` and `Agent`.
"""

from ._agent import AGENT, Agent
from ._answer import Answer, Spent, StopReason
from ._events import (
    TURN_EVENTS,
    AgentModelCalled,
    AgentModelTrouble,
    AgentToolCalled,
    AgentTurnBegan,
    AgentTurnEnded,
    ModelAsked,
    ModelErred,
    ModelReplied,
    ReasoningStreamed,
    TextReset,
    TextStreamed,
    ToolBegun,
    ToolDone,
    TurnDone,
    TurnEvent,
    TurnStarted,
    agent_events,
)
from ._home import Home, ModelSource, open_home
from ._journal import Journal, MemoryJournal
from ._limits import Limits
from ._messages import Note, Task, Tick, new_id
from ._output import BadOutput, Output
from ._spec import TALK_TOOLS, AgentSpec, OnDoubt, TimerSpec
from ._talk import NobodyFound, tools_of

__all__ = [
    "AGENT",
    "TALK_TOOLS",
    "TURN_EVENTS",
    "Agent",
    "AgentModelCalled",
    "AgentModelTrouble",
    "AgentSpec",
    "AgentToolCalled",
    "AgentTurnBegan",
    "AgentTurnEnded",
    "Answer",
    "BadOutput",
    "Home",
    "Journal",
    "Limits",
    "MemoryJournal",
    "ModelAsked",
    "ModelErred",
    "ModelReplied",
    "ModelSource",
    "NobodyFound",
    "Note",
    "OnDoubt",
    "Output",
    "ReasoningStreamed",
    "Spent",
    "StopReason",
    "Task",
    "TextReset",
    "TextStreamed",
    "Tick",
    "TimerSpec",
    "ToolBegun",
    "ToolDone",
    "TurnDone",
    "TurnEvent",
    "TurnStarted",
    "agent_events",
    "new_id",
    "open_home",
    "tools_of",
]
