"""A server on this machine that speaks both wire formats, answers from a script, and can fail in every way.

In a test:

    async with serve([Answer(text="Hello"), Answer(status=429, retry_after="1")]) as server:
        ...server.url, server.requests, server.disconnects

The script is a list of answers, or a function that makes the answer to a request. As a program it takes the answers
from a JSON file, a list of objects with the fields of `Answer`, and prints its URL as its first line:

    python tests/servers/model_server.py --script script.json [--port 0]

It serves `POST .../chat/completions`, `POST .../messages`, `GET .../models` and `GET /health`.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import h11
import trio

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.servers import answers
from tests.servers.answers import Answer


@attrs.frozen
class Asked:
    """One request, as it came."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def chat(self) -> bool:
        """It is for chat completions, not for the messages API."""
        return self.path.endswith("/chat/completions")

    @property
    def last(self) -> str:
        """The text of the last message: what to steer by."""
        content = self.body["messages"][-1]["content"]
        if isinstance(content, str):
            return content
        return " ".join(str(block.get("text") or block.get("content") or "") for block in content or ())


Script: TypeAlias = Iterable[Answer] | Callable[[Asked], Answer]


class ModelServer:
    """What the server has seen."""

    def __init__(self, script: Script) -> None:
        self._script = script if callable(script) else _Answers(script).next
        self.url = ""
        #: those that asked for an answer, in the order in which they came
        self.requests: list[Asked] = []
        #: connections; those that the client closed while it was being answered; those that were closed by `cut`
        self.connections = 0
        self.disconnects = 0
        self.cuts = 0
        self._changed = trio.Event()

    @property
    def bodies(self) -> list[Mapping[str, Any]]:
        return [asked.body for asked in self.requests]

    async def wait_disconnects(self, count: int = 1) -> None:
        """Wait, without limit, until so many clients have gone away while they were being answered."""
        while self.disconnects < count:
            await self._changed.wait()

    async def wait_requests(self, count: int = 1) -> None:
        """Wait, without limit, until so many requests have come."""
        while len(self.requests) < count:
            await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def connection(self, stream: trio.SocketStream) -> None:
        """Serve one connection, until either side closes it."""
        self.connections += 1
        async with stream:
            with suppress(trio.BrokenResourceError, h11.RemoteProtocolError):
                await _Connection(self, stream).run()

    def asked(self, asked: Asked) -> tuple[Answer, int]:
        self.requests.append(asked)
        self._change()
        return self._script(asked), len(self.requests)

    def gone(self) -> None:
        self.disconnects += 1
        self._change()


class _Answers:
    """Answers from a list: the first that fits and is not used up."""

    def __init__(self, script: Iterable[Answer]) -> None:
        self._left = [(answer, answer.times) for answer in script]

    def next(self, asked: Asked) -> Answer:
        for place, (answer, times) in enumerate(self._left):
            if answer.when and answer.when not in asked.last:
                continue
            if times == 1:
                del self._left[place]
            elif times:
                self._left[place] = (answer, times - 1)
            return answer
        return Answer(status=400, error="the script of the test server has no answer left for this request")


class _Closed(Exception):
    """The answer says that the connection is to be closed."""


class _Connection:
    """One connection: requests after one another, each watched for a client that goes away."""

    def __init__(self, server: ModelServer, stream: trio.SocketStream) -> None:
        self._server = server
        self._stream = stream
        self._http = h11.Connection(h11.SERVER)
        self._sent = 0
        self._cut: int | None = None

    async def run(self) -> None:
        while True:
            request = await self._event()
            if not isinstance(request, h11.Request):
                return
            body = bytearray()
            while not isinstance(event := await self._event(), h11.EndOfMessage):
                assert isinstance(event, h11.Data)
                body += event.data
            whole = False
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, nursery.cancel_scope)
                try:
                    await self._respond(request, bytes(body))
                    whole = True
                except _Closed:
                    pass
                except trio.BrokenResourceError:
                    await trio.sleep_forever()  # the watch sees it as well, and counts it
                nursery.cancel_scope.cancel()
            if not whole or self._http.our_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._stream.receive_some())
        return event

    async def _watch(self, answering: trio.CancelScope) -> None:
        """Clients say nothing while they are answered, unless they go away."""
        with suppress(trio.BrokenResourceError):
            while data := await self._stream.receive_some():
                self._http.receive_data(data)
        if self._http.our_state is h11.SEND_BODY or self._http.our_state is h11.SEND_RESPONSE:
            self._server.gone()
        answering.cancel()

    async def _respond(self, request: h11.Request, body: bytes) -> None:
        path = request.target.decode().partition("?")[0]
        if request.method == b"GET" and path.endswith("/models"):
            listed = {"object": "list", "data": [{"id": answers.MODEL, "object": "model", "owned_by": "tests"}]}
            await self._whole(200, {"content-type": "application/json"}, json.dumps(listed).encode())
        elif request.method == b"GET" and path == "/health":
            await self._whole(200, {"content-type": "application/json"}, b'{"status": "ok"}')
        elif request.method == b"POST" and path.endswith(("/chat/completions", "/messages")):
            headers = {name.decode(): value.decode() for name, value in request.headers}
            asked = Asked(path, headers, json.loads(body))
            await self._answer(asked, *self._server.asked(asked))
        else:
            await self._whole(404, {"content-type": "application/json"}, b'{"error": {"message": "no such path"}}')

    async def _answer(self, asked: Asked, answer: Answer, number: int) -> None:
        self._sent, self._cut = 0, answer.cut
        await trio.sleep(answer.delay)
        if answer.hang == "response":
            await trio.sleep_forever()
        headers = {"content-type": answer.content_type or "application/json", **answer.headers}
        if answer.redirect is not None:
            await self._whole(307, {**headers, "location": answer.redirect}, b"")
        elif answer.status != 200:
            if answer.retry_after is not None:
                headers["retry-after"] = answer.retry_after
            error = answers.chat_error(answer) if asked.chat else answers.message_error(answer)
            body = json.dumps(error).encode() if answer.body is None else answer.body
            await self._whole(answer.status, headers, body)
        elif answer.body is not None:
            await self._whole(200, headers, answer.body)
        elif not answer.stream:
            whole = answers.chat_whole(answer, number) if asked.chat else answers.message_whole(answer, number)
            await self._whole(200, headers, json.dumps(whole).encode())
        else:
            await self._events(asked, answer, number, headers)

    async def _events(self, asked: Asked, answer: Answer, number: int, headers: dict[str, str]) -> None:
        headers["content-type"] = answer.content_type or "text/event-stream"
        headers |= {"transfer-encoding": "chunked"} if answer.chunked else {"connection": "close"}
        await self._send(h11.Response(status_code=200, headers=list(headers.items())))
        if answer.hang == "first":
            await trio.sleep_forever()
        events = answers.chat_events(answer, number) if asked.chat else answers.message_events(answer, number)
        for index, event in enumerate(_faulty(answer, events)):
            if index == {"middle": len(events) // 2, "last": len(events) - 1}.get(answer.hang or ""):
                await trio.sleep_forever()
            await trio.sleep(answer.drip)
            await self._send(h11.Data(data=event))
        if answer.half_call:
            raise _Closed
        if answer.hang == "end":
            await trio.sleep_forever()
        await self._send(h11.EndOfMessage())

    async def _whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        length = ("content-length", str(len(body)))
        await self._send(h11.Response(status_code=status, headers=[*headers.items(), length]))
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        data = self._http.send(event) or b""
        if self._cut is not None:
            data = data[: self._cut - self._sent]
        self._sent += len(data)
        await self._stream.send_all(data)
        if self._sent == self._cut:
            self._server.cuts += 1
            raise _Closed


def _faulty(answer: Answer, events: list[bytes]) -> Iterator[bytes]:
    for index, event in enumerate(events):
        if answer.malformed and index == 1:
            event = b'data: {"this is": no JSON}\n\n'
        yield event
        if answer.half_call and _within_a_call(event):
            return


def _within_a_call(event: bytes) -> bool:
    """Some of the arguments, not all of them, have come with this."""
    found = json.loads(event.partition(b"data: ")[2])
    if "choices" in found:
        calls = found["choices"][0]["delta"].get("tool_calls")
        return bool(calls and calls[0]["function"]["arguments"])
    return bool(found.get("delta", {}).get("partial_json"))


@asynccontextmanager
async def serve(script: Script, *, port: int = 0) -> AsyncGenerator[ModelServer, None]:
    """A server on 127.0.0.1, on a free port by default, for as long as the block runs.

    What the block raises comes out as it is, not in a group.
    """
    server = ModelServer(script)
    failed: Exception | None = None
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            functools.partial(trio.serve_tcp, server.connection, port, host="127.0.0.1")
        )
        server.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
        try:
            yield server
        except Exception as error:
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def _run(script: Script, port: int) -> None:
    async with serve(script, port=port) as server:
        print(server.url, flush=True)
        await trio.sleep_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", type=Path, required=True, help="a JSON list of answers")
    parser.add_argument("--port", type=int, default=0, help="0 is any free one")
    options = parser.parse_args()
    script = [Answer.parse(found) for found in json.loads(options.script.read_text(encoding="utf-8"))]
    try:
        trio.run(_run, script, options.port)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
