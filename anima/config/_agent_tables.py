"""The tables of an agent file, as frozen data: what stands in the TOML, nothing computed.

The lines `key: text` of the docstrings are what the reference of the keys is made from.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path

import attrs

from anima.agents import OnDoubt, Retention, TimerSpec
from anima.llm import Price, Retry, Timeouts, ToolProtocol

from ._tables import CapabilityTable, SubscribeTable
from ._values import Amount, Count, Duration, Natural, Positive, Size, Span


@attrs.frozen(kw_only=True)
class TimerTable:
    """What an agent is told every now and then."""

    every: Span
    message: str

    def timer(self) -> TimerSpec:
        """Raises `BadSpec`."""
        return TimerSpec(self.every, self.message)


@attrs.frozen(kw_only=True)
class AgentTable:
    """Who the agent is.

    name: what it is called; in a tree, by default, as its table is
    system_prompt: what its model is told before everything else; by default that it is a careful assistant of this name
    persona: a file with the system prompt, instead of `system_prompt`
    description: what other agents see of it
    capabilities: what other agents find it by: names, or tables of `name`, `version`, `attributes`
    subscribe: what it listens to: topics or patterns, or tables of `topic`, `slow` (`drop_oldest`; or `drop_newest`,
        `wait`), `retained` (`false`)
    output: `module:Class`; its answers are JSON that makes one. An attrs class, a dataclass, or what else msgspec knows
    timers: what it is given as a task now and then: tables of `every` (a duration) and `message`
    """

    name: str
    system_prompt: str | None = None
    persona: Path | None = None
    description: str = ""
    capabilities: tuple[CapabilityTable, ...] = ()
    subscribe: tuple[SubscribeTable, ...] = ()
    output: str | None = None
    timers: tuple[TimerTable, ...] = ()


@attrs.frozen(kw_only=True)
class TimeoutsTable:
    """How long each stage of a request may take.

    connect: until there is a connection
    first_token: from then until the first piece of the answer
    between: between one piece of the answer and the next
    total: for the whole answer
    """

    connect: Span = Span(10)
    first_token: Span = Span(120)
    between: Span = Span(60)
    total: Span = Span(600)

    def timeouts(self) -> Timeouts:
        """Raises `BadSpec`."""
        return Timeouts(**attrs.asdict(self))


@attrs.frozen(kw_only=True)
class PriceTable:
    """What a million tokens of the model cost, in US dollars.

    input: tokens that it reads
    output: tokens that it writes
    cached: tokens that its provider has kept from an earlier request; by default as much as others
    cache_write: tokens that its provider keeps for a later one; by default as much as others
    """

    input: Amount
    output: Amount
    cached: Amount | None = None
    cache_write: Amount | None = None

    def price(self) -> Price:
        """Raises `BadSpec`."""
        return Price(**attrs.asdict(self))


@attrs.frozen(kw_only=True)
class LlmTable:
    """Which model thinks, and how it is asked.

    provider: `openai` (and every server that speaks like it), `ollama`, `anthropic`, `local`, `scripted`, `replay`
    model: its name; `openai`, `ollama` and `anthropic` need one
    base_url: where the server is; by default the provider's own
    api_key: `"${NAME}"` for the environment variable NAME, or the key itself; by default OPENAI_API_KEY or
        ANTHROPIC_API_KEY, as the provider has it
    api_key_env: the name of the environment variable that has the key, instead of `api_key`
    headers: sent with every request; `${NAME}` in a value is the environment variable NAME
    temperature: how freely it chooses its words
    max_tokens: how long one answer may be
    tool_protocol: `native`, or `structured`: tools are offered as a JSON schema of what it may say next; by default as
        the provider has it
    fallback: who is asked, in this order, when it cannot answer: `provider:model`. One with the same provider is asked
        in the same way, another one at its usual address with its usual key
    cool_down: how long a model that has failed is left alone while there is another one
    concurrency: so many requests at once go to its provider and host, from all agents together
    timeouts: how long each stage of a request may take
    file: the script of the provider `scripted`, the cassette of `replay`; others do not use it
    record: a cassette on which its traffic is recorded, for `replay`
    price: what a million of its tokens cost, in US dollars; that of many models is known
    prices: the same of models that it falls back to, by their names
    """

    provider: str
    model: str = ""
    base_url: str | None = None
    api_key: str | None = None
    api_key_env: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    temperature: Amount | None = None
    max_tokens: Count | None = None
    tool_protocol: ToolProtocol | None = None
    fallback: tuple[str, ...] = ()
    cool_down: Duration = Duration(30)
    concurrency: Count = Count(8)
    timeouts: TimeoutsTable = TimeoutsTable()
    file: Path | None = None
    record: Path | None = None
    price: PriceTable | None = None
    prices: Mapping[str, PriceTable] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class RetryTable:
    """How often, and after which waits, a request that failed is made again.

    max_retries: so many times after the first
    initial_delay: the longest wait before the first of them; the waits are random, up to what is said here
    max_delay: the longest wait of all
    exponential_base: each wait is so many times as long as the one before
    retry_after_cap: a server that wants to be left alone for longer is given up
    total: for all attempts together
    """

    max_retries: Natural = Natural(3)
    initial_delay: Duration = Duration(0.1)
    max_delay: Duration = Duration(5)
    exponential_base: float = 2.0
    retry_after_cap: Duration = Duration(60)
    total: Span = Span(900)

    def retry(self) -> Retry:
        """Raises `BadSpec`."""
        return Retry(**attrs.asdict(self))


@attrs.frozen(kw_only=True)
class ToolsTable:
    """What the agent can do.

    enabled: the names of its tools: those that are installed (`add`, `clock`, `echo`, `edit_file`, `http`,
        `list_files`, `read_file`, `shell`, `write_file` and what other packages bring), those by which agents talk
        (`find_agents`, `ask_agent`, `tell_agent`, `publish`, `spawn_agent`), and your own as `module:name`, found
        beside the file. Without it, or with an empty list, the agent has none
    deny: the names of tools that it does not have, whatever else names them
    root: the folder that its tools stay below, and in which commands run
    allow_private: whether `http` may go to private, loopback and link-local addresses
    allow_hosts: hosts, `name` or `name:port`, that `http` may go to whatever their addresses are
    keep_env: environment variables that commands get beside the usual ones; never those that hold a key
    """

    enabled: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    root: Path = Path()
    allow_private: bool = False
    allow_hosts: tuple[str, ...] = ()
    keep_env: tuple[str, ...] = ()


class MemoryBackend(enum.Enum):
    """Where memories are kept."""

    IN_MEMORY = "in_memory"
    SQLITE = "sqlite"


@attrs.frozen(kw_only=True)
class MemoryTable:
    """What the agent remembers from one task to another, by `think.auto_memory` or by its tools.

    backend: `sqlite`, or `in_memory`: as long as the program runs
    path: the file of the backend `sqlite`; by default one of the agent's own in its `home`
    scopes: what it shares with other agents that use the same file: a list of `team:NAME`
    semantic: whether it finds by meaning too, which takes the extra `semantic`
    """

    backend: MemoryBackend = MemoryBackend.SQLITE
    path: Path | None = None
    scopes: tuple[str, ...] = ()
    semantic: bool = False


@attrs.frozen(kw_only=True)
class ThinkTable:
    """How it works on a task.

    max_iterations: so many calls of the model a task may take
    reflection: whether it reviews its answer before it gives it
    repeat_limit: the same call, with the same result, so many times: the task is ended; 0 is no limit
    corrections: so many answers that are not what `agent.output` asks for are sent back
    parallel_tools: so many of its tools run at once
    context_tokens: a conversation that is longer than half of this is summarized
    spawn_depth: how deep agents may stand that it starts
    attempts: so often work on one step begins, after crashes, before the task is put aside
    on_doubt: after a crash, when nobody knows whether a tool took effect that must not run twice: `tell` the model,
        `ask` a person, who says so by `anima runs settle`, or `fail`
    auto_memory: whether what fits a task is recalled with it, and what was asked and answered is remembered
    max_memory_entries: at most so many memories are recalled with a task
    """

    max_iterations: Count = Count(10)
    reflection: bool = False
    repeat_limit: Natural = Natural(3)
    corrections: Natural = Natural(2)
    parallel_tools: Count = Count(8)
    context_tokens: Count = Count(32_000)
    spawn_depth: Natural = Natural(2)
    on_doubt: OnDoubt = OnDoubt.TELL
    attempts: Count = Count(5)
    auto_memory: bool = False
    max_memory_entries: Natural = Natural(10)


@attrs.frozen(kw_only=True)
class BudgetTable:
    """What one task may use. At a limit the model is asked once more, without tools, for its best answer so far.

    tokens: read and written
    cost: US dollars; of models whose price is known
    calls: of tools
    seconds: how long it may take
    """

    tokens: Count | None = None
    cost: Positive | None = None
    calls: Count | None = None
    seconds: Span | None = None


@attrs.frozen(kw_only=True)
class JournalTable:
    """How much is kept of what agents have done. What is too much is let go when the program starts.

    keep: turns are kept for so long after their end
    size: and the oldest of them only while the journal has fewer bytes
    """

    keep: Span = Span(Retention().keep)
    size: Size = Size(Retention().size)

    def retention(self) -> Retention:
        return Retention(keep=self.keep, size=self.size)


@attrs.frozen(kw_only=True)
class ObserveTable:
    """What is shown while it works.

    verbose: steps, tools with their arguments and durations, tokens, cost; like `anima run -v`
    """

    verbose: bool = False


@attrs.frozen(kw_only=True)
class AgentFileTable:
    """A whole agent file.

    home: the folder in which agents keep what is theirs; in a tree, that of the tree file is taken, and its `[journal]`
    """

    home: Path = Path(".anima")
    agent: AgentTable
    llm: LlmTable
    tools: ToolsTable = ToolsTable()
    think: ThinkTable = ThinkTable()
    budget: BudgetTable = BudgetTable()
    retry: RetryTable = RetryTable()
    memory: MemoryTable = MemoryTable()
    journal: JournalTable = JournalTable()
    observe: ObserveTable = ObserveTable()
