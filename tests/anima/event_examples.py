"""Events to show: any of every kind, and errors that were raised."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from anima.actors import DeadLettered
from anima.agents import (
    AgentMemoryTrouble,
    AgentModelCalled,
    AgentModelTrouble,
    AgentToolCalled,
    AgentTurnBegan,
    AgentTurnEnded,
    AgentTurnWaits,
)
from anima.hub import SubscriberSlow
from anima_supervisors import (
    AutoShutdownTriggered,
    BackoffNeverGivesUp,
    Error,
    Escalated,
    Event,
    EventsDropped,
    Exit,
    Exited,
    GaveUp,
    HeartbeatMissed,
    Killed,
    LoopBlocked,
    Normal,
    ProcessOutput,
    ProcessOutputOmitted,
    RestartScheduled,
    Shutdown,
    Started,
    StartFailed,
    StartIgnored,
    Starting,
    Stopping,
    Stuck,
)

COMMON: dict[str, Any] = {"id": 1, "time": 0.0, "path": "home/a", "incarnation": 1}


def raised(error: Exception) -> Exception:
    """The error with a traceback, as one that was raised has."""
    try:
        raise error
    except Exception as caught:
        return caught


def stumble(message: str) -> Exception:
    return raised(ValueError(message))


# Lone surrogates too: they are how Python writes the names of files that are not in UTF-8.
any_text = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=20)
numbers = st.floats() | st.integers(-(2**63), 2**63)
errors = st.one_of(
    st.builds(ValueError, any_text),
    st.builds(lambda text: ExceptionGroup("several", [ValueError(text), OSError(5, text)]), any_text),
    st.just(SystemExit(3)),
)
infos = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    any_text,
    st.binary(),
    errors,
    st.lists(st.floats()),
    st.dictionaries(st.integers(), st.floats()),
)
exits: st.SearchStrategy[Exit] = st.one_of(
    st.just(Normal()),
    st.builds(Shutdown, infos, st.booleans()),
    st.builds(Error, errors),
    st.builds(Killed, st.none() | errors),
)
FIELDS: dict[type[Event], dict[str, st.SearchStrategy[Any]]] = {
    Starting: {},
    Started: {"value": infos},
    StartFailed: {"error": errors},
    StartIgnored: {},
    Exited: {"exit": exits, "stopped": st.booleans(), "uptime": st.floats()},
    Stopping: {"bound": st.floats()},
    Stuck: {"bound": st.floats()},
    RestartScheduled: {"delay": st.floats(), "restarts": numbers, "intensity": numbers, "period": st.floats()},
    HeartbeatMissed: {"silence": st.floats()},
    GaveUp: {"child": any_text, "intensity": numbers, "period": st.floats(), "error": st.none() | errors},
    Escalated: {"child": any_text, "error": errors},
    AutoShutdownTriggered: {"child": any_text},
    BackoffNeverGivesUp: {"intensity": numbers, "period": st.floats()},
    EventsDropped: {"count": numbers},
    LoopBlocked: {"task": any_text, "where": any_text, "seconds": st.floats()},
    ProcessOutput: {"stream": st.sampled_from(["stdout", "stderr"]), "line": any_text},
    ProcessOutputOmitted: {"stream": st.sampled_from(["stdout", "stderr"]), "lines": numbers},
    DeadLettered: {
        "reason": any_text,
        "message": any_text,
        "sender": st.none() | any_text,
        "attempts": numbers,
        "error": st.none() | any_text,
    },
    SubscriberSlow: {"pattern": any_text, "topic": any_text, "delivered": numbers, "dropped": numbers},
    AgentTurnBegan: {"turn": any_text, "resumed": st.booleans()},
    AgentModelCalled: {
        "turn": any_text,
        "step": numbers,
        "model": any_text,
        "seconds": st.floats(),
        "input_tokens": numbers,
        "output_tokens": numbers,
        "cost": st.none() | st.floats(),
        "error": st.none() | any_text,
    },
    AgentMemoryTrouble: {"what": any_text},
    AgentTurnWaits: {"turn": any_text, "question": any_text},
    AgentModelTrouble: {"model": any_text, "what": any_text},
    AgentToolCalled: {
        "turn": any_text,
        "step": numbers,
        "tool": any_text,
        "seconds": st.floats(),
        "failed": st.booleans(),
    },
    AgentTurnEnded: {
        "turn": any_text,
        "stop_reason": any_text,
        "steps": numbers,
        "seconds": st.floats(),
        "input_tokens": numbers,
        "output_tokens": numbers,
        "cost": st.none() | st.floats(),
        "error": st.none() | any_text,
    },
}
events: st.SearchStrategy[Event] = st.sampled_from(list(FIELDS)).flatmap(
    lambda kind: st.builds(
        kind,
        id=st.integers(0, 2**53),
        time=st.floats(0, 4e9),
        path=any_text,
        incarnation=st.integers(0, 2**53),
        **FIELDS[kind],
    )
)
