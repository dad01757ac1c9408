"""Is there an HTTP 200? The probe that `anima` adds to those of the supervision floor."""

from __future__ import annotations

import attrs


@attrs.frozen
class HttpOk:
    """Answers when a GET of `url` does so with status 200. Redirects are not followed."""

    url: str

    async def __call__(self) -> bool:
        """Ask once. Raises `httpx.HTTPError` where nobody answers; cancelled, no connection is left."""
        import httpx

        # Loading certificates takes longer than the request where there is no TLS to check.
        async with httpx.AsyncClient(verify=self.url.startswith("https:"), trust_env=False) as client:
            return (await client.get(self.url)).status_code == 200
