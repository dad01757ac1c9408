"""The tool for HTTP. Each hop goes to an address that was checked, and no further than the limits."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs
import trio

from .._errors import BadRequest, HttpFailed
from .._invocation import Invocation
from .._tool import tool
from ._addresses import addresses_of

if TYPE_CHECKING:
    import ssl

    import httpx

#: Bytes of a body that are read, and that they may unpack to.
LARGEST_BODY = 1024 * 1024
MOST_REDIRECTS = 5
#: Seconds for connecting to one address, since there may be others.
CONNECT_SECONDS = 10.0
#: Headers that follow a redirect to somebody else. Any other may hold a secret that was meant for the first host.
_HARMLESS = {"accept", "accept-language", "content-type", "user-agent", "range", "if-none-match", "if-modified-since"}
#: Headers that say how the request is sent, which is our business.
_OURS = {
    *("host", "connection", "content-length", "transfer-encoding", "keep-alive"),
    *("upgrade", "te", "trailer", "expect"),
}
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\u0100-\U0010ffff]*")
_TEXTUAL = re.compile(r"text/|.*\b(json|xml|javascript|yaml|toml|csv|x-www-form-urlencoded)\b")

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@tool(deadline=30)
async def http(
    url: str,
    invocation: Invocation,
    method: Method = "GET",
    body: str = "",
    headers: Annotated[dict[str, str], "headers of the request, by name"] = {},  # noqa: B006 -- nobody changes it
) -> str:
    """Send an HTTP request. Returns status, content type and body, whatever the status is; HTML is left as it is.

    Up to 5 redirects are followed. Of a body at most 1 MiB is read, and only text is returned.
    """
    await trio.to_thread.run_sync(_import_httpx)
    import httpx

    request = _request(url, method, body, headers, invocation.key)
    hops = 0
    while True:
        try:
            answer = await _send(request, invocation)
        except httpx.LocalProtocolError as error:
            raise BadRequest(f"{method} {request.url} cannot be sent: {error}") from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise HttpFailed(f"{method} {request.url}: {_reason(error)}") from None
        if answer.location is None:
            return answer.text(None if hops == 0 else request.url)
        hops += 1
        if hops > MOST_REDIRECTS:
            raise HttpFailed(f"{method} {url} is redirected more than {MOST_REDIRECTS} times")
        request = _redirected(request, answer.status, answer.location)


def _reason(error: BaseException) -> str:
    """The text of an error, or of what caused it: httpx gives none for what went wrong in TLS."""
    cause: BaseException | None = error
    while cause is not None and not str(cause):
        cause = cause.__cause__ or cause.__context__
    return str(cause or type(error).__name__)


def _import_httpx() -> None:
    import httpx  # noqa: F401 -- it takes 0.1 s, for which the loop is not to stand still


@attrs.frozen
class _Request:
    """One hop."""

    url: httpx.URL
    method: str
    body: str
    headers: Mapping[str, str]


@attrs.frozen
class _Answer:
    """What came back: `location` if it leads on, otherwise the body, at most `LARGEST_BODY` of it."""

    status: int
    reason: str
    headers: httpx.Headers
    location: str | None
    body: bytes
    cut: bool

    def text(self, url: httpx.URL | None) -> str:
        """What the model is given. `url` is told where it is not the one that was asked for."""
        kind = self.headers.get("content-type", "")
        lines = [f"{self.status} {self.reason}".strip()]
        if url is not None:
            lines.append(f"url: {url}")
        if kind:
            lines.append(f"content-type: {kind}")
        body = _decoded(self.body, kind, self.cut)
        if body is None:
            size = f"the first {len(self.body)}" if self.cut else len(self.body)
            body = f"[a body that is no text is left out: {size} bytes]"
        elif self.cut:
            body += f"\n[the body goes on; only its first {LARGEST_BODY // 1024} KiB are read]"
        return "\n".join(lines) + f"\n\n{body}"


def _request(url: str, method: str, body: str, headers: Mapping[str, str], key: str) -> _Request:
    """The first hop, checked. Raises `BadRequest`."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadRequest(f"the header {name!r} cannot be sent: its name or value has characters that none may have")
        if name.lower() in _OURS or name.lower().startswith("proxy-"):
            raise BadRequest(f"the header {name!r} cannot be set; leave it out")
    complete = {"user-agent": "anima", "accept": "*/*", **{name.lower(): value for name, value in headers.items()}}
    if body:
        complete.setdefault("content-type", "application/json" if body.lstrip()[:1] in "{[" else "text/plain")
    if method in ("POST", "PATCH") and key:
        complete.setdefault("idempotency-key", key)
    return _Request(_parsed(url), method, body, complete)


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    import httpx

    try:
        parsed = httpx.URL(url) if base is None else base.join(url)
        if parsed.scheme in ("http", "https") and parsed.raw_host:
            return parsed
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise BadRequest(f"{url!r} is no address: {error}") from None
    raise BadRequest(f"{url!r} is not supported: give a whole address that begins with http:// or https://")


def _redirected(request: _Request, status: int, location: str) -> _Request:
    """The next hop: 307 and 308 send the same again, all others ask for what is there (RFC 9110, 15.4)."""
    try:
        url = _parsed(location, request.url)
    except BadRequest as error:
        raise HttpFailed(f"{request.method} {request.url} is redirected to where nobody can go: {error}") from None
    headers = dict(request.headers)
    method, body = request.method, request.body
    if status not in (307, 308) and method not in ("GET", "HEAD"):
        method, body = "GET", ""
        headers = {name: value for name, value in headers.items() if name not in ("content-type", "idempotency-key")}
    if _origin(url) != _origin(request.url):
        headers = {name: value for name, value in headers.items() if name in _HARMLESS}
    return _Request(url, method, body, headers)


def _origin(url: httpx.URL) -> tuple[str, bytes, int]:
    return url.scheme, url.raw_host, _port(url)


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


async def _send(request: _Request, invocation: Invocation) -> _Answer:
    """Send one hop to the first address of its host that takes a connection."""
    import httpx

    url = request.url
    host = url.raw_host.decode("ascii")
    addresses = await addresses_of(host, _port(url), invocation.workspace)
    # The name is not looked up again: the connection goes to the address, and only TLS and the server see the name.
    headers = {**request.headers, "host": url.netloc.decode("ascii"), "accept-encoding": "identity"}
    trust: ssl.SSLContext | bool = False
    if url.scheme == "https":
        trust = await trio.to_thread.run_sync(httpx.create_ssl_context)
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=timeout) as client:
        for number, address in enumerate(addresses, 1):
            to_send = client.build_request(
                request.method,
                url.copy_with(host=address),
                headers=headers,
                content=request.body.encode() or None,
                extensions={"sni_hostname": host},
            )
            try:
                response = await client.send(to_send, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(addresses):
                    raise
                continue
            async with aclosing(response):
                return await _answer(response)
    raise HttpFailed(f"the host {host!r} has no address")


async def _answer(response: httpx.Response) -> _Answer:
    location = response.headers.get("location") if response.is_redirect else None
    body, cut = (b"", False) if location is not None else await _body(response)
    return _Answer(response.status_code, response.reason_phrase, response.headers, location, body, cut)


async def _body(response: httpx.Response) -> tuple[bytes, bool]:
    """The body and whether it is only the beginning: neither what comes nor what it unpacks to passes the limit."""
    unpack = _unpacking(response.headers.get("content-encoding", "identity"))
    body = bytearray()
    broken: zlib.error | None = None
    # By a cancellation each of the generators that httpx reads through ends; by leaving the loop the outermost only.
    with trio.CancelScope() as enough:
        async for chunk in response.aiter_raw():
            room = LARGEST_BODY + 1 - len(body)
            try:
                body += chunk[:room] if unpack is None else unpack.decompress(chunk, room) if room else b""
            except zlib.error as error:
                broken = error
            if broken is not None or len(body) > LARGEST_BODY:
                enough.cancel()
    if broken is not None:
        raise HttpFailed(f"the body cannot be unpacked: {broken}")
    return bytes(body[:LARGEST_BODY]), len(body) > LARGEST_BODY


def _unpacking(encoding: str) -> Any:
    """What unpacks a body that is packed, although nobody has asked for that."""
    match encoding.strip().lower():
        case "identity" | "":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        case other:
            raise HttpFailed(f"the body is packed by {other!r}, which nobody has asked for")


def _decoded(body: bytes, kind: str, cut: bool) -> str | None:
    """The body as text; None if it is none."""
    if b"\0" in body and "utf-16" not in kind.lower():
        return None
    charset = re.search(r"charset=[\"']?([\w.:-]+)", kind, re.IGNORECASE)
    try:
        decoder = codecs.getincrementaldecoder(charset[1] if charset else "utf-8-sig")
    except LookupError:
        decoder = codecs.getincrementaldecoder("utf-8-sig")
    textual = _TEXTUAL.match(kind.lower()) is not None
    try:
        return decoder("replace" if textual else "strict").decode(body, final=not cut)
    except (UnicodeError, ValueError):
        return None
