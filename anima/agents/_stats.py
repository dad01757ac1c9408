"""What agents have done, in figures: read from their journal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import attrs

from anima.store import Connection, Store

#: A record's body is JSON, and what is left at its default is left out of it: see `_codec`.
_MODEL = """
SELECT t.agent, count(*),
    sum(coalesce(json_extract(r.body, '$.finish.usage.input_tokens'), 0)),
    sum(coalesce(json_extract(r.body, '$.finish.usage.output_tokens'), 0))
FROM records r JOIN turns t ON t.number = r.turn
WHERE json_valid(r.body) AND json_extract(r.body, '$.record') = 'ModelAnswered' GROUP BY t.agent
"""
_FAILED = """
SELECT t.agent, json_extract(r.body, '$.error'), count(*) FROM records r JOIN turns t ON t.number = r.turn
WHERE json_valid(r.body) AND json_extract(r.body, '$.record') = 'ModelFailed' GROUP BY 1, 2 ORDER BY 1, 2
"""
_TOOLS = """
SELECT t.agent, json_extract(r.body, '$.result.name'), count(*),
    sum(coalesce(json_extract(r.body, '$.result.failed'), 0))
FROM records r JOIN turns t ON t.number = r.turn
WHERE json_valid(r.body) AND json_extract(r.body, '$.record') = 'ToolAnswered' GROUP BY 1, 2 ORDER BY 1, 2
"""
_SECONDS = """
SELECT t.agent, sum(coalesce(json_extract(r.body, '$.seconds'), 0)) FROM records r JOIN turns t ON t.number = r.turn
WHERE json_valid(r.body) AND json_extract(r.body, '$.record') = 'TurnEnded' GROUP BY t.agent
"""


@attrs.frozen
class ToolStats:
    """How often a tool was called, and how many of these calls failed."""

    calls: int
    failed: int


@attrs.frozen(kw_only=True)
class AgentStats:
    """One agent. Of turns that were let go of, `tokens`, `cost` (US dollars) and `tool_calls` are counted still."""

    agent: str
    #: by how they ended, or `open` or `aside`
    turns: Mapping[str, int]
    tokens: int
    cost: float
    tool_calls: int
    #: of the turns that are kept:
    model_calls: int
    input_tokens: int
    output_tokens: int
    #: by the name of the error
    model_failures: Mapping[str, int]
    tools: Mapping[str, ToolStats]
    #: spent on turns that have ended
    seconds: float


async def read_stats(store: Store) -> tuple[AgentStats, ...]:
    """The figures of each agent of a journal, by path. Goes through all records: about a second for 500,000."""
    return await store.read(_read, timeout=600.0)


def _read(connection: Connection) -> tuple[AgentStats, ...]:
    turns: dict[str, Counter[str]] = defaultdict(Counter)
    for agent, how, count in connection.execute(
        "SELECT agent, coalesce(stop_reason, state), count(*) FROM turns GROUP BY 1, 2 ORDER BY 1, 2"
    ):
        turns[agent][how] = count
    spent = {agent: row for agent, *row in connection.execute("SELECT agent, tokens, cost, calls FROM spent")}
    model = {agent: row for agent, *row in connection.execute(_MODEL)}
    failures: dict[str, dict[str, int]] = defaultdict(dict)
    for agent, error, count in connection.execute(_FAILED):
        failures[agent][error] = count
    tools: dict[str, dict[str, ToolStats]] = defaultdict(dict)
    for agent, name, calls, failed in connection.execute(_TOOLS):
        tools[agent][name] = ToolStats(calls, failed)
    seconds = dict(connection.execute(_SECONDS).fetchall())
    found = []
    for agent in sorted({*turns, *spent}):
        tokens, cost, calls = spent.get(agent, (0, 0.0, 0))
        model_calls, input_tokens, output_tokens = model.get(agent, (0, 0, 0))
        found.append(
            AgentStats(
                agent=agent,
                turns=turns[agent],
                tokens=tokens,
                cost=cost,
                tool_calls=calls,
                model_calls=model_calls,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                model_failures=failures[agent],
                tools=tools[agent],
                seconds=seconds.get(agent, 0.0),
            )
        )
    return tuple(found)
