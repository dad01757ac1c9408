"""`anima chat CONFIG`.

The main thread belongs to the terminal: only there can a line be read with history and completion, and Ctrl-C reach
whoever reads. Trio runs in a thread of its own; what the agent does comes back through a queue.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import trio

from anima.actors import ActorError
from anima.agents import Run, StoreJournal, Task, list_runs, tools_of
from anima.config import AgentFile
from anima.memory import MemoryFault
from anima.observe import Log
from anima.store import StoreError
from anima_supervisors import SupervisorError

from ._background import Background, NotHeard
from ._configs import read_config, resume_command, spec_at, whole_path
from ._memory import line as memory_line
from ._printer import Printer, one_line
from ._runs import line as run_line
from ._session import Session
from ._signals import INTERRUPTED, PARKED, leave
from ._terminal import Terminal

COMMANDS = {
    "/tools": "what the agent can use",
    "/memory": "what it remembers; with words after it, of these",
    "/runs": "what it has done in this home",
    "/help": "these commands",
    "/quit": "end the conversation; so does Ctrl-D",
}


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="CONFIG")
@click.option("--agent", metavar="NAME", help="Which agent of a tree is talked to: its path, or the end of it.")
@click.option("-v", "--verbose", is_flag=True, help="Show steps, tools, durations, tokens and costs on stderr.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set a key of the file, like llm.model=gpt-5.")
def chat(file: Path, agent: str | None, verbose: bool, sets: tuple[str, ...]) -> None:
    """Talk with the agent of CONFIG, line by line.

    Ctrl-C interrupts an answer and not the program; /quit or Ctrl-D ends it, /help lists what else there is. SIGTERM,
    or a terminal that is closed, parks what the agent is doing.

    Exit status: 0 ended by you, 1 the agent is gone, 2 bad configuration, 130 left by Ctrl-C, 143 told to go.
    """
    config = read_config(file, sets)
    path = whole_path(config, agent)
    spec = spec_at(config, path)
    verbose = verbose or (isinstance(config, AgentFile) and config.verbose)
    printer = Printer(stream=True, verbose=verbose, redacted=spec.redacted)
    background = Background(config, path, Log(sys.stderr, level="INFO" if verbose else "WARNING"))
    try:
        background.start()
    except KeyboardInterrupt:
        background.stop()
        sys.exit(INTERRUPTED)
    except (ActorError, StoreError, SupervisorError) as error:
        click.echo(f"anima: {error}", err=True)
        sys.exit(1)
    terminal = Terminal(config.home / "chat_history", COMMANDS)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` leaves it
            signal.signal(number, _go)
    status = PARKED
    try:
        with terminal:
            status = _talk(background, terminal, printer)
    except NotHeard:
        click.echo("anima: something holds up the agent; leaving at once", err=True)
        leave(INTERRUPTED)
    finally:
        background.stop()
        if status == PARKED and (id := background.parked) is not None:
            click.echo(f"anima: run {id} is parked: `{resume_command(file, sets, id)}` goes on", err=True)
    sys.exit(status)


def _go(*_: object) -> None:
    """At SIGTERM, and when the terminal is closed."""
    sys.exit(PARKED)


def _talk(background: Background, terminal: Terminal, printer: Printer) -> int:
    conversation = f"chat-{Task('').id}"
    spec = background.spec
    terminal.welcome(f"{spec.name} ({spec.model.name}). /help lists the commands, Ctrl-D ends the conversation.")
    while True:
        try:
            line = terminal.read()
        except KeyboardInterrupt:
            click.echo("\n(/quit or Ctrl-D ends the conversation)", err=True)
            continue
        if line is None or line.strip() == "/quit":
            return 0
        try:
            if line.strip().startswith("/"):
                _command(line.strip(), background, printer)
            elif line.strip():
                printer.finish(background.ask(Task(line, conversation), printer.show))
        except KeyboardInterrupt:
            click.echo("", err=True)
        except (ActorError, SupervisorError, StoreError, MemoryFault, trio.RunFinishedError) as error:
            click.echo(f"anima: {error}", err=True)
            if not background.running:
                return 1


def _command(command: str, background: Background, printer: Printer) -> None:
    match command:
        case "/tools":
            for tool in tools_of(background.spec):
                parameters = ", ".join(tool.input_schema.get("properties", {}))
                printer.print_line(f"{tool.name}({parameters}) {tool.effect.value}: {one_line(tool.description)}")
        case "/runs":
            for run in background.do(lambda session: _runs_of(session)):
                printer.print_line(run_line(run))
        case _ if command.startswith("/memory"):
            for text in background.do(lambda session: _memories_of(session, command.removeprefix("/memory").strip())):
                printer.print_line(text)
        case "/help":
            for name, text in COMMANDS.items():
                printer.print_line(f"{name:8}{text}")
        case _:
            click.echo(f"there is no {command}; there are: {', '.join(COMMANDS)}", err=True)


async def _runs_of(session: Session) -> Sequence[Run]:
    journal = session.home.journal
    return await list_runs(journal.store) if isinstance(journal, StoreJournal) else ()


async def _memories_of(session: Session, words: str) -> list[str]:
    spec = session.spec
    if spec.memory is None:
        return ["it has no memory: think.auto_memory, or the tool remember, gives it one"]
    memory = await session.home.memory(spec.memory, spec.name)
    found = [one.memory for one in await memory.recall(words)] if words else await memory.entries(limit=20)
    return [memory_line(one) for one in found] or ["nothing"]
