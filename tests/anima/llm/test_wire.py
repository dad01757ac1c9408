"""Both wire formats against a real server on this machine: each fault ends as documented, in an error or an answer."""

from __future__ import annotations

from contextlib import aclosing

import attrs
import httpx
import pytest

from anima.llm import (
    BadKey,
    BadRequest,
    ContextOverflow,
    FinishReason,
    ModelError,
    ModelRequest,
    QuotaExceeded,
    RateLimited,
    Reasoning,
    ServerFailed,
    Text,
    TextDelta,
    Timeouts,
    ToolSpec,
    Usage,
    UserMessage,
)
from tests.anima.llm.asking import CALL, FORMATS, KEY, REQUEST, WHOLE, answer, asked, events, failure, model
from tests.servers.answers import Answer
from tests.servers.model_server import serve

pytestmark = pytest.mark.parametrize("wire", FORMATS)


# Answers


async def test_an_answer_is_streamed(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([WHOLE]) as server:
        found = await events(model(wire, client, server.url))
    assert found[:3] == [TextDelta("Hello"), TextDelta(" you"), TextDelta(" there")]
    async with serve([WHOLE]) as server:
        whole = await answer(model(wire, client, server.url))
    assert whole.message.parts == (Text("Hello you there"), CALL)
    assert whole.finish.reason is FinishReason.TOOL_CALLS
    assert whole.finish.usage == Usage(9, 4, 1)
    assert (whole.finish.provider, whole.finish.model) == (wire, "test-model-1")


async def test_events_come_as_soon_as_the_server_sends_them(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([attrs.evolve(WHOLE, hang="middle")]) as server:
        async with aclosing(model(wire, client, server.url).stream(REQUEST)) as stream:
            assert await anext(stream) == TextDelta("Hello")
        await server.wait_disconnects()


async def test_the_request_is_what_the_format_says(wire: str, client: httpx.AsyncClient) -> None:
    request = ModelRequest(messages=[UserMessage("hé \ud800")], tools=[ToolSpec("add", "Adds.", {"type": "object"})])
    async with serve([WHOLE]) as server:
        await answer(model(wire, client, server.url, headers={"X-Title": "Anima tests"}), request)
        [got] = server.requests
    assert got.last == "hé ?"
    assert got.headers["x-title"] == "Anima tests"
    assert got.headers["content-type"] == "application/json"
    if wire == "openai":
        assert got.path == "/v1/chat/completions"
        assert got.headers["authorization"] == f"Bearer {KEY}"
    else:
        assert got.path == "/v1/messages"
        assert got.headers["x-api-key"] == KEY
        assert got.headers["anthropic-version"] == "2023-06-01"


async def test_reasoning_comes_with_what_is_needed_to_give_it_back(wire: str, client: httpx.AsyncClient) -> None:
    found = await asked(wire, client, [Answer(reasoning="hm hm", signature="sig", text="x")])
    signature = "sig" if wire == "anthropic" else None
    assert found.message.parts == (Reasoning("hm hm", signature), Text("x"))


async def test_a_server_that_does_not_stream_is_understood(wire: str, client: httpx.AsyncClient) -> None:
    assert await asked(wire, client, [attrs.evolve(WHOLE, stream=False)]) == await asked(wire, client, [WHOLE])


async def test_a_server_that_ends_without_the_last_event_is_understood(wire: str, client: httpx.AsyncClient) -> None:
    fault = attrs.evolve(WHOLE, done=False)
    assert await asked(wire, client, [fault]) == await asked(wire, client, [WHOLE])


async def test_one_connection_serves_many_answers(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([WHOLE, attrs.evolve(WHOLE, stream=False), Answer(status=500), WHOLE]) as server:
        asks = model(wire, client, server.url)
        await answer(asks)
        await answer(asks)
        with pytest.raises(ServerFailed):
            await answer(asks)
        await answer(asks)
        assert server.connections == 1
        assert server.disconnects == 0


async def test_drops_between_drips_do_not_matter(wire: str, client: httpx.AsyncClient) -> None:
    limits = Timeouts(between=0.5)
    assert await asked(wire, client, [attrs.evolve(WHOLE, drip=0.001)], timeouts=limits) == await asked(
        wire, client, [WHOLE]
    )


# Statuses


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Answer(status=400), BadRequest),
        (Answer(status=400, error="prompt is too long: 9 tokens > 8 maximum"), ContextOverflow),
        (Answer(status=401), BadKey),
        (Answer(status=403), BadKey),
        (Answer(status=402), QuotaExceeded),
        (Answer(status=404), BadRequest),
        (Answer(status=429), RateLimited),
        (Answer(status=500), ServerFailed),
        (Answer(status=529, error_type="overloaded_error"), ServerFailed),
    ],
)
async def test_a_status_becomes_its_error(
    wire: str, client: httpx.AsyncClient, fault: Answer, kind: type[ModelError]
) -> None:
    found = await failure(wire, client, fault)
    assert type(found) is kind
    assert found.status == fault.status
    assert found.retry_after is None
    assert found.model == f"{wire}:m"
    assert fault.error in str(found)


async def test_retry_after_is_told(wire: str, client: httpx.AsyncClient) -> None:
    assert (await failure(wire, client, Answer(status=429, retry_after="7"))).retry_after == 7.0
    assert (await failure(wire, client, Answer(status=529, retry_after="0.5"))).retry_after == 0.5


async def test_a_404_says_which_model_and_where(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([Answer(status=404)]) as server:
        with pytest.raises(BadRequest) as caught:
            await answer(model(wire, client, server.url))
        assert server.url in str(caught.value)
    assert f"{wire}:m" in str(caught.value)


async def test_a_redirect_is_not_followed(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([WHOLE]) as elsewhere:
        found = await failure(wire, client, Answer(redirect=f"{elsewhere.url}/messages"))
        assert elsewhere.requests == []
        assert elsewhere.url in str(found)
    assert type(found) is BadRequest


async def test_an_error_page_is_cut_short(wire: str, client: httpx.AsyncClient) -> None:
    page = b"<html>\n" + b"<p>down</p>\n" * 100_000
    found = await failure(wire, client, Answer(status=502, body=page, content_type="text/html"))
    assert type(found) is ServerFailed
    assert "<html> <p>down</p>" in str(found)
    assert len(str(found)) < 500


async def test_the_key_is_not_shown_when_the_server_repeats_it(wire: str, client: httpx.AsyncClient) -> None:
    for fault in (
        Answer(status=401, error=f"wrong key {KEY}!"),
        Answer(status=500, body=f"Bearer {KEY}".encode()),
        Answer(redirect=f"http://elsewhere/{KEY}"),
        Answer(body=f"<b>{KEY}</b>".encode(), content_type="text/html"),
        Answer(body=f"{{{KEY}".encode()),
        Answer(body=f"data: {KEY}\n\n".encode(), content_type="text/event-stream"),
        Answer(broken_off="api_error", error=f"wrong key {KEY}!"),
        Answer(status=400, headers={"x-echo": KEY}, error=KEY),
    ):
        assert "***" in str(await failure(wire, client, fault))


async def test_what_the_users_own_headers_hold_is_not_shown(wire: str, client: httpx.AsyncClient) -> None:
    with pytest.raises(ModelError) as caught:
        own = {"Authorization": f"Basic {KEY}", "X-Own": f"{KEY}-two"}
        await asked(wire, client, [Answer(status=400, error=f"no {KEY} and {KEY}-two")], api_key=None, headers=own)
    assert "no *** and ***" in str(caught.value)


# Answers that are none


async def test_a_page_is_no_answer(wire: str, client: httpx.AsyncClient) -> None:
    found = await failure(wire, client, Answer(body=b"<html>Welcome!</html>", content_type="text/html; charset=utf-8"))
    assert type(found) is ServerFailed
    assert "text/html" in str(found)
    assert "<html>Welcome!</html>" in str(found)
    assert "base_url" in str(found)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"{", b"", b'{"choices": []}', b"\xff"])
async def test_json_that_is_no_answer_is_shown(wire: str, client: httpx.AsyncClient, body: bytes) -> None:
    found = await failure(wire, client, Answer(body=body))
    assert type(found) is ServerFailed
    assert body.decode("utf-8", "replace") in str(found)


async def test_a_chunk_that_is_no_json_is_shown(wire: str, client: httpx.AsyncClient) -> None:
    found = await failure(wire, client, attrs.evolve(WHOLE, malformed=True))
    assert type(found) is ServerFailed
    assert "no JSON}" in str(found)


async def test_an_error_in_the_stream_ends_it(wire: str, client: httpx.AsyncClient) -> None:
    found = await failure(wire, client, Answer(text="Hel", broken_off="overloaded_error", error="too busy"))
    assert type(found) is ServerFailed
    assert "too busy" in str(found)
    found = await failure(wire, client, Answer(text="Hel", broken_off="rate_limit_error", error="slower"))
    assert type(found) is RateLimited


async def test_an_event_without_end_is_refused(wire: str, client: httpx.AsyncClient) -> None:
    fault = Answer(body=b"data: " + b"x" * 2_000_000, content_type="text/event-stream")
    assert type(await failure(wire, client, fault)) is ServerFailed
