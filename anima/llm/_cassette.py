"""Recorded traffic: a file of JSON lines, each a request and the events of its answer.

A line has the `key` of the request (a hash of all that it says), the `model` that answered, the `request` for people
and for differences, and the `events`. Neither keys nor headers nor addresses are part of a request, so none gets here.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from anima_tools import ToolCall

from ._messages import AssistantMessage, Message, Part, Reasoning, Text, ToolMessage, UserMessage
from ._request import Finish, FinishReason, ModelEvent, ModelRequest, ReasoningDelta, TextDelta, ToolCallDelta, Usage

#: A difference is shown in so many lines, each of so many characters.
DIFFERENCE_LINES = 30
_WIDTH = 160
#: So many of the last requests are looked at for the nearest one.
_COMPARED = 200


class BadCassette(Exception):
    """A cassette that cannot be read or written; the text says where and why."""


@attrs.frozen
class Recording:
    """One line of a cassette."""

    key: str
    model: str
    request: Mapping[str, Any]
    events: tuple[ModelEvent, ...]


def recording(model: str, request: ModelRequest, events: Iterable[ModelEvent]) -> Recording:
    """What is recorded of a whole answer."""
    canonical = request_as_json(request)
    return Recording(key_of(canonical), model, canonical, tuple(events))


def key_of(canonical: Mapping[str, Any]) -> str:
    """The hash of a request. What a request does not say is not part of it: new fields with defaults change no key."""
    text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


# Files. All of these block on the disk.


def read_cassette(file: Path) -> tuple[Recording, ...]:
    """All that is on it. Raises `BadCassette`."""
    try:
        *lines, last = file.read_bytes().split(b"\n")
    except OSError as error:
        raise BadCassette(f"{file}: cannot be read: {error.strerror}") from error
    if last:
        raise _torn(file, len(lines) + 1)
    return tuple(_from_line(line, f"{file}:{n}") for n, line in enumerate(lines, 1) if line.strip())


def check_cassette(file: Path) -> None:
    """Whether a recording can be added. Waits for those that are being added. Raises `BadCassette`."""
    try:
        with file.open("ab+") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH)
            if opened.seek(0, os.SEEK_END) > 0:
                opened.seek(-1, os.SEEK_END)
                if opened.read(1) != b"\n":
                    opened.seek(0)
                    raise _torn(file, opened.read().count(b"\n") + 1)
    except OSError as error:
        raise BadCassette(f"{file}: cannot be written: {error.strerror}") from error


def append(file: Path, entry: Recording) -> None:
    """Add a recording in one write, so that lines of several writers do not mix. Raises `BadCassette`."""
    line = json.dumps(
        {
            "key": entry.key,
            "model": entry.model,
            "request": entry.request,
            "events": [_event_as_json(event) for event in entry.events],
        }
    )
    data = line.encode() + b"\n"
    try:
        with file.open("ab", buffering=0) as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)  # or who checks it meanwhile takes half of a line for a torn one
            written = opened.write(data)
    except OSError as error:
        raise BadCassette(f"{file}: cannot be written: {error.strerror}") from error
    if written != len(data):
        raise BadCassette(f"{file}: the disk is full; delete the last line, which is torn")


def _torn(file: Path, line: int) -> BadCassette:
    return BadCassette(f"{file}:{line}: the last line is torn, as its recording was cut off; delete it")


def _from_line(line: bytes, place: str) -> Recording:
    try:
        value = json.loads(line)
        events = tuple(_event_from_json(event) for event in value["events"])
        return Recording(value["key"], value["model"], value["request"], events)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadCassette(f"{place}: this is no recording ({type(error).__name__}: {error}); delete it") from error


# Differences


def difference(canonical: Mapping[str, Any], recordings: Sequence[Recording]) -> str:
    """How a request differs from the nearest one that is recorded; empty if none is."""
    asked = [*_shown(canonical, "")]
    matcher = difflib.SequenceMatcher(b=asked, autojunk=False)
    nearest: tuple[float, list[str]] | None = None
    for entry in recordings[-_COMPARED:]:
        there = [*_shown(entry.request, "")]
        matcher.set_seq1(there)
        ratio = matcher.ratio()
        if nearest is None or ratio > nearest[0]:
            nearest = ratio, there
    if nearest is None:
        return ""
    lines = [*difflib.unified_diff(nearest[1], asked, "recorded", "asked", n=1, lineterm="")]
    more = [f"... {len(lines) - DIFFERENCE_LINES} more lines"] if len(lines) > DIFFERENCE_LINES else []
    return "\n".join([*lines[:DIFFERENCE_LINES], *more])


def _shown(value: Any, place: str) -> Iterator[str]:
    """A value as lines of a place and a piece of text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _shown(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _shown(inner, f"{place}[{n}]")
    else:
        text = value if isinstance(value, str) else json.dumps(value)
        for line in text.splitlines() or [""]:
            for at in range(0, max(1, len(line)), _WIDTH):
                yield f"{place}: {line[at : at + _WIDTH]}"


# Requests and events as JSON


def request_as_json(request: ModelRequest) -> dict[str, Any]:
    """All that a request says, and nothing that it leaves open."""
    output = request.output
    return _said(
        system=request.system or None,
        messages=[_message_as_json(message) for message in request.messages],
        tools=[attrs.asdict(tool) for tool in request.tools] or None,
        tool_choice=request.tool_choice.value if request.tools else None,
        output=None if output is None else attrs.asdict(output),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
    )


def _message_as_json(message: Message) -> dict[str, Any]:
    match message:
        case UserMessage(text):
            return {"user": text}
        case AssistantMessage(parts):
            return {"assistant": [_part_as_json(part) for part in parts]}
        case ToolMessage(results):
            return {
                "results": [
                    _said(id=result.id, name=result.name, content=result.content, failed=result.failed or None)
                    for result in results
                ]
            }


def _part_as_json(part: Part) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"text": text}
        case Reasoning(text, signature):
            return _said(reasoning=text, signature=signature)
        case ToolCall(id, name, arguments):
            return {"call": name, "id": id, "arguments": arguments}


def _event_as_json(event: ModelEvent) -> dict[str, Any]:
    match event:
        case TextDelta(text):
            return {"text": text}
        case ReasoningDelta(text, signature):
            return _said(reasoning=text, signature=signature)
        case ToolCallDelta(index, id, name, arguments):
            return _said(call=index, id=id or None, name=name or None, arguments=arguments or None)
        case Finish(reason, usage, model, provider):
            counted = {name: count for name, count in attrs.asdict(usage).items() if count}
            return {"finish": reason.value, "usage": counted, "model": model, "provider": provider}
        case _:
            raise AssertionError(f"{event!r} is no part of a whole answer")


def _event_from_json(value: Mapping[str, Any]) -> ModelEvent:
    if "text" in value:
        return TextDelta(value["text"])
    if "reasoning" in value:
        return ReasoningDelta(value["reasoning"], value.get("signature"))
    if "call" in value:
        return ToolCallDelta(value["call"], value.get("id", ""), value.get("name", ""), value.get("arguments", ""))
    return Finish(FinishReason(value["finish"]), Usage(**value["usage"]), value["model"], value["provider"])


def _said(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
