"""A web server on loopback, and the answers that it gives."""

from __future__ import annotations

import attrs
import trio


@attrs.define
class Server:
    """A web server on loopback: `answers` by target, each the bytes of a response; `requests` is what came."""

    port: int = 0
    answers: dict[str, bytes | None] = attrs.field(factory=dict)
    requests: list[tuple[str, dict[str, str], bytes]] = attrs.field(factory=list)
    closed: trio.Event = attrs.field(factory=trio.Event)
    arrived: trio.Event = attrs.field(factory=trio.Event)

    async def serve(self, stream: trio.abc.Stream) -> None:
        async with stream:
            data = b""
            while b"\r\n\r\n" not in data:
                received = await stream.receive_some()
                if not received:
                    return
                data += received
            head, _, body = data.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            while len(body) < int(headers.get("content-length", 0)):
                body += await stream.receive_some()
            self.requests.append((first, headers, bytes(body)))
            self.arrived.set()
            answer = self.answers.get(first.split()[1], b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            try:
                if answer is not None:
                    await stream.send_all(answer)
                else:
                    await stream.receive_some()  # hang until the other side goes away
            except trio.BrokenResourceError:
                pass
            self.closed.set()

    def url(self, target: str = "/", host: str = "localhost") -> str:
        return f"http://{host}:{self.port}{target}"


def ok(body: bytes | str, kind: str = "text/plain", *headers: str, status: str = "200 OK") -> bytes:
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def to(location: str, status: str = "302 Found") -> bytes:
    return f"HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()
