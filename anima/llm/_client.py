"""The HTTP client that all models share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    import httpx

_HERE = ("all://127.0.0.1", "all://localhost", "all://[::1]")


def make_client() -> httpx.AsyncClient:
    """A client for all models. Blocks for up to 100 ms: it reads the certificates.

    It has no deadlines: those are of each model. It goes through the proxies that the environment names, as people
    behind a company's wall need it, but not to servers on this machine. It keeps connections for a while, and never
    follows a redirect.
    """
    import httpx

    return httpx.AsyncClient(
        timeout=None,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30.0),
        follow_redirects=False,
        trust_env=True,
        mounts=dict.fromkeys(_HERE),
    )


async def open_client() -> httpx.AsyncClient:
    """`make_client` in a thread. Use it with `async with`, so that its connections are closed."""
    return await trio.to_thread.run_sync(make_client)
