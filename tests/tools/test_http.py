"""The tool for HTTP: what it returns, how far it goes, and where it does not go."""

from __future__ import annotations

import gzip
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from anima_tools import Invocation, Toolbox, ToolCall, ToolResult, Workspace
from anima_tools.builtin import _http
from anima_tools.builtin._addresses import is_allowed, is_public

from .conftest import Call


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


@pytest.fixture
async def server(nursery: trio.Nursery) -> Server:
    server = Server()
    (listener,) = await nursery.start(partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1"))
    server.port = listener.socket.getsockname()[1]
    return server


# What it returns


async def test_status_type_and_body_are_returned(call: Call, server: Server) -> None:
    server.answers["/a?b=c"] = ok("<b>één</b>", "text/html; charset=utf-8")
    result = await call("http", url=server.url("/a?b=c#d"))
    assert result == ToolResult("c", "http", "200 OK\ncontent-type: text/html; charset=utf-8\n\n<b>één</b>")
    ((first, headers, body),) = server.requests
    assert first == "GET /a?b=c HTTP/1.1"
    assert headers["host"] == f"localhost:{server.port}"
    assert body == b""


async def test_an_error_of_the_server_is_an_answer(call: Call, server: Server) -> None:
    server.answers["/"] = ok("no", status="500 Internal Server Error")
    result = await call("http", url=server.url())
    assert not result.failed
    assert result.content == "500 Internal Server Error\ncontent-type: text/plain\n\nno"
    assert (await call("http", url=server.url("/other"))).content.startswith("404 Not Found\n")


async def test_a_request_carries_method_headers_body_and_the_key_of_its_step(call: Call, server: Server) -> None:
    await call("http", url=server.url(), method="POST", body='{"é": 1}', headers={"X-Token": "t", "User-Agent": "me"})
    ((first, headers, body),) = server.requests
    assert first == "POST / HTTP/1.1"
    assert json.loads(body) == {"é": 1}
    assert headers["content-type"] == "application/json"
    assert headers["x-token"] == "t"
    assert headers["user-agent"] == "me"
    assert headers["idempotency-key"] == "key-1"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (ok(b"caf\xe9", "text/plain; charset=latin-1"), "café"),
        (ok(b"caf\xc3\xa9", "application/json"), "café"),
        (ok(b"\xef\xbb\xbfcaf\xc3\xa9", ""), "café"),
        (ok(b"caf\xe9", "text/plain"), "caf\ufffd"),
        (ok(b"caf\xc3\xa9", "text/plain; charset=klingon"), "café"),
        (ok("a".encode("utf-16"), "text/plain; charset=utf-16"), "a"),
        (ok(b"\x89PNG\0", "image/png"), "[a body that is no text is left out: 5 bytes]"),
        (ok(b"\xff\xfe\xfd", "application/octet-stream"), "[a body that is no text is left out: 3 bytes]"),
        (ok(gzip.compress(b"packed"), "text/plain", "content-encoding: gzip"), "packed"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "ab"),
    ],
)
async def test_a_body_becomes_text(answer: bytes, text: str, call: Call, server: Server) -> None:
    server.answers["/"] = answer
    result = await call("http", url=server.url())
    assert not result.failed
    assert result.content.partition("\n\n")[2] == text


async def test_of_a_large_body_the_beginning_is_read(
    call: Call, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "LARGEST_BODY", 2048)
    server.answers["/"] = ok("é" * 3000)
    end = "\n[the body goes on; only its first 2 KiB are read]"
    assert (await call("http", url=server.url())).content.partition("\n\n")[2] == "é" * 1024 + end
    # The limit is in the middle of a character.
    server.answers["/"] = ok("a" + "é" * 3000)
    assert (await call("http", url=server.url())).content.partition("\n\n")[2] == "a" + "é" * 1023 + end


async def test_a_body_that_unpacks_to_gigabytes_does_not(call: Call, server: Server) -> None:
    server.answers["/"] = ok(gzip.compress(b"a" * 50_000_000), "text/plain", "content-encoding: gzip")
    tracemalloc.start()
    try:
        result = await call("http", url=server.url())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.content.endswith("[the body goes on; only its first 1024 KiB are read]")
    assert peak < 20_000_000


# What does not work


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"SSH-2.0-x\r\n\r\n", "HttpFailed: GET"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "HttpFailed: GET"),
        (b"", "HttpFailed: GET"),
        (ok(b"not gzip", "text/plain", "content-encoding: gzip"), "cannot be unpacked"),
        (ok(b"x", "text/plain", "content-encoding: br"), "packed by 'br', which nobody has asked for"),
        (to("ftp://localhost/"), "is redirected to where nobody can go: 'ftp://localhost/' is not"),
        (to("http://a:b/"), "HttpFailed: GET"),
    ],
)
async def test_a_server_that_makes_no_sense_is_told(answer: bytes, says: str, call: Call, server: Server) -> None:
    server.answers["/"] = answer
    result = await call("http", url=server.url())
    assert result.failed
    assert says in result.content


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"url": "file:///etc/passwd"}, "begins with http:// or https://"),
        ({"url": "localhost/a"}, "begins with http:// or https://"),
        ({"url": "http://"}, "begins with http:// or https://"),
        ({"url": "http://a:b:c/"}, "is no address"),
        ({"url": "http://localhost/\x00"}, "is no address"),
        ({"url": "http://localhost/", "method": "TRACE"}, "expected one of"),
        ({"url": "http://localhost/", "headers": {"Host": "other"}}, "the header 'Host' cannot be set"),
        ({"url": "http://localhost/", "headers": {"Proxy-Authorization": "x"}}, "cannot be set"),
        ({"url": "http://localhost/", "headers": {"X": "a\r\nY: b"}}, "has characters that none may have"),
        ({"url": "http://localhost/", "headers": {"X": "漢"}}, "has characters that none may have"),
        ({"url": "http://localhost/", "headers": {"X Y": "a"}}, "has characters that none may have"),
    ],
)
async def test_a_request_that_cannot_be_sent_is_refused(arguments: dict[str, Any], says: str, call: Call) -> None:
    result = await call("http", **arguments)
    assert result.failed
    assert says in result.content


async def test_a_host_that_is_not_there_is_told(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: object, **__: object) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", nobody)
    result = await call("http", url="http://nowhere.example/")
    assert result.content == "HttpFailed: the host 'nowhere.example' is not known: Name or service not known"


async def test_a_port_where_nobody_listens_is_told(call: Call) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = await call("http", url=f"http://localhost:{unused.getsockname()[1]}/")
    assert result.failed
    assert result.content.startswith("HttpFailed: GET http://localhost:")


async def test_cancelling_closes_the_connection(call: Call, server: Server) -> None:
    server.answers["/"] = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(call, "http", url=server.url()))
        await server.arrived.wait()
        nursery.cancel_scope.cancel()
    with trio.fail_after(10):
        await server.closed.wait()


async def test_a_server_that_hangs_is_left_at_the_deadline(server: Server, invocation: Invocation) -> None:
    server.answers["/"] = None
    toolbox = Toolbox([attrs.evolve(_http.http, deadline=0.2)])
    result = await toolbox.run(ToolCall("c", "http", json.dumps({"url": server.url()})), invocation)
    assert result.content == "ToolTimeout: http did not finish within 0.2 s"
    with trio.fail_after(10):
        await server.closed.wait()


# Redirects


async def test_redirects_are_followed_and_told(call: Call, server: Server) -> None:
    server.answers |= {"/": to("/a"), "/a": to("b?c"), "/b?c": ok("here")}
    result = await call("http", url=server.url())
    assert result.content == f"200 OK\nurl: {server.url('/b?c')}\ncontent-type: text/plain\n\nhere"


async def test_five_redirects_are_enough(call: Call, server: Server) -> None:
    server.answers |= {f"/{n}": to(f"/{n + 1}") for n in range(6)} | {"/6": ok("end")}
    assert (await call("http", url=server.url("/1"))).content.endswith("end")
    assert "redirected more than 5 times" in (await call("http", url=server.url("/0"))).content
    server.answers["/"] = to("/")
    assert (await call("http", url=server.url())).failed


@pytest.mark.parametrize(
    ("status", "method", "again"),
    [("301 Moved", "POST", "GET"), ("303 See", "PUT", "GET"), ("303 See", "HEAD", "HEAD"), ("307 T", "POST", "POST")],
)
async def test_what_is_sent_after_a_redirect(status: str, method: str, again: str, call: Call, server: Server) -> None:
    server.answers |= {"/": to("/a", status), "/a": ok("" if method == "HEAD" else "x")}
    await call("http", url=server.url(), method=method, body="text", headers={"X-Token": "t"})
    first, headers, body = server.requests[1]
    assert first == f"{again} /a HTTP/1.1"
    assert body == (b"text" if again == method else b"")
    assert headers["x-token"] == "t"


async def test_secrets_do_not_follow_a_redirect_to_somebody_else(server: Server, root: Path, builtin: Toolbox) -> None:
    server.answers |= {"/": to(server.url("/a", "127.0.0.1")), "/a": ok("x")}
    workspace = Workspace(root, root, allow_hosts=["localhost", f"127.0.0.1:{server.port}"])
    headers = {"Authorization": "Bearer s", "X-Api-Key": "s", "Cookie": "s", "Accept": "text/plain"}
    arguments = json.dumps({"url": server.url(), "headers": headers})
    result = await builtin.run(ToolCall("c", "http", arguments), Invocation("key", workspace))
    assert result.content.endswith("x")
    assert server.requests[0][1]["authorization"] == "Bearer s"
    assert "s" not in server.requests[1][1].values()
    assert server.requests[1][1]["accept"] == "text/plain"


# Where it does not go

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_as_the_one_that_it_stands_for(address: ipaddress.IPv4Address) -> None:
    assert is_public(f"::ffff:{address}") == is_public(str(address))
    assert is_public(str(ipaddress.IPv6Address((0x64FF9B << 96) | int(address)))) == is_public(str(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "0", "169.254.169.254"]
)
async def test_a_private_address_is_refused_in_every_spelling(host: str, call: Call) -> None:
    result = await call("http", url=f"http://{host}/")
    assert result.failed
    assert result.content.startswith("AddressRefused: "), result.content
    assert "can allow it by name" in result.content


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What the name server says: for each name one list of addresses after the other, the last one for ever."""
    names: dict[str, list[list[str]]] = {}

    async def getaddrinfo(host: str, port: int, **_: object) -> Any:
        await trio.lowlevel.checkpoint()
        answers = names.get(host, [[host]])
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    return names


async def test_a_name_with_a_private_address_is_refused(names: dict[str, list[list[str]]], call: Call) -> None:
    names["evil.example"] = [["1.1.1.1", "192.168.1.1"]]
    result = await call("http", url="https://evil.example/")
    assert result.content.startswith("AddressRefused: evil.example has the address 192.168.1.1, which is not one")


async def test_a_redirect_to_a_private_address_is_refused(
    names: dict[str, list[list[str]]], call: Call, server: Server
) -> None:
    names["localhost"] = [["127.0.0.1"]]
    names["evil.example"] = [["127.0.0.1"]]
    server.answers["/"] = to(server.url("/secret", "evil.example"))
    result = await call("http", url=server.url())
    assert result.content.startswith("AddressRefused: evil.example")
    assert len(server.requests) == 1


async def test_the_connection_goes_to_the_address_that_was_checked(
    names: dict[str, list[list[str]]], call: Call, server: Server
) -> None:
    """A name server that says something else when it is asked again is not asked again."""
    names["localhost"] = [["127.0.0.1"], ["203.0.113.1"]]
    server.answers["/"] = ok("x")
    assert (await call("http", url=server.url())).content.endswith("x")


async def test_the_next_address_is_tried_where_the_first_does_not_answer(
    names: dict[str, list[list[str]]], call: Call, server: Server
) -> None:
    names["localhost"] = [["127.0.0.2", "127.0.0.1"]]  # nobody listens at the first
    server.answers["/"] = ok("x")
    assert (await call("http", url=server.url())).content.endswith("x")


@pytest.mark.parametrize(
    ("allowed", "host", "port", "is_so"),
    [
        ([], "db", 80, False),
        (["db"], "db", 80, True),
        (["db"], "DB.", 80, True),
        (["DB"], "db", 80, True),
        (["db"], "my.db", 80, False),
        (["db:81"], "db", 80, False),
        (["db:81"], "db", 81, True),
        (["[::1]:81"], "::1", 81, True),
        (["[::1]"], "::1", 81, True),
    ],
)
def test_hosts_are_allowed_by_name(allowed: list[str], host: str, port: int, is_so: bool, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path, allow_hosts=allowed)
    assert is_allowed(host, port, workspace) is is_so
    assert is_allowed(host, port, Workspace(tmp_path, tmp_path, allow_private=True))


# TLS


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for `localhost` that is trusted, and the server's side of it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, crt = tmp_path / "key.pem", tmp_path / "crt.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += [
        "-keyout",
        str(key),
        "-out",
        str(crt),
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(crt))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    return context


async def test_tls_is_checked_against_the_name_and_not_the_address(
    certificate: ssl.SSLContext, names: dict[str, list[list[str]]], root: Path, builtin: Toolbox, nursery: trio.Nursery
) -> None:
    server = Server(answers={"/": ok("sealed")})

    async def serve(stream: trio.SocketStream) -> None:
        sealed = trio.SSLStream(stream, certificate, server_side=True, https_compatible=True)
        try:
            await server.serve(sealed)
        except trio.BrokenResourceError:
            await stream.aclose()

    (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    server.port = listener.socket.getsockname()[1]
    names["localhost"] = names["other.example"] = [["127.0.0.1"]]
    invocation = Invocation("", Workspace(root, root, allow_private=True))

    async def get(host: str) -> ToolResult:
        arguments = json.dumps({"url": f"https://{host}:{server.port}/"})
        return await builtin.run(ToolCall("c", "http", arguments), invocation)

    assert (await get("localhost")).content.endswith("sealed")
    refused = await get("other.example")
    assert refused.failed
    assert "CERTIFICATE_VERIFY_FAILED" in refused.content
