"""The tool for HTTP over TLS: whose certificate it takes."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from anima_tools import Invocation, Toolbox, ToolCall, ToolResult, Workspace

from .web import Server, ok


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
