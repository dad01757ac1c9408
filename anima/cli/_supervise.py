"""`anima supervise tree.toml`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import click
import trio

from anima.actors import open_system
from anima.agents import Home, open_home
from anima.config import BadValue, Tree, notes, outline, parse_duration
from anima.observe import JsonLines, LiveView, Log, Summary
from anima.store import StoreError
from anima_supervisors import Event, Supervisor, SupervisorError, describe, leaves

from ._configs import SETS, complain, read_config
from ._signals import INTERRUPTED, Interrupts, leave

#: How often, in seconds, the live view looks at the tree.
LOOK_EVERY = 0.25
#: After so many seconds a task that holds up the loop is named.
BLOCKED_SECONDS = 0.5
#: How long, in seconds, the end of the program waits for a terminal or pipe that takes nothing.
OUTPUT_SECONDS = 0.7


class DurationType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2 only
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_duration(value)
        except BadValue as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="TREE.TOML")
@click.option("--check", is_flag=True, help="Check the file and draw the tree; start nothing.")
@click.option("--for", "seconds", type=DurationType(), metavar="DURATION", help="Stop after this time, like 10s or 5m.")
@click.option("--events", type=click.Path(path_type=Path), metavar="FILE", help="Append every event as a line of JSON.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="The log on stderr.")
@click.option("-v", "--verbose", is_flag=True, help="Log starts, requests to stop and the output of processes too.")
@SETS
def supervise(
    file: Path,
    check: bool,
    seconds: float | None,
    events: Path | None,
    log_format: str,
    verbose: bool,
    sets: tuple[str, ...],
) -> None:
    """Run the supervision tree that TREE.TOML describes.

    The log goes to stderr; on a terminal with a live view of the tree below it. At the end a summary goes to stdout.
    Ctrl-C or SIGTERM stops the tree in order; a second one leaves at once.

    Exit status: 0 stopped, 1 the root gave up or did not start, 2 bad configuration, 130 interrupted twice.
    """
    try:
        tree = read_config(file, sets)
        if not isinstance(tree, Tree):
            complain(file, ["this is the file of one agent: `anima run` or `anima chat` is for that"])
        writer = None if events is None or check else JsonLines(events)
    except OSError as error:
        click.echo(f"anima: --events {events}: {error.strerror}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("anima: interrupted; nothing was started", err=True)
        sys.exit(INTERRUPTED)
    if check:
        _check(tree)
        return
    log = Log(sys.stderr, level="DEBUG" if verbose else "INFO", json_format=log_format == "json")
    run = _Run(tree, seconds, writer, log)
    status = trio.run(run.main)
    run.interrupts.leave_trio()
    writing = threading.Thread(target=run.finish, daemon=True)
    writing.start()
    writing.join(OUTPUT_SECONDS)
    # Not sys.exit: it would wait for a stream that a paused terminal or a full pipe holds up in another thread.
    leave(INTERRUPTED if run.interrupts.count > 1 else status)


def _check(tree: Tree) -> None:
    try:
        click.echo(outline(tree))
    except OSError as error:
        click.echo(f"anima: cannot write the drawing: {error.strerror}", err=True)
        sys.exit(1)
    for note in notes(tree):
        click.echo(f"note: {note}", err=True)


class _Run:
    """One run of a tree, from the first start to the exit status."""

    def __init__(self, tree: Tree, seconds: float | None, writer: JsonLines | None, log: Log) -> None:
        self._tree = tree
        self._seconds = seconds
        self._writer = writer
        self._log = log
        self._summary = Summary(tree.root)
        self._view = LiveView(sys.stderr, log) if sys.stderr.isatty() else None
        self._broken: set[str] = set()
        self._scope = trio.CancelScope()
        self._supervisor: Supervisor | None = None
        self._home: Home | None = None
        self._error: BaseException | None = None
        self.interrupts = Interrupts(lambda _: self._stop(), self._scope.cancel, self._acknowledge)

    async def main(self) -> int:
        """The exit status."""
        self.interrupts.watch()
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    if self._seconds is not None:
                        nursery.start_soon(self._stop_after, self._seconds)
                    await self._supervise()
                    nursery.cancel_scope.cancel()
        except BaseException as error:
            self._error = _deciding(error)
            if self._error is None:
                raise
        match self._error:
            case None:
                return 0
            case SystemExit(code=code):
                return code if isinstance(code, int) else int(code is not None)
            case KeyboardInterrupt():
                return INTERRUPTED
            case _:
                return 1

    async def _supervise(self) -> None:
        tree = self._tree
        async with (
            open_home(
                tree.home if tree.agents else None,
                name=tree.root,
                owner=f"anima supervise {tree.file}",
                budgets=tree.budgets,
                retention=tree.retention,
            ) as self._home,
            open_system(
                tree.in_home(self._home), name=tree.root, on_event=self._on_event, watchdog=BLOCKED_SECONDS
            ) as system,
        ):
            supervisor = self._supervisor = system.supervisor
            # The end of the tree cancels this block, so the view lives through the stop.
            while True:
                if self._view is not None:
                    self._view.show(supervisor.snapshot(), self._home.budgets.status())
                await trio.sleep(LOOK_EVERY if self._view is not None else 3600)

    async def _stop_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self._stop()

    def _stop(self) -> None:
        if self._home is not None:
            self._home.park()
        if self._supervisor is not None:
            self._supervisor.stop()
        else:
            self._scope.cancel(reason="interrupted during the start")

    def _acknowledge(self, _: int) -> None:
        """In a thread of its own: the stop was heard, whatever holds up the loop."""
        self._guarded("the log", self._log.say, "anima: stopping in order; a second signal leaves at once", "INFO")

    # Output: in other threads than Trio's, each on its own account

    def _on_event(self, event: Event) -> None:
        """In the hook's thread: what blocks here delays nothing else."""
        self._summary.add(event)  # first: whatever the outputs do, the numbers are right
        if self._view is not None:
            self._guarded("the live view", self._view, event)
        if self._writer is not None:
            self._guarded("--events", self._writer, event)
        self._guarded("the log", self._log, event)

    def _guarded(self, name: str, output: Callable[..., object], *args: object) -> None:
        """Call an output, unless it has failed before: one that is broken must not silence the others."""
        if name in self._broken:
            return
        try:
            output(*args)
        except (OSError, ValueError) as error:  # no disk, no reader, closed
            self._broken.add(name)
            if name not in ("the log", "the summary"):
                text = f"anima: {name} has failed and is left out: {describe(error)}"
                self._guarded("the log", self._log.say, text)

    def finish(self) -> None:
        """Everything that is written at the end."""
        if self._view is not None:
            self._guarded("the live view", self._view.stop)
        if self._writer is not None:
            self._guarded("--events", self._writer.close)
        match self._error:
            case SystemExit(code=str(text)):
                self._guarded("the log", self._log.say, text)
            case SupervisorError() | StoreError() as error:
                self._guarded("the log", self._log.say, f"anima: {error}")
            case BaseException() as error if not isinstance(error, SystemExit | KeyboardInterrupt):
                self._guarded("the log", self._log.say, f"anima: ended by {describe(error)}")
        self._guarded("the summary", self._print_summary)

    def _print_summary(self) -> None:
        if sys.stdout is not None:
            for line in self._summary.lines():
                print(line)
            sys.stdout.flush()


def _deciding(error: BaseException) -> BaseException | None:
    """The error that decides the exit status: a SystemExit before all others; cancellations were for us."""
    errors = [leaf for leaf in leaves(error) if not isinstance(leaf, trio.Cancelled)]
    return min(errors, key=lambda leaf: not isinstance(leaf, SystemExit), default=None)
