"""Keys, headers and URLs: what is sent where, and never shown."""

from __future__ import annotations

import traceback

import httpx
import pytest

from anima.llm import (
    AnthropicModel,
    BadKey,
    BadRequest,
    ModelSpec,
    OpenAIModel,
    Secret,
    ServerFailed,
    open_client,
)
from anima.llm._post import Post, endpoint
from anima_supervisors import BadSpec
from tests.anima.llm.asking import FORMATS, KEY, WHOLE, answer, model
from tests.servers.answers import Answer
from tests.servers.model_server import serve

pytestmark = pytest.mark.parametrize("wire", FORMATS)


# Keys and URLs


@pytest.mark.parametrize("key", ["", " ", "sk-\u2026-0123456789", "sk-0123\n456789"])
async def test_a_key_that_can_be_none_is_not_sent(wire: str, client: httpx.AsyncClient, key: str) -> None:
    async with serve([WHOLE]) as server:
        with pytest.raises(BadKey) as caught:
            await answer(model(wire, client, server.url, api_key=Secret(key)))
        assert server.requests == []
    assert "0123" not in "".join(traceback.format_exception(caught.value))


async def test_space_around_a_key_does_not_matter(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([WHOLE]) as server:
        await answer(model(wire, client, server.url, api_key=Secret(f" {KEY}\n")))
        assert server.requests[0].headers["authorization" if wire == "openai" else "x-api-key"].endswith(KEY)


async def test_a_header_that_can_be_none_is_not_sent(wire: str, client: httpx.AsyncClient) -> None:
    with pytest.raises(BadRequest, match="'x-own'") as caught:
        await answer(model(wire, client, "http://127.0.0.1:1", headers={"x-own": f"a\n{KEY}"}))
    assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_the_provider_itself_is_not_asked_without_a_key(wire: str, client: httpx.AsyncClient) -> None:
    spec = ModelSpec(provider=wire, model="m")
    asks = OpenAIModel(spec, client) if wire == "openai" else AnthropicModel(spec, client)
    with pytest.raises(BadKey, match=f"Set {wire.upper()}_API_KEY"):
        await answer(asks)


async def test_other_servers_may_need_no_key(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([WHOLE]) as server:
        await answer(model(wire, client, server.url, api_key=None))
        assert not {"authorization", "x-api-key"} & set(server.requests[0].headers)


@pytest.mark.parametrize(
    "url", ["localhost:80/v1", "ftp://localhost", "http://", "", "http://[::1", "http://host:port", "http://a b"]
)
async def test_a_base_url_that_is_none_is_refused(wire: str, url: str, client: httpx.AsyncClient) -> None:
    with pytest.raises(BadSpec, match="base_url"):
        model(wire, client, url)


@pytest.mark.parametrize("host", ["\xe9..b", "a..b"])
async def test_a_host_that_cannot_be_is_our_fault(wire: str, client: httpx.AsyncClient, host: str) -> None:
    with pytest.raises(BadRequest, match="base_url"):
        await answer(model(wire, client, f"http://{host}/v1"))


async def test_a_query_and_a_password_in_the_base_url_are_sent_and_not_shown(
    wire: str, client: httpx.AsyncClient
) -> None:
    async with serve([Answer(status=400, error="no passw0rd, no version-7")]) as server:
        url = server.url.replace("//", "//me:passw0rd@") + "/?api=version-7"
        with pytest.raises(BadRequest) as caught:
            await answer(model(wire, client, url, api_key=None))
        assert server.requests[0].headers["authorization"].startswith("Basic ")
    assert "no ***, no ***" in str(caught.value)
    assert "passw0rd" not in str(caught.value)


async def test_the_version_in_the_base_url_may_be_missing_where_the_provider_leaves_it_out(
    wire: str, client: httpx.AsyncClient
) -> None:
    async with serve([WHOLE]) as server:
        await answer(model(wire, client, server.url.removesuffix("/v1")))
        assert server.requests[0].path == ("/chat/completions" if wire == "openai" else "/v1/messages")


async def test_the_shared_client_goes_to_this_machine_without_a_proxy(
    wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with await open_client() as client, serve([WHOLE]) as server:
        await answer(model(wire, client, server.url))


async def test_a_model_shows_its_name_and_no_key(wire: str, client: httpx.AsyncClient) -> None:
    asks = model(wire, client, "http://host/v1")
    assert asks.name == f"{wire}:m"
    assert f"{wire}:m" in repr(asks)
    assert KEY not in repr(asks)


async def test_each_provider_has_its_place(wire: str) -> None:
    asked: list[tuple[str, str]] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append((str(request.url), request.headers.get("authorization") or request.headers.get("x-api-key", "")))
        return httpx.Response(500)

    provider = "ollama" if wire == "openai" else "anthropic"
    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        for spec in (
            ModelSpec(provider=wire, model="m", api_key=Secret(KEY)),
            ModelSpec(provider=provider, model="m", headers={"X-Api-Key": KEY}),
        ):
            with pytest.raises(ServerFailed):
                await answer(OpenAIModel(spec, client) if wire == "openai" else AnthropicModel(spec, client))
    if wire == "openai":
        assert asked == [
            ("https://api.openai.com/v1/chat/completions", f"Bearer {KEY}"),
            ("http://127.0.0.1:11434/v1/chat/completions", KEY),
        ]
    else:
        assert asked == [("https://api.anthropic.com/v1/messages", KEY)] * 2


async def test_a_provider_that_is_not_known_needs_a_base_url(wire: str, client: httpx.AsyncClient) -> None:
    if wire == "openai":
        with pytest.raises(BadSpec, match="no default"):
            OpenAIModel(ModelSpec(provider="mine", model="m"), client)


async def test_a_post_shows_no_secret(wire: str) -> None:
    spec = ModelSpec(provider=wire, model="m", base_url="http://me:passw0rd@host/v1?key=secret-7", api_key=Secret(KEY))
    post = Post(
        model=spec.name,
        endpoint=endpoint(spec, None, "/x"),
        key=spec.api_key,
        key_header=("authorization", "Bearer "),
        headers={"x-own": "own-secret"},
        body={"a": "told"},
        timeouts=spec.timeouts,
    )
    assert post.endpoint.url == "http://me:passw0rd@host/v1/x?key=secret-7"
    assert post.endpoint.shown == "http://host/v1/x"
    for secret in (KEY, "passw0rd", "secret-7", "own-secret", "told"):
        assert secret not in repr(post)
    assert set(post.secrets) == {KEY, "passw0rd", "secret-7", "own-secret"}
