"""`anima chat CONFIG`.

The main thread belongs to the terminal: only there can a line be read with history and completion, and Ctrl-C reach
whoever reads. Trio runs in a thread of its own; what the agent does comes back through a queue.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import click
import trio

from anima.actors import ActorError
from anima.agents import AgentSpec, Answer, Run, StoreJournal, Task, TurnEvent, list_runs, tools_of
from anima.config import AgentFile, Tree
from anima.observe import Log
from anima.store import StoreError
from anima_supervisors import Event, SupervisorError, describe, leaves

from ._configs import agent_spec, read_config
from ._memory import line as memory_line
from ._printer import Printer, one_line
from ._progress import Progress
from ._runs import line as run_line
from ._session import Session, open_session
from ._signals import INTERRUPTED

T = TypeVar("T")

COMMANDS = {
    "/tools": "what the agent can use",
    "/memory": "what it remembers; with words after it, of these",
    "/runs": "what it has done in this home",
    "/help": "these commands",
    "/quit": "end the conversation; so does Ctrl-D",
}
PROMPT = "> "
#: The last lines that are kept from one conversation to the next.
KEPT_LINES = 1000
#: How long, in seconds, a stop may take that nobody waits for any more.
STOP_SECONDS = 15.0


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="CONFIG")
@click.option("--agent", metavar="NAME", help="Which agent of a tree is talked to: its path, or the end of it.")
@click.option("-v", "--verbose", is_flag=True, help="Show steps, tools, durations, tokens and costs on stderr.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set a key of the file, like llm.model=gpt-5.")
def chat(file: Path, agent: str | None, verbose: bool, sets: tuple[str, ...]) -> None:
    """Talk with the agent of CONFIG, line by line.

    Ctrl-C interrupts an answer and not the program; /quit or Ctrl-D ends it, /help lists what else there is.

    Exit status: 0 ended by you, 1 the agent is gone, 2 bad configuration.
    """
    config = read_config(file, sets)
    spec = agent_spec(file, config, agent)
    verbose = verbose or (isinstance(config, AgentFile) and config.verbose)
    printer = Printer(stream=True, verbose=verbose, redacted=spec.redacted)
    background = Background(config, agent, Log(sys.stderr, level="INFO" if verbose else "WARNING"))
    try:
        background.start()
    except KeyboardInterrupt:
        background.stop()
        sys.exit(INTERRUPTED)
    except (ActorError, StoreError, SupervisorError) as error:
        click.echo(f"anima: {error}", err=True)
        sys.exit(1)
    terminal = _Terminal(config.home / "chat_history")
    with terminal:
        status = _talk(background, terminal, printer)
        background.stop()
    sys.exit(status)


def _talk(background: Background, terminal: _Terminal, printer: Printer) -> int:
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
        if line.strip().startswith("/"):
            _command(line.strip(), background, printer)
        elif line.strip():
            try:
                answer = background.ask(Task(line, conversation), printer.show)
            except (ActorError, SupervisorError) as error:
                click.echo(f"anima: {error}", err=True)
                if not background.running:
                    return 1
            else:
                printer.finish(answer)


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


class Background:
    """The agent, and all that Trio runs, in a thread."""

    def __init__(self, config: AgentFile | Tree, agent: str | None, log: Log) -> None:
        self._owner = f"anima chat {config.file}"
        self._config = config
        self._agent = agent
        self._log = log
        self._thread = threading.Thread(target=self._run, name="anima-chat", daemon=True)
        self._started: Future[Session] = Future()
        self._token: trio.lowlevel.TrioToken | None = None
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._progress = Progress(sys.stderr)
        self._session: Session | None = None

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> Session:
        """Start everything; wait until the agent is up. Raises what starting raises."""
        self._thread.start()
        return self._started.result()

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:
            errors = [leaf for leaf in leaves(error) if not isinstance(leaf, trio.Cancelled)]
            deciding = errors[0] if errors else error
            if not self._started.done():
                self._started.set_exception(deciding)
            else:
                click.echo(f"anima: ended by {describe(deciding)}", err=True)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            async with open_session(self._config, self._agent, self._on_event, self._owner) as self._session:
                async with trio.open_nursery() as self._nursery:
                    self._started.set_result(self._session)
                    await self._progress.run()
        if not self._started.done():
            raise KeyboardInterrupt

    def _on_event(self, event: Event) -> None:
        if self._session is None or not self._session.told_by_turn(event):
            self._progress.clear()
            self._log(event)

    def ask(self, task: Task, show: Callable[[list[TurnEvent]], None]) -> Answer:
        """Give the agent a task and show what comes, in this thread. Ctrl-C ends the turn with what there is.

        Raises what `Session.ask` raises.
        """
        events: queue.SimpleQueue[list[TurnEvent] | None] = queue.SimpleQueue()
        answer: Future[Answer] = Future()
        self._in_trio(lambda: self._nursery_start(task, events, answer))
        while True:
            try:
                shown = events.get()
                if shown is None:
                    return answer.result()
                show(shown)
            except KeyboardInterrupt:
                self._in_trio(lambda: self._interrupt(task.id))

    def _interrupt(self, turn: str) -> None:
        assert self._session is not None
        self._session.home.interrupt(turn)

    def _nursery_start(self, task: Task, events: Any, answer: Future[Answer]) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(self._ask, task, events, answer)

    async def _ask(self, task: Task, events: Any, answer: Future[Answer]) -> None:
        async def show(some: list[TurnEvent]) -> None:
            self._progress.seen(some)
            events.put(some)

        assert self._session is not None
        try:
            answer.set_result(await self._session.ask(task, show))
        except Exception as error:
            deciding = next(leaves(error))
            answer.set_exception(deciding if isinstance(deciding, ActorError | SupervisorError) else error)
        finally:
            if not answer.done():
                answer.set_exception(SupervisorError("everything was stopped before there was an answer"))
            events.put(None)

    def do(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Do something on Trio's loop, and wait for it."""
        assert self._session is not None
        assert self._token is not None
        return trio.from_thread.run(work, self._session, trio_token=self._token)

    @property
    def spec(self) -> AgentSpec:
        """The agent that is talked to."""
        assert self._session is not None
        return self._session.spec

    def stop(self) -> None:
        """Stop everything in order, and wait for that."""
        self._in_trio(self._scope.cancel)
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join(STOP_SECONDS)

    def _in_trio(self, call: Callable[[], object]) -> None:
        if self._token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(call)


class _Terminal:
    """Reads lines, with history and completion where standard input is a terminal."""

    def __init__(self, history: Path) -> None:
        self._history = history
        self._readline: Any = None

    def __enter__(self) -> _Terminal:
        if sys.stdin is not None and sys.stdin.isatty():
            with contextlib.suppress(ImportError):
                import readline

                self._readline = readline
                readline.set_completer(self._complete)
                readline.set_completer_delims("")
                readline.parse_and_bind("tab: complete")
                readline.set_history_length(KEPT_LINES)
                with contextlib.suppress(OSError):
                    readline.read_history_file(self._history)
        return self

    def __exit__(self, *_: object) -> None:
        if self._readline is not None:
            try:
                self._history.parent.mkdir(parents=True, exist_ok=True)
                self._history.touch(0o600)
                self._readline.write_history_file(self._history)
            except OSError as error:
                click.echo(f"anima: the history of this conversation is not kept: {error}", err=True)

    def welcome(self, text: str) -> None:
        """The first line of a conversation, for people."""
        if self._readline is not None:
            click.echo(text, err=True)

    def _complete(self, text: str, state: int) -> str | None:
        found = [command for command in COMMANDS if command.startswith(text)] if text.startswith("/") else []
        return found[state] if state < len(found) else None

    def read(self) -> str | None:
        """The next line; None at the end. Raises KeyboardInterrupt."""
        if sys.stdin is None:
            return None
        if not sys.stdin.isatty():
            line = sys.stdin.readline()
            return line.rstrip("\n") if line else None
        try:
            return input(PROMPT)
        except EOFError:
            click.echo("")
            return None
