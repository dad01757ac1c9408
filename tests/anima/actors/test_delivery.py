"""The whole: whatever actors do, and whatever is done to them, every message is accounted for and every wait ends."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable
from random import Random

import trio
from hypothesis import example, given, settings
from trio.testing import MockClock

from anima.actors import (
    ActorError,
    ActorSpec,
    ActorStopped,
    MailboxSpec,
    Overflow,
    PoolSpec,
    System,
    open_system,
)
from anima_supervisors import (
    After,
    ChildNotFound,
    ChildSpec,
    ChildStuck,
    Restart,
    RestartIntensityExceeded,
    Strategy,
    SupervisorError,
    SupervisorSpec,
    SupervisorStopped,
)
from anima_supervisors.testing import kill
from tests.anima.actors.accounts import check
from tests.anima.actors.players import KINDS, World
from tests.anima.actors.programs import Act, Inner, Leaf, Program, programs


def spec_of(world: World, node: Inner, path: str) -> SupervisorSpec:
    children = []
    for n, child in enumerate(node.children):
        below = f"{path}/{n}"
        if isinstance(child, Inner):
            children.append(ChildSpec(str(n), spec_of(world, child, below)))
        else:
            children.append(part_of(world, child, str(n), below).child())
    return SupervisorSpec(strategy=node.strategy, intensity=node.intensity, children=children)


def part_of(world: World, leaf: Leaf, id: str, path: str) -> ActorSpec[object] | PoolSpec[object]:
    world.paths.append(path)
    spec: ActorSpec[object] = ActorSpec(
        id,
        functools.partial(KINDS[leaf.kind], world),  # type: ignore[arg-type]
        leaf.restart,
        shutdown=leaf.shutdown,
        mailbox=MailboxSpec(leaf.capacity, leaf.overflow),
        attempts=leaf.attempts,
    )
    if not leaf.replicas:
        return spec
    world.paths.append(f"{path}/1")
    return PoolSpec(spec, leaf.replicas, intensity=100)


class Run:
    """One program, from outside of the actors."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.world = World()
        self.system: System
        self._scopes: list[trio.CancelScope] = []
        self._nursery: trio.Nursery

    async def run(self) -> None:
        program, world = self.program, self.world
        spec = spec_of(world, program.root, "home")
        with trio.move_on_after(10_000) as all:
            async with trio.open_nursery() as self._nursery:
                try:
                    opened = open_system(
                        spec, random=Random(program.seed), max_hops=program.max_hops, kept_letters=1_000_000
                    )
                    async with opened as self.system:
                        world.system = self.system
                        world.look()
                        for step in program.steps:
                            for _ in range(step.times):
                                await self._step(step)
                            await self._pause(step.pause)
                            world.look()
                        if program.patient:
                            await trio.sleep(60)
                except RestartIntensityExceeded:
                    pass
                # Nobody keeps deadlines any more: what is not over will never be.
                self._nursery.cancel_scope.deadline = trio.current_time() + 1
            if self._nursery.cancel_scope.cancelled_caught:
                world.wrong.append("somebody waits for a system that is closed")
        if all.cancelled_caught:
            world.wrong.append("the system does not end")

    async def _step(self, step: Act) -> None:
        match step.do:
            case "tell" | "tell stop":
                await self._allowing(ActorError, self.world.send, step, "outside")
            case "cancel":
                if self._scopes:
                    self._scopes[step.to % len(self._scopes)].cancel()
            case "kill":
                path = self.world.paths[step.to % len(self.world.paths)].removeprefix("home/")
                with contextlib.suppress(ChildNotFound):
                    kill(self.system.supervisor, path)
            case _:
                scope = trio.CancelScope(deadline=trio.current_time() + step.cancel)
                self._scopes.append(scope)
                self._nursery.start_soon(self._aside, step, scope)

    async def _pause(self, seconds: float) -> None:
        if seconds < 0:
            await trio.lowlevel.checkpoint()
        elif seconds > 0:
            await trio.sleep(seconds)

    async def _aside(self, step: Act, scope: trio.CancelScope) -> None:
        with scope:
            match step.do:
                case "stop":
                    await self._allowing((ActorStopped, ChildStuck, SupervisorStopped), self._stop, step)
                case "resize":
                    await self._allowing((ActorStopped, SupervisorError), self._resize, step)
                case "spawn":
                    await self._allowing(SupervisorError, self._spawn, step)
                case _:
                    sender = f"task {len(self.world.sent)} {step.do}"
                    await self._allowing(ActorError, self.world.send, step, sender)
        self._scopes.remove(scope)

    async def _allowing(
        self,
        errors: type[Exception] | tuple[type[Exception], ...],
        do: Callable[..., Awaitable[object]],
        *arguments: object,
    ) -> None:
        try:
            await do(*arguments)
        except errors:
            pass
        except Exception as error:
            self.world.wrong.append(f"{arguments} raised {error!r}")

    async def _stop(self, step: Act) -> None:
        await self.system.stop(self.world.ref(step.to))

    async def _resize(self, step: Act) -> None:
        await self.system.resize(self.world.ref(step.to), 1 + step.to % 3)

    async def _spawn(self, step: Act) -> None:
        id = f"spawned{step.to % 2}"
        if f"home/{id}" not in self.world.paths:
            self.world.paths.append(f"home/{id}")
        ref = await self.system.spawn(id, KINDS[step.to % len(KINDS)], self.world)
        assert ref.path == f"home/{id}"


def one_actor(*steps: Act) -> Program:
    """What was found once, or is hardly ever drawn."""
    leaf = Leaf(0, 3, Overflow.REJECT, 1, Restart.PERMANENT, After(1.0))
    return Program(Inner(Strategy.ONE_FOR_ONE, 100, [leaf]), [*steps], 64, 0, False)


def stuck(*script: Act) -> Program:
    """The actor ends for good while its handler is stuck, before the second act of the script."""
    return one_actor(Act("tell", script=script, pause=1.0))


@example(stuck(Act("deaf", seconds=7.0), Act("stash")))
@example(stuck(Act("stash"), Act("deaf", seconds=7.0), Act("fail")))
@example(stuck(Act("stash"), Act("deaf", seconds=7.0), Act("refuse")))
@example(stuck(Act("deaf", seconds=7.0), Act("after", seconds=0.125), Act("deaf", seconds=2.0)))
@example(
    one_actor(
        Act("ask", seconds=0.5, script=(Act("deaf", seconds=2.0),), pause=0.125),
        Act("tell", script=(Act("sleep", seconds=0.5),), pause=4.0),
    )
)
@given(programs())
@settings(max_examples=max(300, settings.default.max_examples))  # type: ignore[union-attr]
def test_whatever_happens_every_message_is_accounted_for_once(program: Program) -> None:
    trio._core._run._r.seed(program.seed)
    run = Run(program)
    trio.run(run.run, clock=MockClock(autojump_threshold=0))
    check(run.world)
