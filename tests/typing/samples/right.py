"""Right code: what type checkers have to accept, and which types they have to see in it. It is never run."""

from __future__ import annotations

import functools
from typing import Any, assert_type

import attrs

from anima.actors import (
    Actor,
    ActorRef,
    ActorSpec,
    Inbox,
    PoolSpec,
    Request,
    Stop,
    System,
    Terminated,
    Timer,
    message,
    open_system,
    receive,
)
from anima_supervisors import ChildSpec, SupervisorSpec


@message
class Greeting:
    text: str


@message
class Greet(Request[Greeting]):
    name: str
    times: int = attrs.field(default=1, kw_only=True)


@message(idempotent=True)
class Count(Request[int]):
    pass


@message
class Warm(Greet):
    """A request by way of its base."""

    degrees: float


@message
class Tick:
    pass


class Greeter(Actor[Greet | Stop]):
    def __init__(self, manners: str = "hello", *, loud: bool = False) -> None:
        self.manners = manners
        self.loud = loud

    @receive
    async def greet(self, message: Greet) -> Greeting:
        assert_type(message.name, str)
        assert_type(message.times, int)
        return Greeting(f"{self.manners} {message.name}")


class Counter(Actor[Count]):
    @receive
    async def count(self, message: Count) -> int:
        return 1


class Numbered(Actor[Tick]):
    def __init__(self, id: int) -> None:
        self.id = id

    @receive
    async def tick(self, message: Tick) -> None: ...


class Parent(Actor[Greet | Count | Tick | Terminated | Stop]):
    async def started(self) -> None:
        greeter = await self.spawn("greeter", Greeter, "good day", loud=True)
        assert_type(greeter, ActorRef[Greet | Stop])
        assert_type(await greeter.ask(Greet("Ada")), Greeting)
        assert_type(await self.spawn("numbered", Numbered, id=1), ActorRef[Tick])
        self.watch(greeter)
        assert_type(self.ref, ActorRef[Greet | Count | Tick | Terminated | Stop])
        assert_type(self.every(1.0, Tick()), Timer)
        self.after(1.0, Greet("Ada"))
        self.after(1.0, Stop())

    @receive
    async def greet(self, message: Greet) -> Greeting:
        return Greeting(message.name)

    @receive
    async def others(self, message: Count | Tick) -> int | None:
        return None

    @receive
    async def gone(self, message: Terminated) -> None:
        assert_type(message.ref, ActorRef[Any])


async def spawning(system: System) -> None:
    assert_type(await system.spawn("a", Greeter), ActorRef[Greet | Stop])
    assert_type(await system.spawn("b", Greeter, "good day"), ActorRef[Greet | Stop])
    assert_type(await system.spawn("c", Greeter, "good day", loud=True), ActorRef[Greet | Stop])
    assert_type(await system.spawn("d", Counter), ActorRef[Count])
    assert_type(await system.spawn("numbered", Numbered, id=1), ActorRef[Tick])
    assert_type(await system.spawn("e", functools.partial(Greeter, loud=True)), ActorRef[Greet | Stop])
    assert_type(await system.spawn("f", lambda: Greeter("good day")), ActorRef[Greet | Stop])


async def beside() -> None: ...


async def specs(system: System) -> None:
    one = ActorSpec("one", Greeter)
    assert_type(one, ActorSpec[Greet | Stop])
    assert_type(await system.spawn(one), ActorRef[Greet | Stop])
    other = ActorSpec("other", functools.partial(Greeter, "good day"), attempts=2)
    assert_type(other, ActorSpec[Greet | Stop])
    pool = PoolSpec(one, 3)
    assert_type(pool, PoolSpec[Greet | Stop])
    assert_type(await system.spawn(pool), ActorRef[Greet | Stop])
    assert_type(await system.spawn(PoolSpec(ActorSpec("many", Counter), 3)), ActorRef[Count])
    async with open_system(SupervisorSpec(children=[one.child(), pool.child(), ChildSpec("beside", beside)])) as tree:
        assert_type(tree, System)


async def sending(greeter: ActorRef[Greet | Stop], parent: ActorRef[Greet | Count | Tick]) -> None:
    greeter.tell(Greet("Ada"))
    greeter.tell(Greet(name="Ada", times=2))
    greeter.tell(Warm("Ada", 36.6, times=2))
    greeter.tell(Stop())
    await greeter.put(Greet("Ada"))
    assert_type(await greeter.ask(Greet("Ada")), Greeting)
    assert_type(await greeter.ask(Warm("Ada", 36.6, times=2), timeout=1.0), Greeting)
    assert_type((await parent.ask(Greet("Ada"))).text, str)
    assert_type(await parent.ask(Count()), int)


async def either(parent: ActorRef[Greet | Count | Tick], request: Greet | Count) -> None:
    parent.tell(request)
    answer: Greeting | int = await parent.ask(request)
    print(answer)
    if isinstance(request, Count):
        assert_type(await parent.ask(request), int)


def wants_greets(greeter: ActorRef[Greet]) -> None: ...


def wants_warm(greeter: ActorRef[Warm]) -> None: ...


def addresses(system: System, greeter: ActorRef[Greet | Stop], anybody: ActorRef[Any]) -> None:
    assert_type(system.ref("home/greeter", Greeter), ActorRef[Greet | Stop])
    assert_type(system.ref("home/greeter"), ActorRef[Any])
    assert_type(system.actors()[0], ActorRef[Any])
    # who takes more than is needed will do
    wants_greets(greeter)
    wants_warm(greeter)
    wants_greets(anybody)
    anybody.tell(Tick())


async def inboxes(system: System) -> None:
    async with system.open_inbox(Greeting) as inbox:
        assert_type(inbox, Inbox[Greeting])
        assert_type(inbox.ref, ActorRef[Greeting])
        assert_type(await inbox.receive(), Greeting)
        async for greeting in inbox:
            assert_type(greeting, Greeting)
    async with system.open_inbox(Greeting, Tick, name="both") as both:
        assert_type(await both.receive(), Greeting | Tick)
        both.ref.tell(Tick())
    async with system.open_inbox(Greeting, Tick, Stop) as three:
        assert_type(await three.receive(), Greeting | Tick | Stop)
    async with system.open_inbox(Greeting, Tick, Stop, Terminated) as more:
        assert_type(await more.receive(), Any)


def messages(greet: Greet) -> None:
    assert_type(Greet("Ada", times=2), Greet)
    assert_type(Count(), Count)
    assert_type(greet.name, str)
    assert_type(Greet("Ada") == greet, bool)
