"""A client whose certificates are loaded once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest


@pytest.fixture(scope="module")
def certificates() -> Any:
    """Loading them takes longer than a test."""
    return httpx.create_ssl_context(verify=False)


@pytest.fixture
async def client(certificates: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=certificates, timeout=None, trust_env=False) as client:
        yield client
