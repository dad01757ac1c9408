"""autogen-core: an agent is an object in a runtime on asyncio; each message is handled in a task of its own.

All is as its runtime comes: with its tracing, which has nowhere to report to, and its log, which is not shown. What is
told is published to a topic with one subscriber, as a message sent to an agent is a request, whose reply is waited for.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any, TypeVar, cast

from tests.benchmarks.actors.workloads import RING, SUBSCRIBERS, Manner, Meter, Number, resident_bytes

# Not by an import statement, as types are checked where it is not installed, too.
autogen: Any = importlib.import_module("autogen_core")

MANNER = Manner(share=0.1)

Handler = TypeVar("Handler", bound=Callable[..., Any])


def version() -> str:
    return f"autogen-core {importlib.metadata.version('autogen-core')}"


class Agent(autogen.RoutedAgent):  # type: ignore[misc]
    """The one place that knows that the library's types are unknown."""

    def __init__(self) -> None:
        super().__init__("an agent")


def handles(method: Handler) -> Handler:
    """Make the method the handler of the messages of its argument's type."""
    return cast(Handler, autogen.message_handler(method))


class Counter(Agent):
    """Counts its messages, and says so when it has had them all."""

    def __init__(self, expected: int, done: asyncio.Event) -> None:
        super().__init__()
        self._expected = expected
        self._count = 0
        self._done = done

    @handles
    async def on_number(self, message: Number, ctx: Any) -> None:
        self._count += 1
        if self._count == self._expected:
            self._done.set()


class Answerer(Agent):
    """Answers requests."""

    @handles
    async def on_number(self, message: Number, ctx: Any) -> int:
        return message.value + 1


class Hop(Agent):
    """Passes the token on, less one."""

    def __init__(self, done: asyncio.Event) -> None:
        super().__init__()
        self._onward = _topic("ring", (int(self.id.key) + 1) % RING)
        self._done = done

    @handles
    async def on_number(self, message: Number, ctx: Any) -> None:
        if message.value:
            await self.publish_message(Number(message.value - 1), self._onward)
        else:
            self._done.set()


def _topic(type: str, key: int) -> Any:
    """What is published to it reaches the agent with that key, of each type that subscribes to this type of topic."""
    return autogen.TopicId(type, str(key))


async def _registered(runtime: Any, agent: type[Agent], name: str, topic: str, factory: Callable[[], Agent]) -> None:
    await agent.register(runtime, name, factory)
    await runtime.add_subscription(autogen.TypeSubscription(topic, name))


async def _present(runtime: Any, name: str, key: int) -> Any:
    """An agent, made now rather than with its first message."""
    return await runtime.get(autogen.AgentId(name, str(key)), lazy=False)


def tell(count: int) -> float:
    """Nothing holds the producer back."""

    async def main() -> float:
        runtime, done = autogen.SingleThreadedAgentRuntime(), asyncio.Event()
        await _registered(runtime, Counter, "counter", "told", lambda: Counter(count, done))
        await _present(runtime, "counter", 0)
        runtime.start()
        with Meter(count) as meter:
            for n in range(count):
                await runtime.publish_message(Number(n), _topic("told", 0))
            await done.wait()
        await runtime.stop()
        return meter.cost

    return asyncio.run(main())


def ask(count: int) -> float:
    """A message is sent, and the reply waited for."""

    async def main() -> float:
        runtime = autogen.SingleThreadedAgentRuntime()
        await Answerer.register(runtime, "answerer", Answerer)
        agent = await _present(runtime, "answerer", 0)
        runtime.start()
        with Meter(count) as meter:
            for n in range(count):
                await runtime.send_message(Number(n), agent)
        await runtime.stop()
        return meter.cost

    return asyncio.run(main())


def ring(count: int) -> float:
    """The token is a number that falls by one with each hop."""

    async def main() -> float:
        runtime, done = autogen.SingleThreadedAgentRuntime(), asyncio.Event()
        await _registered(runtime, Hop, "hop", "ring", lambda: Hop(done))
        for n in range(RING):
            await _present(runtime, "hop", n)
        runtime.start()
        with Meter(count) as meter:
            await runtime.publish_message(Number(count - 1), _topic("ring", 0))
            await done.wait()
        await runtime.stop()
        return meter.cost

    return asyncio.run(main())


def spawn_stop(count: int) -> float:
    """An agent starts with its first message, and can be closed; the runtime keeps it all the same."""

    async def main() -> float:
        runtime = autogen.SingleThreadedAgentRuntime()
        await Answerer.register(runtime, "answerer", Answerer)
        runtime.start()
        with Meter(count) as meter:
            for n in range(count):
                id = autogen.AgentId("answerer", str(n))
                await runtime.send_message(Number(n), id)
                agent = await runtime.try_get_underlying_agent_instance(id)
                await agent.close()
        await runtime.stop()
        return meter.cost

    return asyncio.run(main())


def idle_bytes(count: int) -> float:
    """An object that the runtime keeps."""

    async def main() -> float:
        runtime = autogen.SingleThreadedAgentRuntime()
        await Answerer.register(runtime, "answerer", Answerer)
        runtime.start()
        before = resident_bytes()
        for n in range(count):
            await _present(runtime, "answerer", n)
        taken = resident_bytes() - before
        await runtime.stop()
        return taken / count

    return asyncio.run(main())


def publish_100(count: int) -> float:
    """A topic with that many subscribers."""

    async def main() -> float:
        messages = count // SUBSCRIBERS
        runtime = autogen.SingleThreadedAgentRuntime()
        done = [asyncio.Event() for _ in range(SUBSCRIBERS)]
        for n, event in enumerate(done):
            name = f"subscriber-{n}"
            await _registered(runtime, Counter, name, "news", functools.partial(Counter, messages, event))
            await _present(runtime, name, 0)
        runtime.start()
        with Meter(messages * SUBSCRIBERS) as meter:
            for n in range(messages):
                await runtime.publish_message(Number(n), _topic("news", 0))
            for event in done:
                await event.wait()
        await runtime.stop()
        return meter.cost

    return asyncio.run(main())
