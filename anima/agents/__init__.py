"""Agents: actors that think. A task goes in, an answer comes out, whatever happens on the way.

From the bottom up:

- `_answer`, `_limits`, `_records`: how a turn ends, what it may use, and the facts that it is made of
- `_budgets`: what agents share the spending of
- `_said`, `_context`, `_output`: what the model is told by us, how long a conversation is, answers that are objects
- `_actions`, `_turn`: the state machine: facts in, the next action out, no I/O
- `_journal`, `_codec`, `_store_journal`, `_conversation`: where the facts are kept, and what follows from them
- `_events`, `_messages`, `_spec`, `_home`: what is told meanwhile, what agents are sent, what they are and share
- `_remembering`: what a turn recalls and keeps by itself
- `_thinking`: does what the state machine wants, recording before and after
- `_runs`: what stands in a journal, for those who look at it from outside
- `_talk`, `_agent`: the tools by which agents talk, and the actor

Start with `open_home` and `Agent`.
"""

from ._agent import AGENT, Agent
from ._answer import Answer, Spent, StopReason
from ._budgets import Budget, Budgets
from ._codec import UnreadableRecord
from ._events import (
    TURN_EVENTS,
    AgentMemoryTrouble,
    AgentModelCalled,
    AgentModelTrouble,
    AgentToolCalled,
    AgentTurnBegan,
    AgentTurnEnded,
    AgentTurnWaits,
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
from ._home import Home, ModelSource, journal_file, open_home
from ._journal import BegunAlready, Journal, Letter, MemoryJournal, Spawned
from ._limits import Limits
from ._messages import Note, Resume, Task, Tick, Wake, new_id
from ._output import BadOutput, Output
from ._records import (
    Compacted,
    ModelAnswered,
    ModelCalled,
    ModelFailed,
    Record,
    Told,
    ToolAnswered,
    ToolCalled,
    TurnBegan,
    TurnEnded,
    Why,
)
from ._refusals import NotKept, PutAside
from ._runs import Entry, NotInDoubt, Run, end_run, forget_run, list_runs, read_run, retry_run, settle_step
from ._spec import MEMORY_TOOLS, TALK_TOOLS, AgentSpec, MemorySpec, OnDoubt, TimerSpec
from ._stats import AgentStats, ToolStats, read_stats
from ._store_journal import JOURNAL, Retention, StoreJournal
from ._talk import NobodyFound, tools_of

__all__ = [
    "AGENT",
    "JOURNAL",
    "MEMORY_TOOLS",
    "TALK_TOOLS",
    "TURN_EVENTS",
    "Agent",
    "AgentMemoryTrouble",
    "AgentModelCalled",
    "AgentModelTrouble",
    "AgentSpec",
    "AgentStats",
    "AgentToolCalled",
    "AgentTurnBegan",
    "AgentTurnEnded",
    "AgentTurnWaits",
    "Answer",
    "BadOutput",
    "BegunAlready",
    "Budget",
    "Budgets",
    "Compacted",
    "Entry",
    "Home",
    "Journal",
    "Letter",
    "Limits",
    "MemoryJournal",
    "MemorySpec",
    "ModelAnswered",
    "ModelAsked",
    "ModelCalled",
    "ModelErred",
    "ModelFailed",
    "ModelReplied",
    "ModelSource",
    "NobodyFound",
    "NotInDoubt",
    "NotKept",
    "Note",
    "OnDoubt",
    "Output",
    "PutAside",
    "ReasoningStreamed",
    "Record",
    "Resume",
    "Retention",
    "Run",
    "Spawned",
    "Spent",
    "StopReason",
    "StoreJournal",
    "Task",
    "TextReset",
    "TextStreamed",
    "Tick",
    "TimerSpec",
    "Told",
    "ToolAnswered",
    "ToolBegun",
    "ToolCalled",
    "ToolDone",
    "ToolStats",
    "TurnBegan",
    "TurnDone",
    "TurnEnded",
    "TurnEvent",
    "TurnStarted",
    "UnreadableRecord",
    "Wake",
    "Why",
    "agent_events",
    "end_run",
    "forget_run",
    "journal_file",
    "list_runs",
    "new_id",
    "open_home",
    "read_run",
    "read_stats",
    "retry_run",
    "settle_step",
    "tools_of",
]
