"""`anima supervise tree.toml`."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import click
import trio

from anima.config import BadValue, ConfigError, Tree, load_tree, notes, outline, parse_duration
from anima.observe import JsonLines, LiveView, Log, Summary
from anima_supervisors import Event, Supervisor, SupervisorError, describe, open_supervisor

from ._signals import INTERRUPTED, Interrupts

#: How often, in seconds, the live view looks at the tree.
LOOK_EVERY = 0.25
#: How long, in seconds, the end of the program waits for a terminal or pipe that takes nothing.
OUTPUT_SECONDS = 1.0


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
@click.option("-v", "--verbose", is_flag=True, help="Log stops and the output of processes too.")
def supervise(
    file: Path, check: bool, seconds: float | None, events: Path | None, log_format: str, verbose: bool
) -> None:
    """Run the supervision tree that TREE.TOML describes.

    The log goes to stderr; on a terminal with a live view of the tree below it. At the end a summary goes to stdout.
    Ctrl-C or SIGTERM stops the tree in order; a second one leaves at once.

    Exit status: 0 stopped, 1 the root gave up or did not start, 2 bad configuration, 130 interrupted twice.
    """
    try:
        tree = load_tree(file)
        writer = None if events is None or check else JsonLines(events)
    except ConfigError as error:
        click.echo(f"anima: {file} cannot be used:", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        sys.exit(2)
    except OSError as error:
        click.echo(f"anima: --events {events}: {error.strerror}", err=True)
        sys.exit(2)
    if check:
        _check(tree)
        return
    run = _Run(tree, seconds, writer, Log(sys.stderr, verbose=verbose, json_format=log_format == "json"))
    _leave(run, trio.run(run.main))


def _check(tree: Tree) -> None:
    click.echo(outline(tree))
    for note in notes(tree):
        click.echo(f"note: {note}", err=True)


class _Run:
    """One run of a tree, from the first start to the exit status."""

    def __init__(self, tree: Tree, seconds: float | None, writer: JsonLines | None, log: Log) -> None:
        self._tree = tree
        self._seconds = seconds
        self._writer = writer
        self._log = log
        self._view = LiveView(sys.stderr, log) if sys.stderr.isatty() else None
        self._scope = trio.CancelScope()
        self._supervisor: Supervisor | None = None
        self._interrupts = Interrupts(self._stop, self._scope.cancel)
        self.summary = Summary(tree.root)
        self.error: BaseException | None = None

    async def main(self) -> int:
        with self._interrupts.caught():
            try:
                with self._scope:
                    await self._supervise()
            except* (SupervisorError, SystemExit, KeyboardInterrupt) as group:
                self.error = _first(group)
        if self._interrupts.count > 1:
            return INTERRUPTED
        match self.error:
            case None:
                return 0
            case SystemExit(code=code):
                return code if isinstance(code, int) else int(code is not None)
            case KeyboardInterrupt():
                return INTERRUPTED
            case _:
                return 1

    async def _supervise(self) -> None:
        async with (
            open_supervisor(self._tree.spec, name=self._tree.root, on_event=self._on_event) as supervisor,
            trio.open_nursery() as nursery,
        ):
            self._supervisor = supervisor
            if self._seconds is not None:
                nursery.start_soon(self._stop_after, self._seconds)
            # The end of the tree cancels this block, so the view lives through the stop.
            while True:
                if self._view is not None:
                    self._view.show(supervisor.snapshot())
                await trio.sleep(LOOK_EVERY if self._view is not None else 3600)

    async def _stop_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self._stop()

    def _stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.stop()
        else:
            self._scope.cancel(reason="interrupted during the start")

    def _on_event(self, event: Event) -> None:
        """In the hook's thread: what blocks here delays nothing else."""
        if self._view is not None:
            self._view.start()
        if self._writer is not None:
            self._writer(event)
        self._log(event)
        self.summary.add(event)

    def finish(self) -> None:
        """Everything that is written at the end."""
        if self._view is not None:
            self._view.stop()
        if self._writer is not None:
            self._writer.close()
        if self.error is not None and not isinstance(self.error, SystemExit):
            click.echo(f"anima: {describe(self.error)}", err=True)
        for line in self.summary.lines():
            click.echo(line)
        sys.stdout.flush()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that decides the exit status: a SystemExit before all others."""
    errors: list[BaseException] = []
    todo: list[BaseException] = [group]
    while todo:
        error = todo.pop(0)
        if isinstance(error, BaseExceptionGroup):
            todo += error.exceptions
        else:
            errors.append(error)
    return min(errors, key=lambda error: not isinstance(error, SystemExit))


def _leave(run: _Run, status: int) -> None:
    """Write what is to be written and exit; without it where nobody reads: a paused terminal must not hold us."""
    writing = threading.Thread(target=run.finish, daemon=True)
    writing.start()
    writing.join(OUTPUT_SECONDS)
    if writing.is_alive():
        os._exit(status)
    sys.exit(status)
