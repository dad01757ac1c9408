"""`anima run CONFIG TASK`."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

import click
import trio

from anima.actors import ActorError
from anima.agents import Answer, Run, StopReason, Task, TurnEvent
from anima.config import AgentFile, Tree
from anima.observe import Log
from anima.store import StoreError
from anima_supervisors import Event, SupervisorError, describe, leaves

from ._configs import (
    BAD_CONFIGURATION,
    FILE,
    SETS,
    Config,
    complain,
    read_config,
    resume_command,
    spec_at,
    whole_path,
)
from ._journals import read_runs
from ._printer import Printer, failure_object
from ._progress import Progress
from ._session import Session, open_session
from ._signals import INTERRUPTED, PARKED, Interrupts, leave

ANSWERED, FAILED, AT_A_LIMIT = 0, 1, 3
#: How often, in seconds, it is looked whether somebody does not want to wait for the output any more.
LOOK_EVERY = 0.1
#: What runs when it is parked has so many seconds to end.
GRACE = 5.0


@click.command()
@FILE
@click.argument("task", required=False)
@click.option(
    "--resume",
    "resume",
    is_flag=False,
    flag_value="",
    metavar="[ID]",
    help="Go on with a run that was cut off: ID, or the last one.",
)
@click.option("--agent", metavar="NAME", help="Which agent of a tree is asked: its path, or the end of it.")
@click.option("-v", "--verbose", is_flag=True, help="Show steps, tools, durations, tokens and costs on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the answer's text.")
@click.option("--no-stream", is_flag=True, help="Print the final answer alone, when it is there.")
@SETS
def run(
    file: Path,
    task: str | None,
    resume: str | None,
    agent: str | None,
    verbose: bool,
    as_json: bool,
    no_stream: bool,
    sets: tuple[str, ...],
) -> None:
    """Give the agent of CONFIG a TASK and print its answer; `-` reads the task from standard input.

    CONFIG describes an agent, or a tree of which --agent is asked; the tree stops in order afterwards. The answer is
    streamed to stdout, everything else goes to stderr. Ctrl-C ends the task with what there is; a second one leaves.

    What happens is kept: a run that was cut off by a crash or a kill goes on by --resume, from its last step. SIGTERM
    parks it for that: no further step is begun, and what runs has a few seconds to end.

    Exit status: 0 answered, 1 failed, 2 bad configuration, 3 stopped at a limit with a partial answer, 130 interrupted
    by Ctrl-C, 143 told to go by SIGTERM: what had begun is parked.
    """
    config = read_config(file, sets)
    if (task is None) == (resume is None):
        complain(file, ["give either a TASK or --resume"])
    if task is not None:
        path, work = whole_path(config, agent), _alone(_task(task))
    else:
        path, work = _unfinished(config, agent, resume or "")
    spec = spec_at(config, path)
    verbose = verbose or (isinstance(config, AgentFile) and config.verbose)
    shaped = spec.output is not None  # only the last try is the answer
    printer = Printer(stream=not (as_json or no_stream or shaped), verbose=verbose, redacted=spec.redacted)
    run = _Run(config, path, work, printer, verbose, resume_command(file, sets, work.id))
    with contextlib.redirect_stdout(sys.stderr):  # what tools print is no part of the answer
        status = trio.run(run.main)
    run.interrupts.leave_trio()
    interrupted = run.interrupts.count
    writing = threading.Thread(target=run.finish, args=(as_json,), daemon=True)
    writing.start()
    waits = 0.0
    while writing.is_alive() and (run.parking or run.interrupts.count == interrupted) and waits < GRACE:
        writing.join(LOOK_EVERY)  # however slow the reader is: another interrupt ends it; told to go, it has its time
        waits += LOOK_EVERY if run.parking else 0.0
    if writing.is_alive() and run.parking:
        print("anima: the answer was not taken in time; `anima runs show` has it", file=sys.stderr)
        run.written = FAILED
    # Not sys.exit: it would wait for a stream that a paused terminal or a full pipe holds up in another thread.
    leave(run.interrupted or max(status, run.written))


def _alone(text: str) -> Task:
    """A task that is a conversation of its own: what was asked by earlier commands is none of it."""
    task = Task(text)
    return Task(text, _own_conversation(task.id), task.id)


def _own_conversation(id: str) -> str:
    return f"run-{id}"


def _unfinished(config: Config, agent: str | None, id: str) -> tuple[str, Task]:
    """The agent and the run that is to be gone on with, or the end of the program."""
    runs = [run for run in read_runs(config) if run.id.startswith(id) and _is_of(config, run)]
    if agent is not None or not (id or isinstance(config, Tree)):
        path = whole_path(config, agent)
        runs = [run for run in runs if run.agent == path]
    open_runs = [run for run in runs if run.state == "open"]
    exact = [run for run in open_runs if run.id == id]
    if id and not exact and len(open_runs) > 1:
        _no_run(f"there are several runs {id!r} that were cut off: {', '.join(run.id for run in open_runs)}")
    if not open_runs:
        ended = next((f"; {run.id} is {run.state}" for run in reversed(runs) if id), "")
        _no_run(f"there is no run{f' {id!r}' if id else ''} that was cut off{ended}")
    mine = [run for run in open_runs if run.conversation == _own_conversation(run.id)]  # not those of others for them
    found = (exact or (not id and mine) or open_runs)[-1]
    return found.agent, Task("", found.conversation, found.id)


def _is_of(config: Config, run: Run) -> bool:
    """Whether there is an agent for it still."""
    try:
        return spec_at(config, run.agent) is not None
    except LookupError:
        return False


def _no_run(text: str) -> NoReturn:
    click.echo(f"anima: {text}", err=True)
    sys.exit(BAD_CONFIGURATION)


def _task(task: str) -> str:
    if task != "-":
        text = task
    elif sys.stdin is None:
        text = ""
    else:
        try:
            text = sys.stdin.buffer.read().decode("utf-8", "replace")
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
    if not text.strip():
        click.echo("anima: the task is empty", err=True)
        sys.exit(BAD_CONFIGURATION)
    return text


class _Run:
    """One task, from the start of its agent to the exit status."""

    def __init__(
        self, config: Config, path: str, task: Task, printer: Printer, verbose: bool, resume_command: str
    ) -> None:
        self._config = config
        self._path = path
        self._task = task
        self._resume_command = resume_command
        self._printer = printer
        self._progress = Progress(sys.stderr)
        self._log = Log(sys.stderr, level="INFO" if verbose else "WARNING")
        self._scope = trio.CancelScope()
        self._told_to_go = trio.Event()
        #: standard output does not take anything any more
        self._unwritable: Exception | None = None
        self._session: Session | None = None
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        #: the status that writing the answer adds
        self.written = ANSWERED
        self.interrupts = Interrupts(self._interrupt, self._scope.cancel, self._acknowledge)

    async def main(self) -> int:
        """The exit status."""
        self.interrupts.watch()
        try:
            with self._scope:
                async with trio.open_nursery() as outer:
                    outer.start_soon(self._park)
                    async with open_session(
                        self._config, self._path, self._on_event, f"anima run {self._config.file}"
                    ) as self._session:
                        async with trio.open_nursery() as nursery:
                            nursery.start_soon(self._progress.run)
                            self._answer = await self._session.ask(self._task, self._show)
                            nursery.cancel_scope.cancel()
                    outer.cancel_scope.cancel()
        except BaseException as error:
            self._error = next((leaf for leaf in leaves(error) if not isinstance(leaf, trio.Cancelled)), None)
            if self._error is None:
                raise
        if isinstance(self._error, SystemExit):
            return self._error.code if isinstance(self._error.code, int) else FAILED
        if self._answer is None or self._error is not None:
            return FAILED
        if self._answer.complete:
            return ANSWERED
        return AT_A_LIMIT if self._answer.stop_reason.at_a_limit else FAILED

    async def _show(self, events: list[TurnEvent]) -> None:
        self._progress.seen(events)
        if self._unwritable is None:
            try:
                # Not left alone when it is cancelled: what it has printed would be printed again.
                await trio.to_thread.run_sync(self._printer.show, events)
            except (OSError, ValueError) as error:  # nobody reads on, or there is no room: the run can be gone on with
                self._unwritable = error
                self._told_to_go.set()

    @property
    def interrupted(self) -> int | None:
        """The exit status of a run that was cut short; None if it ended by itself."""
        if self.parking:
            ended = self._error is not None or (self._answer is not None and not self._parked)
            return None if ended else PARKED
        return INTERRUPTED if self.interrupts.count else None

    @property
    def parking(self) -> bool:
        """Whether it was told to go."""
        return self.interrupts.count == 1 and self.interrupts.first != signal.SIGINT

    @property
    def _parked(self) -> bool:
        if self._answer is None:  # cut off when it had had its time
            return self.parking and self._session is not None and self._error is None
        return self._answer.stop_reason is StopReason.SUPERVISOR_SHUTDOWN

    async def _park(self) -> None:
        """When it is told to go: leave the turns as they are, also those of others in the tree."""
        await self._told_to_go.wait()
        assert self._session is not None
        self._session.home.park()
        await trio.sleep(GRACE)
        self._session.home.park(at_once=True)
        await trio.sleep(GRACE)
        timer = threading.Timer(GRACE, self._leave)  # should it wait for somebody who does not read what it writes
        timer.daemon = True
        timer.start()
        self._scope.cancel(reason="it had had its time")

    def _leave(self) -> None:
        """In a thread of its own: what is on the disk is all that is needed to go on."""
        print(f"anima: {self._told()}", file=sys.stderr, flush=True)
        leave(PARKED)

    def _interrupt(self, number: int) -> None:
        """End the turn with what there is, or park it; before it has begun, end everything."""
        if self._session is None:
            self._scope.cancel(reason="interrupted before the agent was there")
        elif number != signal.SIGINT:
            self._told_to_go.set()
        elif not self._session.home.interrupt(self._task.id):
            self._scope.cancel(reason="interrupted before the turn had begun")

    def _acknowledge(self, number: int) -> None:
        """In a thread of its own: the signal was heard, whatever holds up the loop."""
        self._progress.clear()
        what = "interrupted; a second Ctrl-C" if number == signal.SIGINT else "stopping; a second signal"
        print(f"\nanima: {what} leaves at once", file=sys.stderr, flush=True)

    def _on_event(self, event: Event) -> None:
        """In the hook's thread."""
        if self._session is None or not self._session.told_by_turn(event):
            self._progress.clear()
            self._printer.make_room()
            self._log(event)

    def finish(self, as_json: bool) -> None:
        """Everything that is written at the end."""
        self._progress.clear()
        text = self._told()
        try:
            if self._answer is not None and not as_json:
                self._printer.finish(self._answer)
            elif self._answer is not None:
                self._printer.print_line(self._printer.result(self._answer))
            elif as_json:
                self._printer.print_line(
                    failure_object(text or "interrupted before there was an answer", self._task.id)
                )
        except BrokenPipeError:  # whoever read has gone
            self.written = FAILED
        except (OSError, ValueError) as error:
            self.written = FAILED
            what = f"the answer cannot be written: {describe(error)}"
            text = f"{what}; {text}" if text else f"{what}; `anima runs show` has it"
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if text:
                print(f"anima: {text}", file=sys.stderr)

    def _told(self) -> str:
        """What is to be said of the error that ended it, or of how to go on."""
        if self._parked:
            return f"run {self._task.id} is parked: `{self._resume_command}` goes on"
        if self.interrupted == PARKED:
            return "told to go before the run had begun"
        match self._error:
            case None | BrokenPipeError():
                return ""
            case ActorError() | StoreError() | SupervisorError() as error:
                text = str(error)
            case error:
                text = f"ended by {describe(error)}"
        return spec_at(self._config, self._path).redacted(text)
