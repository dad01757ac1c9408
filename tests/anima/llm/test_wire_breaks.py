"""Connections that break, hang, or are closed, in both wire formats, against a real server on this machine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from functools import partial

import attrs
import httpx
import pytest
import trio

from anima.llm import (
    BrokenStream,
    Finish,
    ModelAnswer,
    ModelRequest,
    ModelTimeout,
    NetworkFailed,
    TextDelta,
    Timeouts,
    Usage,
    UserMessage,
)
from tests.anima.llm.asking import (
    DROPPED,
    FORMATS,
    REQUEST,
    SHORT,
    WHOLE,
    answer,
    asked,
    assert_no_key,
    failure,
    model,
)
from tests.servers import answers
from tests.servers.answers import Answer
from tests.servers.model_server import serve

pytestmark = pytest.mark.parametrize("wire", FORMATS)


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


async def test_a_cancellation_while_the_request_is_sent_closes_the_connection(
    wire: str, client: httpx.AsyncClient
) -> None:
    """More than fits into the buffers of a connection that nobody reads from."""
    ended = trio.Event()

    async def stuff(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        asking.cancel()
        with suppress(trio.BrokenResourceError):
            while await stream.receive_some():
                pass
        ended.set()

    request = ModelRequest(messages=[UserMessage("x" * 20_000_000)])
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, stuff, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
        with trio.CancelScope() as asking:
            await answer(model(wire, client, url), request)
        assert asking.cancelled_caught
        await ended.wait()
        nursery.cancel_scope.cancel()


async def test_a_stream_that_is_closed_before_it_began_asks_nobody(wire: str, client: httpx.AsyncClient) -> None:
    async with serve([WHOLE]) as server:
        await model(wire, client, server.url).stream(REQUEST).aclose()
        assert server.requests == []
