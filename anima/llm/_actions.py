"""Tools for models whose server does not enforce them: what it may say next, as the JSON schema of an action. Pure.

The model says `{"action": "add", "arguments": {"a": 2, "b": 2}}` or `{"action": "answer", "text": "It is 4."}`: one
action in each answer. Where the answer has to be JSON of a schema, it is `{"action": "answer", "output": {...}}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from anima_tools import ToolCall, ToolResult

from ._json_string import JsonString
from ._messages import AssistantMessage, Message, Part, Reasoning, Text, ToolMessage, UserMessage
from ._request import FinishReason, ModelRequest, OutputSchema, ToolChoice

#: An answer whose text has not begun within so many characters is read when it is whole.
_HEAD = 256
#: So many places are looked at where an action could begin.
_PLACES = 32

_LIKE_AN_ACTION = re.compile(r"\s*(?:```\w*\s*)?\{")


@attrs.frozen
class Said:
    """The rest of a text."""

    text: str


@attrs.frozen
class Called:
    """A tool is to be called. `arguments` is JSON text."""

    name: str
    arguments: str


@attrs.frozen
class Cut:
    """An action that was cut off: nothing of it counts."""


@attrs.frozen
class Broken:
    """JSON that is none."""

    text: str


Outcome: TypeAlias = Said | Called | Cut | Broken


class Actions:
    """What a model may do in answer to one request."""

    def __init__(self, request: ModelRequest) -> None:
        self._request = request
        self._names = {tool.name for tool in request.tools}
        self.answer = "answer"
        while self.answer in self._names:
            self.answer += "_"

    def request(self) -> ModelRequest:
        """The request as the server gets it: without tools, their calls and results as text."""
        request = self._request
        if not request.tools:
            return attrs.evolve(request, messages=self._messages())
        return attrs.evolve(
            request,
            system="\n\n".join([*([request.system] if request.system else []), self._explanation()]),
            messages=self._messages(),
            tools=(),
            tool_choice=ToolChoice.AUTO,
            output=OutputSchema("action", self._schema()),
        )

    # What may be said

    def _schema(self) -> Mapping[str, Any]:
        choice, output = self._request.tool_choice, self._request.output
        definitions: dict[str, Any] = {}
        variants = []
        if choice is not ToolChoice.NONE:
            for tool in self._request.tools:
                arguments = {"additionalProperties": False, **_moved(tool.input_schema, tool.name, definitions)}
                variants.append(_variant(tool.name, "arguments", arguments))
        if choice is not ToolChoice.REQUIRED:
            if output is None:
                variants.append(_variant(self.answer, "text", {"type": "string"}))
            else:
                variants.append(_variant(self.answer, "output", _moved(output.schema, self.answer, definitions)))
        schema = variants[0] if len(variants) == 1 else {"anyOf": variants}
        return {**schema, "$defs": definitions} if definitions else schema

    def _explanation(self) -> str:
        """The same for all values of `tool_choice`: what stands at the beginning can be cached."""
        lines = [
            "Reply with one JSON object and nothing else. To call a tool:",
            _line({"action": "NAME", "arguments": {}}),
            "To answer:",
            self._answer_line(),
            "Tools:",
        ]
        for tool in self._request.tools:
            lines.append(f"- {tool.name}: {tool.description} Arguments: {_line(tool.input_schema)}")
        if self._request.output is not None:
            lines.append(f"The output is JSON of this schema: {_line(self._request.output.schema)}")
        return "\n".join(lines)

    def _answer_line(self) -> str:
        value: dict[str, Any] = {"text": "..."} if self._request.output is None else {"output": {}}
        return _line({"action": self.answer, **value})

    def _reminder(self) -> str:
        """After results. Without it, and in other words, the smallest models call the same tool again and again."""
        return f"\n\nNow answer the question with {self._answer_line()}." if self._request.tools else ""

    # What was said before

    def _messages(self) -> Iterable[Message]:
        told: list[Message] = []
        for message in self._request.messages:
            match message:
                case AssistantMessage(parts):
                    told.append(AssistantMessage(_lines(self._part(part) for part in parts)))
                    continue
                case ToolMessage(results):
                    text = "\n".join(map(_result, results)) + self._reminder()
                case UserMessage(text):
                    pass
            if told and isinstance(last := told[-1], UserMessage):
                told[-1] = UserMessage(f"{last.text}\n\n{text}")  # many templates want user and assistant in turn
            else:
                told.append(UserMessage(text))
        return told

    def _part(self, part: Part) -> Text | Reasoning:
        match part:
            case ToolCall(_, name, arguments):
                return Text(_line({"action": name, "arguments": _parsed(arguments)}))
            case Text(text) if self._request.tools and self._request.output is None:
                return Text(_line({"action": self.answer, "text": text}))
            case Text(text) if self._request.tools:
                return Text(_line({"action": self.answer, "output": _parsed(text)}))
            case _:
                return part

    # What is said now

    def head(self) -> re.Pattern[str] | None:
        """What stands before the text of an answer; None where the answer is no text."""
        if self._request.output is not None:
            return None
        return re.compile(rf'\s*(?:```\w*\s*)?\{{\s*"action"\s*:\s*"{re.escape(self.answer)}"\s*,\s*"text"\s*:\s*"')

    def outcome(self, text: str, reason: FinishReason) -> Outcome:
        """What a whole answer means, of which nothing is known yet.

        Prose is an answer: small models forget what they were told. JSON that is cut off counts as nothing, and broken
        JSON is a failure, which another attempt may mend.
        """
        action = _action(text)
        if action is None:
            if _LIKE_AN_ACTION.match(text) is None or _parsed(text) is not text:
                return Said(text)
            return Cut() if reason is FinishReason.LENGTH else Broken(text)
        name = action.pop("action")
        if name == self.answer:
            if "output" in action and self._request.output is not None:
                return Said(_line(action["output"]))
            said = action.get("text", action.get("output", ""))
            return Said(said if isinstance(said, str) else _line(said))
        if self._request.tool_choice is ToolChoice.NONE:
            return Said(text)
        arguments = action.get("arguments", action)
        return Called(name, arguments if isinstance(arguments, str) else _line(arguments))


class ActionReader:
    """Reads one answer as it comes: its text is known before its end, a call only then. Pure: splits do not matter."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._head = actions.head()
        self._text = ""
        self._string: JsonString | None = None

    @property
    def begun(self) -> bool:
        return bool(self._text)

    def feed(self, piece: str) -> str:
        """What of the text of the answer has become known."""
        if self._string is not None:
            return self._string.feed(piece)
        before = len(self._text)
        self._text += piece
        if self._head is None or before >= _HEAD:
            return ""
        head = self._head.match(self._text[:_HEAD])
        if head is None:
            return ""
        self._string = JsonString()
        return self._string.feed(self._text[head.end() :])

    def end(self, reason: FinishReason) -> Outcome:
        """What it was, once it is whole."""
        return Said("") if self._string is not None else self._actions.outcome(self._text, reason)


def _variant(action: str, key: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"action": {"const": action}, key: schema},
        "required": ["action", key],
        "additionalProperties": False,
    }


def _moved(schema: Mapping[str, Any], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema as part of another one: its definitions move to the top, under names of their own."""

    def moved(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: renamed(inner) if key == "$ref" else moved(inner) for key, inner in value.items()}
        return [moved(inner) for inner in value] if isinstance(value, list | tuple) else value

    def renamed(ref: Any) -> Any:
        match = re.fullmatch(r"#/(?:\$defs|definitions)/(.*)", ref) if isinstance(ref, str) else None
        return ref if match is None else f"#/$defs/{prefix}.{match[1]}"

    own = dict(schema)
    for key in ("$defs", "definitions"):
        for name, definition in own.pop(key, {}).items():
            definitions[f"{prefix}.{name}"] = moved(definition)
    result: dict[str, Any] = moved(own)
    return result


def _result(result: ToolResult) -> str:
    return f"{result.name} {'failed' if result.failed else 'returned'}: {result.content}"


def _lines(parts: Iterable[Text | Reasoning]) -> Iterable[Text | Reasoning]:
    """Each text on a line of its own."""
    first = True
    for part in parts:
        if isinstance(part, Text):
            part = part if first else Text("\n" + part.text)
            first = False
        yield part


def _action(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text that names an action."""
    decoder = json.JSONDecoder(strict=False)
    at = 0
    for _ in range(_PLACES):
        at = text.find("{", at)
        if at < 0:
            return None
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if isinstance(value, dict) and isinstance(value.get("action"), str):
            return value
        at = end
    return None


def _parsed(text: str) -> Any:
    """The value of a JSON text; the text itself where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
