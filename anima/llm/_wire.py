"""A POST whose answer is a stream of events, over httpx: deadlines, and what can go wrong on the way.

No cancel scope straddles a `yield`: each wait has its own, around one step.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import httpx
import trio

from ._errors import BadRequest, BrokenStream, ModelError, ModelTimeout, NetworkFailed, ServerFailed
from ._failures import one_line, refusal
from ._post import Post
from ._request import Finish, ModelEvent
from ._sse import ServerEvent, SseParser, TooLong

T = TypeVar("T")

#: Seconds that are waited for what may follow the reason of an answer: the usage, and the end of the response, without
#: which the connection cannot be used again.
LINGER = 2.0

_LONGEST_ERROR = 64 * 1024
_LONGEST_JSON = 16 * 1024 * 1024
_GONE = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.CloseError)


class StreamParser(Protocol):
    """What a wire format is: pure, fed with what came. Raises `ModelError` for what it does not understand."""

    @property
    def whole(self) -> bool:
        """It is known why the model stopped: the answer can be used whatever happens to the connection now."""

    @property
    def over(self) -> bool:
        """The server has said that nothing follows."""

    def feed(self, event: ServerEvent) -> Iterable[ModelEvent]:
        """The next event of the stream."""

    def feed_whole(self, body: Any) -> Iterable[ModelEvent]:
        """A whole answer, from a server that does not stream."""

    def finish(self) -> Finish:
        """The last event, once the answer is whole."""


class _Clock:
    """By when what has to have come. Times are Trio's; `total` is absolute, and counts over both tries."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._limits = post.timeouts
        now = trio.current_time()
        self._end = now + self._limits.total
        self._first = now + self._limits.connect + self._limits.first_token
        self.begun = False  # the first token has come

    def sending(self, scope: trio.CancelScope) -> None:
        """The connection is there: from now on the first token is waited for."""
        self._first = trio.current_time() + self._limits.first_token
        scope.deadline = min(self._first, self._end)

    async def wait(self, step: Callable[[trio.CancelScope], Awaitable[T]]) -> T:
        """One step, no longer than it may take. Raises `ModelTimeout`."""
        limit = trio.current_time() + self._limits.between if self.begun else self._first
        with trio.CancelScope(deadline=min(limit, self._end)) as scope:
            return await step(scope)
        if trio.current_time() >= self._end:
            raise self.over("total")
        raise self.over("between" if self.begun else "first_token")

    def over(self, stage: str) -> ModelTimeout:
        seconds = getattr(self._limits, stage)
        what = {
            "connect": f"no connection to {self._post.endpoint.shown} within {seconds:g} s",
            "first_token": f"no first token within {seconds:g} s after the request was sent",
            "between": f"nothing came for {seconds:g} s in the middle of the answer",
            "total": f"the answer was not complete within {seconds:g} s",
        }[stage]
        return ModelTimeout(self._post.model, f"{what} (timeouts.{stage})")


async def exchange(client: httpx.AsyncClient, post: Post, parser: StreamParser) -> AsyncGenerator[ModelEvent, None]:
    """Send, and give what comes; the last event is the parser's. Closing it early closes the connection.

    Raises `ModelError`.
    """
    clock = _Clock(post)
    body = _Body(await _answered(client, post, clock), post, clock)
    try:
        kind = body.kind
        if not body.response.is_success:
            raise await _refused(body, post)
        if kind == "application/json" or kind.endswith("+json"):
            for event in _from_json(post, parser, await body.text(_LONGEST_JSON)):
                yield event
        elif kind == "text/event-stream":
            events = SseParser()
            while not parser.over:
                piece = await body.next(parser.whole)
                if piece is None:
                    break
                for event in _from_stream(post, parser, events, piece):
                    clock.begun = True
                    yield event
            await body.end(LINGER)
        else:
            begins = _shown(post, await body.text(_LONGEST_ERROR))
            raise ServerFailed(
                post.model,
                f"{post.endpoint.shown} answered with {kind or 'no content type'}, not with a stream of events. "
                f"Is base_url right? It begins: {begins}",
            )
    finally:
        await body.end(0)
    yield parser.finish()


def _from_stream(post: Post, parser: StreamParser, events: SseParser, piece: bytes) -> Iterator[ModelEvent]:
    try:
        for event in events.feed(piece):
            yield from parser.feed(event)
    except TooLong as error:
        raise ServerFailed(post.model, f"{error}: that is no answer of a model") from None


def _from_json(post: Post, parser: StreamParser, text: str) -> Iterable[ModelEvent]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ServerFailed(post.model, f"the answer is no JSON. It begins: {_shown(post, text)}") from None
    return parser.feed_whole(value)


async def _refused(body: _Body, post: Post) -> ModelError:
    response = body.response
    return refusal(
        post.model,
        post.endpoint.shown,
        response.status_code,
        response.headers,
        await body.text(_LONGEST_ERROR),
        now=time.time(),
        secrets=post.secrets,
    )


class _Body:
    """What comes after the headers of a response."""

    def __init__(self, response: httpx.Response, post: Post, clock: _Clock) -> None:
        self.response = response
        self.kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        self._post = post
        self._clock = clock
        self._pieces = response.aiter_bytes()

    async def next(self, whole: bool) -> bytes | None:
        """The next piece; None at the end, and where it fails after the answer is whole already."""
        if whole:
            with trio.move_on_after(LINGER), suppress(ModelError):
                return await self._next()
            return None
        return await self._clock.wait(lambda _: self._next())

    async def _next(self) -> bytes | None:
        try:
            return await anext(self._pieces, None)
        except _GONE as error:
            raise BrokenStream(
                self._post.model, f"the connection broke in the middle of the answer: {_why(self._post, error)}"
            ) from None
        except httpx.DecodingError as error:
            raise ServerFailed(
                self._post.model, f"the answer is not what its headers say: {_why(self._post, error)}"
            ) from None

    async def text(self, longest: int) -> str:
        """All of it, or its first `longest` bytes."""
        found = bytearray()
        while len(found) < longest:
            piece = await self.next(False)
            if piece is None:
                break
            found += piece
        return found[:longest].decode("utf-8", "replace")

    async def end(self, seconds: float) -> None:
        """Read what is left, so that the connection can be used again; after `seconds` close it.

        The generators within httpx are run to their end in both cases: left alone, they would be finalized at any time.
        """
        with trio.CancelScope(deadline=trio.current_time() + seconds):
            with suppress(httpx.HTTPError):
                async for _ in self._pieces:
                    pass


async def _answered(client: httpx.AsyncClient, post: Post, clock: _Clock) -> httpx.Response:
    """The response, up to its headers. A kept connection that turns out dead costs one more try, on a new one."""
    try:
        return await _send(client, post, clock, only_new=False)
    except _Stale:
        pass
    while True:
        try:
            return await _send(client, post, clock, only_new=True)
        except _NotNew:
            continue  # nothing was sent, and that connection is gone


async def _send(client: httpx.AsyncClient, post: Post, clock: _Clock, *, only_new: bool) -> httpx.Response:
    new = False

    async def step(scope: trio.CancelScope) -> httpx.Response:
        async def trace(name: str, _info: object) -> None:
            nonlocal new
            if name.endswith("connect_tcp.started"):
                new = True
            elif name.endswith("send_request_headers.started"):
                if only_new and not new:
                    raise _NotNew
                clock.sending(scope)

        return await client.send(_request(client, post, trace), stream=True)

    try:
        return await clock.wait(step)
    except httpx.ConnectTimeout:
        raise clock.over("connect") from None
    except _GONE as error:
        if not (new or only_new):
            raise _Stale from None
        raise NetworkFailed(
            post.model, f"{post.endpoint.shown} closed the connection without an answer: {_why(post, error)}"
        ) from None
    except (httpx.InvalidURL, UnicodeError) as error:  # hosts with names that can be none
        raise BadRequest(post.model, f"base_url {post.endpoint.shown}: {_why(post, error)}") from None
    except httpx.TransportError as error:
        raise NetworkFailed(post.model, f"cannot reach {post.endpoint.shown}: {_why(post, error)}") from None


def _request(client: httpx.AsyncClient, post: Post, trace: object) -> httpx.Request:
    content = post.content()
    request = client.build_request(
        "POST",
        post.endpoint.url,
        headers=post.all_headers(),
        content=content,
        timeout=httpx.Timeout(None, connect=post.timeouts.connect),
        extensions={"trace": trace},
    )
    request.stream = _Content(content)
    return request


class _Content(httpx.AsyncByteStream):
    """What is sent, in one piece. httpx's own is a generator, which nobody closes where sending is cut short."""

    def __init__(self, content: bytes) -> None:
        self._left = [content]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


def _shown(post: Post, text: str) -> str:
    return one_line(text, post.secrets)


def _why(post: Post, error: Exception) -> str:
    return _shown(post, str(error)) or type(error).__name__


class _Stale(Exception):
    """A connection that was kept from an earlier request has died meanwhile."""


class _NotNew(Exception):
    """It would be sent over a kept connection again."""
