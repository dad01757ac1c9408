"""A model that answers from a script: for tests, and for the first steps without a key."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import trio

from anima_supervisors import BadSpec

from ._errors import BadRequest, BrokenStream, ModelError, ModelTimeout
from ._messages import AssistantMessage, Message, UserMessage
from ._request import Finish, FinishReason, ModelEvent, ModelRequest, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from ._spec import Timeouts


@attrs.frozen
class Say:
    """The model says this, word by word, or `size` characters at a time."""

    text: str
    size: int | None = attrs.field(default=None)

    @size.validator
    def _(self, _attribute: object, size: int | None) -> None:
        if size is not None and size < 1:
            raise BadSpec(f"size must be 1 or more characters, not {size!r}")


@attrs.frozen
class Think:
    """The model thinks this."""

    text: str
    signature: str | None = None


@attrs.frozen
class Call:
    """The model calls a tool. A text as `arguments` is sent as it is: also what is no JSON. None: an id is made."""

    name: str
    arguments: Mapping[str, Any] | str = attrs.field(factory=dict)
    id: str | None = None


@attrs.frozen
class Wait:
    """Nothing comes for so many seconds of Trio's clock."""

    seconds: float = attrs.field()

    @seconds.validator
    def _(self, _attribute: object, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            raise BadSpec(f"a wait must be a number of seconds, 0 or more, not {seconds!r}")


@attrs.frozen
class Fail:
    """The stream ends here with this error: at once, or, after other steps, in the middle."""

    kind: type[ModelError] = BrokenStream
    what: str = "the script says so"
    status: int | None = None
    retry_after: float | None = None


@attrs.frozen
class End:
    """How the stream ends. None: as the steps before suggest, with about one token a word."""

    reason: FinishReason | None = None
    usage: Usage | None = None


Step: TypeAlias = Say | Think | Call | Wait | Fail | End
Answer: TypeAlias = str | Step | Sequence[Step] | Callable[[ModelRequest], Any]


@attrs.frozen
class When:
    """An answer for those requests alone whose last message has something that matches the regular expression."""

    pattern: str = attrs.field()
    answer: Answer

    @pattern.validator
    def _(self, _attribute: object, pattern: str) -> None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise BadSpec(f"{pattern!r} is no regular expression: {error}") from error

    def fits(self, request: ModelRequest) -> bool:
        return bool(request.messages) and re.search(self.pattern, _text_of(request.messages[-1])) is not None


class ScriptedModel:
    """Gives the answers of a script, one for each request.

    A request gets the first answer that is not used yet and fits it (`When`). An answer is a text, a step (`Say`,
    `Think`, `Call`, `Wait`, `Fail`, `End`), several steps, or a function of the request, plain or async, that returns
    one of these. When nothing is left the request fails with `BadRequest`; with `repeat` what fits begins again.
    """

    def __init__(
        self,
        answers: Iterable[Answer | When],
        name: str = "scripted",
        *,
        repeat: bool = False,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.name = name
        #: all requests so far, in their order
        self.requests: list[ModelRequest] = []
        self._answers = tuple(answers)
        self._used: set[int] = set()
        self._repeat = repeat
        self._timeouts = timeouts or Timeouts()
        self._calls = 0

    def __repr__(self) -> str:
        return f"<ScriptedModel {self.name}: {len(self._answers)} answers, {len(self.requests)} requests>"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Give the next answer. A checkpoint before each event. Raises what the script says, and `BadRequest`."""
        self.requests.append(request)
        answer: Any = self._next(request)
        while callable(answer):
            answer = answer(request)
            if inspect.isawaitable(answer):
                answer = await answer
        begun, started, finish = False, trio.current_time(), End()
        counted = _Count(request)
        for step in _steps(answer):
            if isinstance(step, Wait):
                await self._wait(step.seconds, begun, started)
            elif isinstance(step, Fail):
                await trio.lowlevel.checkpoint()
                raise step.kind(self.name, step.what, status=step.status, retry_after=step.retry_after)
            elif isinstance(step, End):
                finish = step
            else:
                for event in self._events(step, counted.calls):
                    await trio.lowlevel.checkpoint()
                    counted.add(event)
                    begun = True
                    yield event
        await trio.lowlevel.checkpoint()
        reason = finish.reason or (FinishReason.TOOL_CALLS if counted.calls else FinishReason.STOP)
        yield Finish(reason, finish.usage or counted.usage(), self.name, "scripted")

    def _next(self, request: ModelRequest) -> Answer:
        fitting = [n for n, answer in enumerate(self._answers) if not isinstance(answer, When) or answer.fits(request)]
        left = [n for n in fitting if n not in self._used]
        if not left and self._repeat:
            self._used.difference_update(fitting)
            left = fitting
        if not left:
            fit = "" if len(fitting) == len(self._answers) else f", of which {len(fitting)} fit this one"
            what = f"the script has {_plural(len(self._answers), 'answer')}{fit}; this is request {len(self.requests)}"
            raise BadRequest(self.name, f"{what}: {_last(request)!r}")
        self._used.add(left[0])
        answer = self._answers[left[0]]
        return answer.answer if isinstance(answer, When) else answer

    def _events(self, step: Say | Think | Call, index: int) -> Iterator[ModelEvent]:
        match step:
            case Say(text, size):
                yield from map(TextDelta, _pieces(text, size))
            case Think(text, signature):
                yield from map(ReasoningDelta, _pieces(text, None))
                if signature is not None:
                    yield ReasoningDelta("", signature)
            case Call(name, arguments, id):
                self._calls += 1
                yield ToolCallDelta(index, id or f"call_{self._calls}", name)
                text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
                for piece in _pieces(text, 16):
                    yield ToolCallDelta(index, arguments=piece)

    async def _wait(self, seconds: float, begun: bool, started: float) -> None:
        """As a server would be waited for: no longer than the timeouts."""
        limit, stage = self._timeouts.first_token, "the first token"
        if begun:
            limit, stage = self._timeouts.between, "the next token"
        left = started + self._timeouts.total - trio.current_time()
        if left < limit:
            limit, stage = max(left, 0), "the whole answer"
        await trio.sleep(min(seconds, limit))
        if seconds > limit:
            raise ModelTimeout(self.name, f"{stage} did not come in time ({limit:g} s)")


def _steps(answer: str | Step | Sequence[Step]) -> Sequence[Step]:
    if isinstance(answer, str):
        return (Say(answer),)
    return (answer,) if isinstance(answer, Step) else answer


def _pieces(text: str, size: int | None) -> list[str]:
    if size is None:
        return re.findall(r"\s*\S+|\s+$", text)
    return [text[at : at + size] for at in range(0, len(text), size)]


def _text_of(message: Message) -> str:
    if isinstance(message, UserMessage | AssistantMessage):
        return message.text
    return "\n".join(result.content for result in message.results)


def _last(request: ModelRequest) -> str:
    text = _text_of(request.messages[-1]) if request.messages else ""
    return text if len(text) <= 80 else f"{text[:80]}…"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


class _Count:
    """Words instead of tokens: rough, and the same each time."""

    def __init__(self, request: ModelRequest) -> None:
        self.calls = 0
        self._input = len(request.system.split())
        for message in request.messages:
            self._input += len(_text_of(message).split())
            if isinstance(message, AssistantMessage):
                self._input += sum(len(call.arguments.split()) + 1 for call in message.calls)
        self._output = self._reasoning = 0

    def add(self, event: ModelEvent) -> None:
        match event:
            case TextDelta(text):
                self._output += len(text.split())
            case ReasoningDelta(text):
                self._reasoning += len(text.split())
            case ToolCallDelta(name=name, arguments=arguments):
                self.calls += bool(name)
                self._output += len(arguments.split()) + bool(name)

    def usage(self) -> Usage:
        return Usage(self._input, self._output + self._reasoning, reasoning_tokens=self._reasoning)
