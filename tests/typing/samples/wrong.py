"""Wrong code: a type checker has to complain of the lines that say so, and of no others. It is never run."""

from __future__ import annotations

import functools

from anima.actors import Actor, ActorRef, ActorSpec, PoolSpec, Request, Stop, System, message, receive


@message
class Greeting:
    text: str


@message
class Greet(Request[Greeting]):
    name: str


@message
class Count(Request[int]):
    pass


@message
class Tick:
    pass


class Greeter(Actor[Greet | Stop]):
    def __init__(self, manners: str = "hello", *, loud: bool = False) -> None:
        self.manners = manners
        self.loud = loud

    @receive
    async def greet(self, message: Greet) -> Greeting:
        message.name = "Bob"  # wrong: a message is frozen
        self.every(1.0, Tick())  # wrong: this actor does not take a Tick
        self.after(1.0, Count())  # wrong: nor a Count
        self.after("soon", Stop())  # wrong: seconds are a number
        self.after(1.0, Greet("Ada"))
        self.ref.tell(Tick())  # wrong: nor from itself
        return Greeting(message.title)  # wrong: a Greet has no title


class Parent(Actor[Tick]):
    async def started(self) -> None:
        greeter = await self.spawn("greeter", Greeter, "good day", loud=True)
        await greeter.put(Tick())  # wrong: the child does not take it, though the parent does
        await self.spawn("greeter", Greeter, 1)  # wrong: manners are a str
        await self.spawn("greeter", Greeter, polite=True)  # wrong: no such argument
        await self.spawn("greeter", Tick)  # wrong: not an actor

    @receive
    async def tick(self, message: Tick) -> None: ...


async def sending(greeter: ActorRef[Greet | Stop]) -> None:
    greeter.tell(Greet("Ada"))
    greeter.tell(Tick())  # wrong: the actor does not take it
    greeter.tell(Greet)  # wrong: the class of a message is no message
    greeter.tell("Ada")  # wrong: nor is a str
    await greeter.put(Count())  # wrong: it does not take that either
    await greeter.put(Stop())


async def asking(greeter: ActorRef[Greet | Stop], counter: ActorRef[Count], request: Greet | Count) -> None:
    await greeter.ask(Greet("Ada"))
    await greeter.ask(Tick())  # wrong: no request
    await greeter.ask(Stop())  # wrong: the actor takes it, and it is no request
    await greeter.ask(Count())  # wrong: a request that this actor does not take
    await greeter.ask(request)  # wrong: one of the two it does not take
    await greeter.ask(Greet("Ada"), timeout="1 s")  # wrong: seconds are a number
    number: int = await greeter.ask(Greet("Ada"))  # wrong: the reply is a Greeting
    greeting: Greeting = await counter.ask(Count())  # wrong: the reply is an int
    print((await greeter.ask(Greet("Ada"))).name)  # wrong: a Greeting has no name
    print(number, greeting)


async def spawning(system: System) -> None:
    await system.spawn("a", Greeter, "good day", loud=True)
    await system.spawn("b", Greeter, 1)  # wrong: manners are a str
    await system.spawn("c", Greeter, "good day", True)  # wrong: loud is named
    await system.spawn("d", Greeter, polite=True)  # wrong: no such argument
    await system.spawn("e", Tick)  # wrong: not an actor
    await system.spawn("f")  # wrong: no actor
    counter: ActorRef[Count] = await system.spawn("g", Greeter)  # wrong: a greeter does not count
    print(counter)


async def specs(system: System) -> None:
    ActorSpec("a", Tick)  # wrong: not an actor
    ActorSpec("b", functools.partial(Greeter, polite=True))  # wrong: no such argument
    PoolSpec(Greeter, 3)  # wrong: a pool is made of an ActorSpec
    many = await system.spawn(PoolSpec(ActorSpec("many", Greeter), 3))
    many.tell(Tick())  # wrong: its members do not take it


def wants_both(greeter: ActorRef[Greet | Count]) -> None: ...


def wants_greets(greeter: ActorRef[Greet]) -> None: ...


def addresses(system: System, greeter: ActorRef[Greet], both: ActorRef[Greet | Count]) -> None:
    wants_both(both)
    wants_greets(both)
    wants_greets(greeter)
    wants_both(greeter)  # wrong: who takes less than is needed will not do
    system.ref("home/greeter", Greeter).tell(Tick())  # wrong: a greeter does not take it
    system.ref("home/greeter", Greet)  # wrong: the kind is the class of the actor


async def inboxes(system: System) -> None:
    async with system.open_inbox(Greeting) as inbox:
        inbox.ref.tell(Tick())  # wrong: this inbox does not take it
        number: int = await inbox.receive()  # wrong: Greetings come out
        print(number)
    async with system.open_inbox(Greeting, Tick) as both:
        both.ref.tell(Stop())  # wrong: this inbox does not take it
    system.open_inbox()  # wrong: an inbox takes something
    system.open_inbox("Greeting")  # wrong: a class of messages


def messages(greet: Greet) -> None:
    Greet()  # wrong: a Greet needs a name
    Greet(1)  # wrong: the name is a str
    Greet("Ada", 2)  # wrong: there is no second field
    Greet(title="Ada")  # wrong: there is no such field
    greet.name = "Bob"  # wrong: a message is frozen
    greet.title = "Dr"  # wrong: there is no such field
