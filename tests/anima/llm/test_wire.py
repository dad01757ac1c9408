"""Both wire formats against a real server on this machine: each fault ends as documented, in an error or an answer."""

from __future__ import annotations

import os
import traceback
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

import attrs
import httpx
import pytest
import trio

from anima.llm import (
    AnthropicModel,
    Assembly,
    BadKey,
    BadRequest,
    BrokenStream,
    ContextOverflow,
    Finish,
    FinishReason,
    Model,
    ModelAnswer,
    ModelError,
    ModelEvent,
    ModelRequest,
    ModelSpec,
    ModelTimeout,
    NetworkFailed,
    OpenAIModel,
    QuotaExceeded,
    RateLimited,
    Reasoning,
    Secret,
    ServerFailed,
    Text,
    TextDelta,
    Timeouts,
    ToolSpec,
    Usage,
    UserMessage,
    open_client,
)
from anima_supervisors import BadSpec
from anima_tools import ToolCall
from tests.servers import answers
from tests.servers.answers import Answer
from tests.servers.model_server import Script, serve

FORMATS = ["openai", "anthropic"]
KEY = "sk-test-0123456789abcdef"
CALL = ToolCall("c1", "add", '{"a": 1, "b": 2}')
WHOLE = Answer(text="Hello you there", calls=[CALL], usage=Usage(9, 4, 1))
DROPPED = Answer(cut=0)  # the connection is closed without a byte
SHORT = Answer(text="Hi", calls=[ToolCall("c1", "add", '{"a": 1}')])

pytestmark = pytest.mark.parametrize("wire", FORMATS)


@pytest.fixture(scope="module")
def certificates() -> Any:
    """Loading them takes longer than a test."""
    return httpx.create_ssl_context(verify=False)


@pytest.fixture
async def client(certificates: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=certificates, timeout=None, trust_env=False) as client:
        yield client


def model(wire: str, client: httpx.AsyncClient, url: str, **spec: Any) -> Model:
    spec.setdefault("api_key", Secret(KEY))
    found = ModelSpec(provider=wire, model="m", base_url=url, **spec)
    return OpenAIModel(found, client) if wire == "openai" else AnthropicModel(found, client)


REQUEST = ModelRequest(messages=[UserMessage("hi")])


async def events(of: Model, request: ModelRequest = REQUEST) -> list[ModelEvent]:
    async with aclosing(of.stream(request)) as stream:
        return [event async for event in stream]


async def answer(of: Model, request: ModelRequest = REQUEST) -> ModelAnswer:
    assembly = Assembly()
    for event in await events(of, request):
        assembly.feed(event)
    found = assembly.answer()
    assert found is not None
    return found


async def asked(wire: str, client: httpx.AsyncClient, script: Script, **spec: Any) -> ModelAnswer:
    async with serve(script) as server:
        return await answer(model(wire, client, server.url, **spec))


async def failure(wire: str, client: httpx.AsyncClient, fault: Answer, **spec: Any) -> ModelError:
    """What the model raises for this answer; the key is nowhere in it."""
    with pytest.raises(ModelError) as caught:
        await asked(wire, client, [fault], **spec)
    assert_no_key(caught.value)
    return caught.value


def assert_no_key(error: BaseException) -> None:
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__) + repr(error.__context__)
    assert KEY not in shown


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


async def test_half_a_call_is_none(wire: str, client: httpx.AsyncClient) -> None:
    for chunked in (True, False):
        fault = attrs.evolve(WHOLE, half_call=True, chunked=chunked)
        assert type(await failure(wire, client, fault)) is BrokenStream


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_close_at_any_byte_gives_the_whole_answer_or_an_error(
    wire: str, client: httpx.AsyncClient, chunked: bool
) -> None:
    """At each byte in the torture profile, at some of them otherwise; the test below has no socket and does all."""
    whole = await asked(wire, client, [SHORT])
    step = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "torture" else 7
    answered = failed = place = 0
    async with serve(lambda _: attrs.evolve(SHORT, cut=place, chunked=chunked)) as server:
        asks = model(wire, client, server.url)
        while server.cuts == place // step:
            try:
                found = await answer(asks)
            except NetworkFailed:
                failed += 1
                assert answered == 0, "more of the stream made less of the answer"
            else:
                answered += 1
                assert (found.message, found.finish.reason) == (whole.message, whole.finish.reason)
            place += step
    assert answered > 1
    assert failed > 100


async def test_a_stream_that_ends_at_any_byte_gives_the_whole_answer_or_an_error(wire: str) -> None:
    events = answers.chat_events(SHORT, 1) if wire == "openai" else answers.message_events(SHORT, 1)
    data = b"".join(events)
    ends = [place for place in range(len(data) + 1) for _ in range(2)]

    class Stream(httpx.AsyncByteStream):
        def __init__(self, end: int, breaks: bool) -> None:
            self._end, self._breaks = end, breaks

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield data[: self._end // 2]
            yield data[self._end // 2 : self._end]
            if self._breaks:
                raise httpx.RemoteProtocolError("closed")

    def respond(_: httpx.Request) -> httpx.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=headers, stream=Stream(ends.pop(), breaks=len(ends) % 2 == 0))

    results: list[ModelAnswer | None] = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        while ends:
            try:
                results.append(await answer(model(wire, client, "http://host")))
            except BrokenStream:
                results.append(None)
    whole = [found.message for found in results if found is not None]
    assert all(message == whole[0] for message in whole)
    assert results.index(None) == len(whole), "more of the stream made less of the answer"
    assert len(whole) > 4


# Nobody there


async def test_no_server_is_a_failure_of_the_network(wire: str, client: httpx.AsyncClient) -> None:
    with trio.socket.socket() as closed:
        await closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        with pytest.raises(NetworkFailed, match=url) as caught:
            await answer(model(wire, client, url))
    assert type(caught.value) is NetworkFailed
    assert_no_key(caught.value)


async def test_a_kept_connection_that_has_died_costs_one_more_try(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([WHOLE, DROPPED, WHOLE]) as server:
        asks = model(wire, client, server.url)
        await answer(asks)
        await answer(asks)
        assert len(server.requests) == 3
        assert server.connections == 2


async def test_a_new_connection_that_dies_costs_no_more(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([DROPPED, WHOLE]) as server:
        with pytest.raises(NetworkFailed) as caught:
            await answer(model(wire, client, server.url))
        assert len(server.requests) == 1
    assert type(caught.value) is NetworkFailed
    assert_no_key(caught.value)


async def test_it_is_tried_once_more_and_over_no_other_kept_connection(wire: str, client: httpx.AsyncClient) -> None:
    script = [attrs.evolve(WHOLE, delay=0.02), attrs.evolve(WHOLE, delay=0.02), DROPPED, DROPPED, WHOLE]
    async with serve(script) as server:
        asks = model(wire, client, server.url)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer, asks)
            nursery.start_soon(answer, asks)
        assert server.connections == 2  # both are kept
        with pytest.raises(NetworkFailed):
            await answer(asks)
        assert len(server.requests) == 4
        assert server.connections == 3


async def test_a_connection_that_breaks_within_the_answer_is_not_tried_again(
    wire: str, client: httpx.AsyncClient
) -> None:
    async with serve([WHOLE, attrs.evolve(WHOLE, half_call=True), WHOLE]) as server:
        asks = model(wire, client, server.url)
        await answer(asks)
        with pytest.raises(BrokenStream):
            await answer(asks)
        assert len(server.requests) == 2


# Waiting


@pytest.mark.parametrize(
    ("hang", "limits", "stage"),
    [
        ("response", Timeouts(first_token=0.05), "no first token within 0.05 s"),
        ("first", Timeouts(first_token=0.05), "no first token within 0.05 s"),
        ("middle", Timeouts(between=0.05), "nothing came for 0.05 s"),
        ("response", Timeouts(total=0.05), "not complete within 0.05 s"),
        ("first", Timeouts(total=0.05), "not complete within 0.05 s"),
        ("middle", Timeouts(total=0.05), "not complete within 0.05 s"),
    ],
)
async def test_each_wait_has_its_deadline(
    wire: str, client: httpx.AsyncClient, hang: str, limits: Timeouts, stage: str
) -> None:
    async with serve([attrs.evolve(WHOLE, hang=hang)]) as server:
        with pytest.raises(ModelTimeout, match=stage) as caught:
            await answer(model(wire, client, server.url, timeouts=limits))
        await server.wait_disconnects()
    assert_no_key(caught.value)


async def test_a_stream_that_drips_for_ever_meets_the_total_deadline(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([Answer(text="x " * 1000, drip=0.005)]) as server:
        with pytest.raises(ModelTimeout, match=r"timeouts\.total"):
            await answer(model(wire, client, server.url, timeouts=Timeouts(total=0.06)))
        await server.wait_disconnects()


async def test_what_is_no_token_does_not_count_as_the_first(wire: str, client: httpx.AsyncClient) -> None:
    """Comments and pings keep proxies awake, while the model has said nothing yet."""

    async def drip(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        with suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(b": wait\n\n" if wire == "openai" else b'data: {"type": "ping"}\n\n')
                await trio.sleep(0.005)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, drip, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
        with pytest.raises(ModelTimeout, match=r"timeouts\.first_token"):
            await answer(model(wire, client, url, timeouts=Timeouts(first_token=0.05)))
        nursery.cancel_scope.cancel()


async def test_a_connection_that_does_not_come_about_has_its_deadline(wire: str, client: httpx.AsyncClient) -> None:
    with trio.socket.socket() as full:
        await full.bind(("127.0.0.1", 0))
        full.listen(0)
        with trio.socket.socket() as first:  # the queue of those that nobody accepts is full now
            await first.connect(full.getsockname())
            url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
            with pytest.raises(ModelTimeout, match=r"no connection .* within 0\.05 s \(timeouts\.connect\)"):
                await answer(model(wire, client, url, timeouts=Timeouts(connect=0.05)))


@pytest.mark.parametrize("hang", ["last", "end"])
async def test_a_server_that_does_not_end_after_the_reason_keeps_nobody_waiting(
    wire: str, client: httpx.AsyncClient, hang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anima.llm._wire.LINGER", 0.03)
    async with serve([attrs.evolve(WHOLE, hang=hang)]) as server:
        assert (await answer(model(wire, client, server.url))).finish.usage == Usage(9, 4, 1)
        await server.wait_disconnects()


async def test_a_reader_that_takes_its_time_is_not_late(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([WHOLE]) as server:
        limits = Timeouts(between=0.03, first_token=0.03)
        async with aclosing(model(wire, client, server.url, timeouts=limits).stream(REQUEST)) as stream:
            assert await anext(stream) == TextDelta("Hello")
            await trio.sleep(0.06)
            rest = [event async for event in stream]
        assert isinstance(rest[-1], Finish)


# Stopping


@pytest.mark.parametrize("hang", ["response", "first", "middle"])
async def test_a_cancellation_closes_the_connection(wire: str, client: httpx.AsyncClient, hang: str) -> None:
    async with serve([attrs.evolve(WHOLE, hang=hang)]) as server, trio.open_nursery() as nursery:
        nursery.start_soon(answer, model(wire, client, server.url))
        await server.wait_requests()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5) as scope:
            await server.wait_disconnects()
        assert not scope.cancelled_caught


async def test_a_stream_that_is_closed_early_closes_the_connection(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([attrs.evolve(WHOLE, hang="middle"), WHOLE]) as server:
        asks = model(wire, client, server.url)
        async with aclosing(asks.stream(REQUEST)) as stream:
            await anext(stream)
        await server.wait_disconnects()
        await answer(asks)
        assert server.connections == 2


async def test_a_stream_that_is_closed_before_it_began_asks_nobody(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([WHOLE]) as server:
        await model(wire, client, server.url).stream(REQUEST).aclose()
        assert server.requests == []


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
