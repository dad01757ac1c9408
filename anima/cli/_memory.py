"""`anima memory list|search|show|add|forget|export|import|undo CONFIG`: also while the agent runs."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import BinaryIO, TypeVar

import click
import trio

from anima.memory import AgentMemory, Memory, MemoryFault, Source, open_memory
from anima.store import StoreError

from ._configs import Config, agent_spec, configured
from ._journals import fail
from ._printer import one_line

T = TypeVar("T")

_AGENT = click.option("--agent", metavar="NAME", help="Whose memory, in a tree: its path, or the end of it.")


@click.group()
def memory() -> None:
    """Look at what an agent remembers, add to it, or take something out of it."""


def _with_memory(
    config: Config, agent: str | None, work: Callable[[AgentMemory], Awaitable[T]], *, looking: bool = False
) -> T:
    """Do something with the memory of an agent. Ends the program where that fails.

    `looking`: nothing is written, and where there is no memory yet none is made.
    """
    spec = agent_spec(config, agent)
    if spec.memory is None or spec.memory.path is None:
        fail(
            f"{spec.name} has no memory that lasts: think.auto_memory, or the tool remember, and memory.backend say so"
        )
    place, kept = spec.memory, spec.memory.path
    path = None if looking and not kept.exists() else kept

    async def main() -> T:
        async with open_memory(path, semantic=place.semantic) as memories:
            return await work(memories.of(spec.name, place.scopes))

    try:
        return trio.run(main)
    except (StoreError, MemoryFault) as error:
        fail(str(error))


def line(one: Memory) -> str:
    """One memory, for people."""
    key = f" [{one.key}]" if one.key else ""
    return f"{one.id:>6}  {one.at:%Y-%m-%d %H:%M}  {one.speaker or one.source.value}{key}: {one_line(one.text)}"


@memory.command("list")
@configured
@_AGENT
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, help="At most so many, the last first.")
def list_(config: Config, agent: str | None, limit: int) -> None:
    """List what it remembers, the last first."""
    for one in _with_memory(config, agent, lambda memory: memory.entries(limit=limit), looking=True):
        click.echo(line(one))


@memory.command()
@configured
@click.argument("query")
@_AGENT
@click.option("--limit", type=click.IntRange(1, 10_000), default=10, help="At most so many, the best first.")
def search(config: Config, query: str, agent: str | None, limit: int) -> None:
    """Recall what answers QUERY, as the agent itself would; the best first."""
    for found in _with_memory(config, agent, lambda memory: memory.recall(query, limit=limit), looking=True):
        click.echo(f"{found.score:.2f} {line(found.memory)}")


@memory.command()
@configured
@click.argument("id", type=int)
@_AGENT
def show(config: Config, id: int, agent: str | None) -> None:
    """Show one memory with its origin."""
    one = _with_memory(config, agent, lambda memory: memory.show(id), looking=True)
    if one is None:
        fail(f"there is no memory {id}")
    click.echo("".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in one.text))
    click.echo(
        f"\n{one.at:%Y-%m-%d %H:%M} UTC, from {one.speaker or one.source.value} ({one.trust.value}),"
        f" run {one.run or 'none'}, remembered {one.count} times",
        err=True,
    )


@memory.command()
@configured
@click.argument("text")
@_AGENT
@click.option("--key", help="A name to look it up by.")
@click.option("--scope", default="agent", metavar="team:NAME", help="Who knows it too: a scope that the agent shares.")
def add(config: Config, text: str, agent: str | None, key: str | None, scope: str) -> None:
    """Have it remember TEXT, as said by you."""

    async def work(memory: AgentMemory) -> Memory:
        return await memory.remember(text, key=key, scope=scope, source=Source.USER, speaker="user")

    one = _with_memory(config, agent, work)
    click.echo(f"remembered as memory {one.id}", err=True)


@memory.command()
@configured
@click.argument("which", metavar="ID|KEY")
@click.option("--key", "is_key", is_flag=True, help="It is a key, also where it looks like an id.")
@_AGENT
def forget(config: Config, which: str, is_key: bool, agent: str | None) -> None:
    """Have it forget one memory, or all notes of a key."""
    target = int(which) if which.isascii() and which.isdigit() and not is_key else which
    number = _with_memory(config, agent, lambda memory: memory.forget(target))
    if not number:
        fail(f"there is no memory {which!r} of its own")
    click.echo(f"forgot {number}", err=True)


@memory.command()
@configured
@_AGENT
def export(config: Config, agent: str | None) -> None:
    """Print all that it wrote, as lines of JSON; what others share with it is theirs."""

    async def work(memory: AgentMemory) -> None:
        async for text in memory.export_lines():  # read to its end: there is nothing to close
            click.echo(text)

    _with_memory(config, agent, work, looking=True)


@memory.command("import")
@configured
@click.argument("lines", type=click.File("rb"), default="-", metavar="[FILE]")
@_AGENT
def import_(config: Config, lines: BinaryIO, agent: str | None) -> None:
    """Have it remember what `export` printed, from FILE or standard input; with a mistake in it nothing."""
    try:
        text = lines.read().decode("utf-8-sig")
    except OSError as error:
        fail(f"{lines.name} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        fail(f"{lines.name} is not a text in UTF-8, at byte {error.start}; nothing was remembered")
    number = _with_memory(config, agent, lambda memory: memory.import_lines(text.split("\n")))
    click.echo(f"remembered {number}", err=True)


@memory.command()
@configured
@click.argument("run")
@_AGENT
def undo(config: Config, run: str, agent: str | None) -> None:
    """Take back everything that one run wrote."""
    number = _with_memory(config, agent, lambda memory: memory.undo(run))
    if not number:
        click.echo(f"run {run} has written nothing", err=True)
        sys.exit(1)
    click.echo(f"took back {number}", err=True)
