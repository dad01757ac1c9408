"""Pools whose members say which one they are."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorRef,
    ActorSpec,
    PoolSpec,
    Request,
    RoundRobin,
    Route,
    Stop,
    System,
    message,
    receive,
)
from tests.anima.actors.puppets import Do


@message
class Who(Request[str]):
    """Answered with the number of the member."""

    key: str = ""
    seconds: float = 0


class Member(Actor[Do | Who | Stop]):
    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)

    @receive
    async def who(self, message: Who) -> str:
        if message.seconds:
            await trio.sleep(message.seconds)
        return self.ref.path.rpartition("/")[2]


async def pool_of(system: System, replicas: int, route: Route = RoundRobin(), **more: Any) -> ActorRef[Do | Who | Stop]:
    return await system.spawn(PoolSpec(ActorSpec("pool", Member, **more), replicas, route))


async def sleep_in(pool: ActorRef[Who], times: int, seconds: float) -> None:
    for _ in range(times):
        pool.tell(Who(seconds=seconds))
    await wait_all_tasks_blocked()
