"""Whether the hub stays flat: look-ups among 1,000 and among 100,000 entries, and what 100,000 cycles leave.

    python tests/benchmarks/actors/hub.py [--cycles N]

Microseconds of CPU for one operation. A cycle spawns an actor that registers a name, listens to a topic and offers a
capability, and stops it; the memory that is left is that of the whole process, before and after.
"""

from __future__ import annotations

import argparse
import functools
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path

import trio

from anima.actors import Actor, ActorRef, ActorSpec, Declaration, Request, System, message, open_system, receive
from anima.hub import Capability, Hub, Listens

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.benchmarks.actors.workloads import resident_bytes

SIZES = (1_000, 100_000)


@message(idempotent=True)
class Work(Request[int]):
    """What the one that is found is asked to do."""


@message
class Note:
    """What is published."""


class Worker(Actor[Work | Note]):
    """Answers, and listens."""

    @receive
    async def work(self, request: Work) -> int:
        return 1

    @receive
    async def note(self, note: Note) -> None:
        self.stop()


def _cost(operation: Callable[[], object], times: int = 5_000) -> float:
    begin = time.process_time()
    for _ in range(times):
        operation()
    return (time.process_time() - begin) / times * 1e6


async def _fill(system: System, hub: Hub, size: int) -> ActorRef[Work | Note]:
    """Make `size` names, topics and capabilities known; one worker stands for all of them."""
    worker = await system.spawn("worker", Worker)
    for number in range(size):
        hub.register(f"name-{number}", worker)
        hub.subscribe(worker, f"topic.number.{number}")
        hub.offer(worker, Capability("work", str(number), {"number": number}))
    return worker


async def _look_ups(size: int) -> dict[str, float]:
    async with open_system() as system:
        hub = Hub.of(system)
        await _fill(system, hub, size)
        middle = size // 2
        costs = {
            "whereis a name": _cost(lambda: hub.whereis(f"name-{middle}")),
            "find by version": _cost(lambda: hub.find("work", version=str(middle))),
            "find by attribute": _cost(lambda: hub.find("work", where={"number": middle})),
        }
        begin = time.process_time()
        for _ in range(2_000):
            await hub.publish(f"topic.number.{middle}.nobody", Note())
        costs["publish to nobody"] = (time.process_time() - begin) / 2_000 * 1e6
        begin = time.process_time()
        for _ in range(2_000):
            await hub.ask_any("work", Work(), where={"number": middle})
        costs["ask_any by attribute"] = (time.process_time() - begin) / 2_000 * 1e6
        return costs


async def _cycles(count: int) -> tuple[float, int]:
    """Bytes that are left for each cycle, and objects for all of them."""
    declares: list[Declaration] = [Listens("notes"), Capability("work", attributes={"kind": "short"})]
    async with open_system() as system:
        hub = Hub.of(system)

        async def cycle(number: int) -> None:
            worker = await system.spawn(ActorSpec(f"worker-{number}", Worker, declares=declares))
            hub.register("name", worker)
            await hub.publish("notes", Note())
            await worker.wait_ended()

        for number in range(12_000):  # so many names of those that are gone are remembered, and no more
            await cycle(-number)
        before, objects = resident_bytes(), len(gc.get_objects())
        for number in range(count):
            await cycle(number + 1)
        return (resident_bytes() - before) / count, len(gc.get_objects()) - objects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=100_000)
    arguments = parser.parse_args()
    few, many = (trio.run(functools.partial(_look_ups, size)) for size in SIZES)
    print(f"{'':24}" + "".join(f"{f'{size:,} entries':>18}" for size in SIZES) + f"{'ratio':>8}")
    for name in few:
        print(f"{name:24}{few[name]:>15.2f} µs{many[name]:>15.2f} µs{many[name] / few[name]:>8.2f}")
    left, objects = trio.run(_cycles, arguments.cycles)
    print(f"{arguments.cycles:,} spawns and stops leave {left:.2f} bytes each, and {objects} objects in all")


if __name__ == "__main__":
    main()
