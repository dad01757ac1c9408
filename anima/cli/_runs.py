"""`anima runs list|show|resume|cancel|settle|forget CONFIG`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import click

from anima.agents import (
    Compacted,
    Entry,
    ModelAnswered,
    ModelCalled,
    ModelFailed,
    NotInDoubt,
    Run,
    ToolAnswered,
    ToolCalled,
    TurnBegan,
    TurnEnded,
    end_run,
    forget_run,
    read_run,
    settle_step,
)
from anima.llm import redacted
from anima.store import Store

from ._configs import FILE, SETS, Config, configured, spec_at
from ._journals import fail, find_run, in_journal, read_runs
from ._printer import one_line

ID = click.argument("id", metavar="ID")


@click.group()
def runs() -> None:
    """What agents have done. ID is that of a run, or its beginning."""


@runs.command("list")
@configured
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each run, on a line of its own.")
def list_(config: Config, as_json: bool) -> None:
    """List all runs of an agent or a tree, the oldest first."""
    for run in read_runs(config):
        redacted_of = redaction(config, run.agent)
        click.echo(as_object(run, redacted_of) if as_json else line(run, redacted_of))


def as_object(run: Run, redacted: Callable[[str], str]) -> str:
    """One run, for programs."""
    return json.dumps({**attrs.asdict(run), "error": run.error and redacted(run.error)})


def line(run: Run, redacted: Callable[[str], str] = redacted) -> str:
    """One run, for people."""
    state = run.stop_reason or run.state
    error = f"  {one_line(redacted(run.error))}" if run.error else ""
    return f"{run.id}  {_when(run.began)}  {run.agent}  {state}  {run.attempts} attempts{error}"


@runs.command()
@configured
@ID
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each record, on a line of its own.")
def show(config: Config, id: str, as_json: bool) -> None:
    """Show the steps of a run: with times, tokens, arguments and results."""
    run = find_run(config, id)
    nothing: tuple[Entry, ...] = ()
    entries = in_journal(config, lambda store: read_run(store, run.id), nothing)
    redacted_of = redaction(config, run.agent)
    if as_json:
        for entry in entries:
            kind = type(entry.record).__name__
            fields = attrs.asdict(entry.record, value_serializer=lambda _, __, value: _plain(value, redacted_of))
            click.echo(json.dumps({"time": entry.time, "record": kind, **fields}))
        return
    click.echo(line(run, redacted_of))
    for text in _steps(entries, redacted_of):
        click.echo(text)


def redaction(config: Config, agent: str) -> Callable[[str], str]:
    """How the secrets of an agent are taken out, also of one that is not in the configuration any more."""
    try:
        return spec_at(config, agent).redacted
    except LookupError:
        return redacted


def _plain(value: Any, redacted: Callable[[str], str]) -> Any:
    value = getattr(value, "value", value)
    return redacted(value) if isinstance(value, str) else value


def _steps(entries: tuple[Entry, ...], redacted: Callable[[str], str]) -> Iterator[str]:
    def shown(text: str) -> str:
        return one_line(redacted(text))

    for entry in entries:
        at = _when(entry.time)
        match entry.record:
            case TurnBegan(task=task):
                yield f"{at}       task: {shown(task)}"
            case ModelCalled(step=step, told=told):
                news = "; ".join(f"{one.why.value}: {shown(one.text)}" for one in told if one.why.value != "task")
                yield f"{at}  {step:>3}  the model is asked{f' ({news})' if news else ''}"
            case ModelAnswered(step=step, message=message, finish=finish, cost=cost):
                usage = finish.usage
                price = "" if cost is None else f", ${cost:.4f}"
                calls = "".join(f" [{call.name} {shown(call.arguments)}]" for call in message.calls)
                tokens = f"{usage.input_tokens} + {usage.output_tokens} tokens{price}"
                yield f"{at}  {step:>3}  it says: {shown(message.text)}{calls} ({tokens})"
            case ModelFailed(step=step, text=text):
                yield f"{at}  {step:>3}  it could not answer: {shown(text)}"
            case ToolCalled(step=step, tool=tool, effect=effect):
                yield f"{at}  {step:>3}  {tool} is run ({effect.value})"
            case ToolAnswered(step=step, result=result):
                word = "failed" if result.failed else "gave"
                yield f"{at}  {step:>3}  {result.name} {word}: {shown(result.content)}"
            case Compacted(step=step, messages=messages):
                yield f"{at}  {step:>3}  the first {messages} messages before were summarized"
            case TurnEnded(stop_reason=reason, text=text):
                yield f"{at}       ended with {reason.value}: {shown(text)}"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def _not_ended(config: Config, id: str) -> Run:
    run = find_run(config, id)
    if run.state == "ended":
        fail(f"run {run.id} has ended already, with {run.stop_reason}")
    return run


@runs.command()
@configured
@ID
def cancel(config: Config, id: str) -> None:
    """End a run that was cut off, so that nobody goes on with it. Not while a program works on it."""
    run = _not_ended(config, id)
    in_journal(config, lambda store: end_run(store, run.id, time.time()), None, owner="anima runs cancel")
    click.echo(f"run {run.id} is cancelled", err=True)


@runs.command()
@configured
@ID
@click.argument("step", type=int)
@click.argument("outcome", type=click.Choice(["done", "not-done"]))
@click.option("--note", default="", help="What the agent has to know beside.")
def settle(config: Config, id: str, step: int, outcome: str, note: str) -> None:
    """Say of a STEP that was cut off whether it took effect, so that its run can go on: for `on_doubt = "ask"`.

    Not while a program works with this journal: stop it first.
    """
    run = _not_ended(config, id)

    async def work(store: Store) -> None:
        await settle_step(store, run.id, step, took_effect=outcome == "done", note=note)

    try:
        in_journal(config, work, None, owner="anima runs settle")
    except NotInDoubt as error:
        fail(str(error))
    click.echo(f"step {step} is settled: run {run.id} can be resumed", err=True)


@runs.command()
@configured
@ID
def forget(config: Config, id: str) -> None:
    """Take a run out of the journal for good: one that cannot be read, or that nobody is to read.

    Its conversation goes on without it. What it has written into memory stays: see `anima memory undo`.
    """
    run = find_run(config, id)
    in_journal(config, lambda store: forget_run(store, run.id), None, owner="anima runs forget")
    click.echo(f"run {run.id} is forgotten", err=True)


@runs.command()
@FILE
@click.argument("id", metavar="[ID]", required=False)
@SETS
@click.option("-v", "--verbose", is_flag=True, help="Show steps, tools, durations, tokens and costs on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the answer's text.")
@click.pass_context
def resume(ctx: click.Context, file: Path, id: str | None, sets: tuple[str, ...], verbose: bool, as_json: bool) -> None:
    """Go on with a run that was cut off: the last one, or ID. The same as `anima run CONFIG --resume [ID]`."""
    from ._run import run as run_command

    more = {"verbose": verbose, "as_json": as_json, "no_stream": False, "sets": sets}
    ctx.invoke(run_command, file=file, task=None, resume=id or "", agent=None, **more)
