"""Runs scenarios with traces of the real OTP supervisor through the library and compares.

    python tests/supervisors/otp_conformance.py CORPUS.jsonl ... [--skip FEATURE ...] [--show N]

A line of a corpus is `{"scenario": ..., "trace": ...}`; the traces come from OTP 25. Ends with the line
`match N, differ N, skipped N`; exit status 1 if any differ, 2 if a file cannot be used.
"""

from __future__ import annotations

import argparse
import collections
import functools
import gzip
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import trio
import trio.testing

import otp_model
from anima_supervisors import (
    After,
    Args,
    AutoShutdown,
    BadSpec,
    ChildNotFound,
    ChildSpec,
    DynamicSupervisorSpec,
    Error,
    Event,
    Exit,
    Exited,
    GaveUp,
    Ignore,
    Inline,
    Kill,
    ManagementError,
    Never,
    Normal,
    Restart,
    Shutdown,
    SpecFactory,
    Started,
    StartFailed,
    StartIgnored,
    State,
    StopPolicy,
    Strategy,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
    Up,
    open_supervisor,
)
from anima_supervisors.testing import OnStop, Puppet, PuppetError, Start, check_log, held, kill

Json = dict[str, Any]
DYNAMIC = "simple_one_for_one"
ON_SHUTDOWN = {"ok": OnStop.SHUTDOWN, "normal": OnStop.NORMAL, "error": OnStop.ERROR, "stubborn": OnStop.STUBBORN}
REASONS: dict[str, Exit] = {
    "normal": Normal(),
    "shutdown": Shutdown(),
    "shutdown_term": Shutdown("term"),
    "error": Error(PuppetError("told to stop with an error")),
}


class World:
    """One scenario on the library: builds the specs, plays the steps, writes the trace."""

    def __init__(self, scenario: Json, clock: trio.testing.MockClock) -> None:
        self.scenario = scenario
        self.clock = clock
        self.root_id: str = scenario["tree"]["id"]
        self.root: Supervisor | None = None
        self.root_state = "not_started"
        self.host_ended = False
        self.events: list[list[Any]] = []
        self.log: list[Event] = []
        self.steps: list[Json] = []
        self.puppets: dict[str, Puppet] = {}
        self.attempts: collections.Counter[str] = collections.Counter()
        self.once_started: set[str] = set()
        self.during: tuple[str, list[Json]] | None = None
        self.during_results: list[Any] | None = None
        self.posting = False
        self.posted = 0

    # Specs

    def supervisor(self, node: Json, path: str) -> SupervisorSpec | DynamicSupervisorSpec:
        if node["strategy"] == DYNAMIC:
            if len(node["children"]) != 1:
                raise BadSpec("a dynamic supervisor has exactly one template")
            (template,) = node["children"]
            return DynamicSupervisorSpec(
                intensity=node["intensity"],
                period=node["period"],
                template=self.child(template, path, functools.partial(self.run_dynamic, path, template)),
            )
        return SupervisorSpec(
            strategy=Strategy(node["strategy"]),
            intensity=node["intensity"],
            period=node["period"],
            auto_shutdown=AutoShutdown(node["auto_shutdown"]),
            children=[self.child(child, path) for child in node["children"]],
        )

    def child(self, node: Json, parent: str, start: Any = None) -> ChildSpec:
        path = f"{parent}/{node['id']}"
        if start is None and "strategy" in node:
            start = SpecFactory(functools.partial(self.make_supervisor, node, path))
        return ChildSpec(
            node["id"],
            start or functools.partial(self.run_worker, path, node),
            Restart(node["restart"]),
            shutdown=stop_policy(node["shutdown"]),
            significant=node["significant"],
        )

    async def make_supervisor(self, node: Json, path: str) -> SupervisorSpec | DynamicSupervisorSpec:
        self.attempts[path] += 1
        outcome = self.outcome(node, path)
        await self.before_start(path, outcome)
        if outcome is Start.FAIL:
            raise PuppetError("told to fail at its start")
        if outcome is Start.IGNORE:
            raise Ignore
        return self.supervisor(node, path)

    async def run_worker(self, path: str, node: Json, *, stop: Any, task_status: Any) -> None:
        self.attempts[path] += 1
        puppet = self.puppets.setdefault(path, Puppet())
        puppet.attempts = 0
        puppet.starts = [self.outcome(node, path)]
        puppet.on_stop = ON_SHUTDOWN[node["on_shutdown"]]
        puppet.before_start = functools.partial(self.before_start, path)
        await puppet.run(stop=stop, task_status=task_status)

    async def run_dynamic(self, parent: str, template: Json, own: Json, *, stop: Any, task_status: Any) -> None:
        await self.run_worker(f"{parent}/{own['id']}", {**template, **own}, stop=stop, task_status=task_status)

    def outcome(self, node: Json, path: str) -> Start:
        planned: list[str] = node.get("start", [])
        number = self.attempts[path]
        return Start(planned[number - 1]) if number <= len(planned) else Start.OK

    async def before_start(self, path: str, outcome: Start) -> None:
        """Put the calls of `during` into the parent's inbox, in order, while this failing attempt still runs."""
        if outcome is not Start.FAIL or self.during is None or path.rpartition("/")[0] != self.during[0]:
            return
        if not self.is_up(self.during[0]):
            return  # a supervisor that is only starting takes no calls yet
        parent, calls = self.during
        self.during = None
        self.during_results = results = [None] * len(calls)

        async def answer(n: int, call: Json) -> None:
            results[n] = await self.call({**call, "sup": parent})

        self.posting = True
        for n, call in enumerate(calls):
            self.nursery.start_soon(answer, n, call)
            await trio.testing.wait_all_tasks_blocked()
            self.posted += 1
        self.posting = False

    # Events

    def on_event(self, event: Event) -> None:
        self.log.append(event)
        match event:
            case Started():
                kind = "start"
                self.once_started.add(event.path)
            case StartFailed():
                kind = "fail"
            case StartIgnored():
                kind = "ignore"
            case GaveUp():
                kind = "give_up"
            case Exited():
                self.events.append(["stop", event.path, event.incarnation, event.exit.word])
                return
            case _:
                return
        self.events.append([kind, event.path, event.incarnation])

    def close_step(self, result: Any) -> Json:
        """End a step: what holds for every tree has to hold after each."""
        check_log(self.log, ended=False)
        step: Json = {"events": self.events, "result": result}
        self.events = []
        self.steps.append(step)
        return step

    # Running

    async def run(self) -> Json:
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            nursery.start_soon(self.host)
            await self.settle()
            self.close_step("ok" if self.root is not None else "error:start_failed")
            for step in self.scenario["script"]:
                if self.root_state != "alive":
                    break
                await self.play(step)
            final = await self.listings() if self.root_state == "alive" else {}
            state = self.root_state
            self.clock.autojump_threshold = 0  # a stubborn child needs its time at the end as well
            nursery.cancel_scope.cancel()
        return {"steps": self.steps, "root": state, "final": final}

    async def host(self) -> None:
        try:
            spec = self.supervisor(self.scenario["tree"], self.root_id)
        except BadSpec:
            self.events.append(["fail", self.root_id, 1])
            self.host_ended = True
            return
        try:
            async with open_supervisor(spec, name=self.root_id, on_event=Inline(self.on_event)) as root:
                self.root = root
                self.root_state = "alive"
                await trio.sleep_forever()
        except (SupervisorError, PuppetError):
            pass
        self.host_ended = True
        if self.root is not None:
            assert self.root.exit is not None
            self.root_state = self.root.exit.word

    async def settle(self) -> None:
        """Wait until nothing moves any more; a supervisor that waits for a stubborn child gets its time."""
        seen = -1
        while seen != self.posted or self.posting:
            seen = self.posted
            await trio.testing.wait_all_tasks_blocked()
        while self.waits_for_time():
            self.clock.jump(0.02)
            await trio.testing.wait_all_tasks_blocked()

    def waits_for_time(self) -> bool:
        if self.root is None:
            return not self.host_ended  # a failed start is being rolled back
        return any(node.state is State.STOPPING for node in self.root.snapshot().walk())

    async def play(self, step: Json) -> None:
        if "during" in step:
            self.during = (step["path"].rpartition("/")[0], step["during"])
        result = await self.act(step)
        await self.settle()
        record = self.close_step(result)
        if "during" in step:
            record["during"] = "unreached" if self.during is not None else self.during_results
            self.during = None

    async def act(self, step: Json) -> Any:
        assert self.root is not None
        match step["op"]:
            case "exit":
                return self.exit(step["path"], step["reason"])
            case "exit_many":
                return await self.exit_many(step["exits"])
            case "sleep":
                await self.sleep(step["s"])
                return "ok"
            case "stop":
                self.root.stop(Shutdown())
                return "ok"
            case _:
                return await self.settled_call(step)

    async def sleep(self, seconds: float) -> None:
        self.clock.jump(seconds)
        await self.settle()

    async def settled_call(self, step: Json) -> Any:
        """A call as a task of its own: the answer to it may need time to pass."""
        results: list[Any] = []

        async def answer() -> None:
            results.append(await self.call(step))

        self.nursery.start_soon(answer)
        await self.settle()
        return results[0]

    def exit(self, path: str, reason: str) -> str:
        supervisor = self.find(path)
        if supervisor is not None:
            supervisor.stop(REASONS[reason])
            return "ok"
        if not self.is_up(path):
            return "skip"
        puppet = self.puppets[path]
        match reason:
            case "normal":
                puppet.finish()
            case "shutdown":
                puppet.end()
            case "shutdown_term":
                puppet.end("term")
            case "error":
                puppet.fail()
            case "kill":
                assert self.root is not None
                kill(self.root, path.partition("/")[2])
        return "ok"

    async def exit_many(self, exits: list[list[str]]) -> list[str]:
        supervisor = self.find(exits[0][0].rpartition("/")[0])
        if supervisor is None:
            return ["skip" for _ in exits]
        results = []
        with held(supervisor):
            for path, reason in exits:
                results.append(self.exit(path, reason))
                await trio.testing.wait_all_tasks_blocked()
        return results

    def find(self, path: str) -> Supervisor | None:
        assert self.root is not None
        try:
            return self.root.find(path.partition("/")[2]) if self.root_state == "alive" else None
        except ChildNotFound:
            return None

    def is_up(self, path: str) -> bool:
        assert self.root is not None
        return any(node.path == path and node.state is State.UP for node in self.root.snapshot().walk())

    # Calls

    async def call(self, step: Json) -> Any:
        supervisor = self.find(step["sup"])
        if supervisor is None:
            return "skip"
        try:
            return await self.calls[step["op"]](self, supervisor, step)
        except ManagementError as error:
            return self.word_for(error, supervisor, step)
        except BadSpec:
            return "error:bad_spec"
        except SupervisorError:
            return "error:start_failed"

    def word_for(self, error: ManagementError, supervisor: Supervisor, step: Json) -> str:
        if isinstance(error, ChildNotFound) and step["op"] == "terminate_child" and is_dynamic(supervisor):
            # OTP knows such children by pid: that of a dead one is `ok`, anything else is no pid.
            return "ok" if f"{supervisor.path}/{step['id']}" in self.once_started else f"error:{DYNAMIC}"
        return f"error:{error.reason}"

    async def start_child(self, supervisor: Supervisor, step: Json) -> str:
        node = step["child"]
        if is_dynamic(supervisor):
            result = await supervisor.start_child(Args(node, id=node["id"]))
        else:
            result = await supervisor.start_child(self.child(node, supervisor.path))
        return "ok" if isinstance(result, Up) else "ignored"

    async def restart_child(self, supervisor: Supervisor, step: Json) -> str:
        result = await supervisor.restart_child(step["id"])
        return "ok" if isinstance(result, Up) else "ignored"

    async def terminate_child(self, supervisor: Supervisor, step: Json) -> str:
        await supervisor.terminate_child(step["id"])
        return "ok"

    async def delete_child(self, supervisor: Supervisor, step: Json) -> str:
        await supervisor.delete_child(step["id"])
        return "ok"

    async def which(self, supervisor: Supervisor, _: Json) -> list[list[Any]]:
        listing = [
            [child.id, "up", child.incarnation] if child.state is State.UP else [child.id, "down"]
            for child in await supervisor.which_children()
        ]
        return sorted(listing) if is_dynamic(supervisor) else listing

    async def count(self, supervisor: Supervisor, _: Json) -> list[int]:
        counts = await supervisor.count_children()
        return [counts.specs, counts.active, counts.supervisors, counts.workers]

    calls: ClassVar[dict[str, Callable[[World, Supervisor, Json], Awaitable[Any]]]] = {
        "start_child": start_child,
        "restart_child": restart_child,
        "terminate_child": terminate_child,
        "delete_child": delete_child,
        "which": which,
        "count": count,
    }

    async def listings(self) -> Json:
        assert self.root is not None
        up = [n.path for n in self.root.snapshot().walk() if n.kind == "supervisor" and n.state is State.UP]
        found = {path: self.find(path) for path in up}
        return {path: await self.which(supervisor, {}) for path, supervisor in found.items() if supervisor}


def is_dynamic(supervisor: Supervisor) -> bool:
    return isinstance(supervisor.spec, DynamicSupervisorSpec)


def stop_policy(shutdown: Any) -> StopPolicy:
    match shutdown:
        case "brutal_kill":
            return Kill()
        case "infinity":
            return Never()
        case milliseconds:
            return After(milliseconds / 1000)


def run(scenario: Json) -> Json:
    """The library's trace of a scenario."""
    clock = trio.testing.MockClock()
    world = World(scenario, clock)
    trace: Json = trio.run(world.run, clock=clock)
    return trace


def canonical(scenario: Json, trace: Json) -> Json:
    """Level the one order that OTP leaves open: adjacent stops of children that a dynamic supervisor stops at once."""
    dynamic: set[str] = set()

    def note(node: Json, path: str) -> None:
        if node.get("strategy") == DYNAMIC:
            dynamic.add(path)
        for child in node.get("children", []):
            note(child, f"{path}/{child['id']}")

    note(scenario["tree"], scenario["tree"]["id"])
    for step in scenario["script"]:
        for call in [step, *step.get("during", [])]:
            if call["op"] == "start_child":
                parent = call["sup"] if "sup" in call else step["path"].rpartition("/")[0]
                note(call["child"], f"{parent}/{call['child']['id']}")
    steps = [{**step, "events": _level(step["events"], dynamic)} for step in trace["steps"]]
    return {**trace, "steps": steps}


def _level(events: list[list[Any]], dynamic: set[str]) -> list[list[Any]]:
    levelled: list[list[Any]] = []
    run: list[list[Any]] = []
    run_of: str | None = None
    for event in events:
        parent = event[1].rpartition("/")[0]
        group = parent if event[0] == "stop" and parent in dynamic else None
        if group is None or group != run_of:
            levelled += sorted(run)
            run, run_of = [], group
        if group is None:
            levelled.append(event)
        else:
            run.append(event)
    return levelled + sorted(run)


def first_difference(want: Json, have: Json) -> tuple[str, Any, Any]:
    for n, (step, other) in enumerate(zip(want["steps"], have["steps"], strict=False)):
        if step != other:
            return (f"step {n}" if n else "the start"), step, other
    end = ("root", "final")
    return "the end", {key: want[key] for key in end}, {key: have[key] for key in end}


class BadCorpus(Exception):
    """A file that is no corpus; the text says where and why."""


def entries(file: Path) -> Iterator[Json]:
    """The scenarios of a corpus with their traces; the file may be compressed with gzip."""
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
            if line.strip():
                yield _entry(line, f"{file}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise BadCorpus(f"{file}: {error}") from None


def _entry(line: str, where: str) -> Json:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise BadCorpus(f"{where}: is no JSON: {error}") from None
    if not isinstance(entry, dict) or not {"scenario", "trace"} <= entry.keys():
        raise BadCorpus(f'{where}: must be {{"scenario": ..., "trace": ...}}')
    found: Json = entry
    return found


class Comparison:
    """Counts what matches and what differs, by feature, and shows the first differences."""

    def __init__(self, run: Callable[[Json], Json], skip: set[str], show: int) -> None:
        self._run = run
        self._skip = skip
        self._show = show
        self.counts = {"match": 0, "differ": 0, "skipped": 0}
        self._by_feature: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)

    def add(self, entry: Json) -> None:
        scenario = entry["scenario"]
        if self._skip & set(scenario["features"]):
            self.counts["skipped"] += 1
            return
        signal.alarm(20)  # a deadlock on a mock clock would spin or wait for ever, silently
        want, have = canonical(scenario, entry["trace"]), canonical(scenario, self._run(scenario))
        signal.alarm(0)
        word = "match" if want == have else "differ"
        self.counts[word] += 1
        for feature in scenario["features"]:
            self._by_feature[feature][word] += 1
        if want != have and self.counts["differ"] <= self._show:
            where, expected, got = first_difference(want, have)
            print(f"--- {scenario['name']}: {where}\n  otp:  {json.dumps(expected)}\n  here: {json.dumps(got)}")

    def print(self) -> None:
        for feature, counts in sorted(self._by_feature.items()):
            print(f"{feature:20} match {counts['match']:5} differ {counts['differ']:5}")
        print(", ".join(f"{word} {count}" for word, count in self.counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the library with traces of the real OTP supervisor.")
    parser.add_argument("corpus", nargs="+", type=Path, help="a scenario and its trace as JSON a line; .gz is unpacked")
    parser.add_argument("--skip", nargs="*", default=[], metavar="FEATURE", help="skip scenarios with these features")
    parser.add_argument("--show", type=int, default=3, metavar="N", help="how many differences to show (default 3)")
    parser.add_argument("--model", action="store_true", help="compare the model that the tests use, not the library")
    options = parser.parse_args()
    comparison = Comparison(otp_model.run if options.model else run, set(options.skip), options.show)
    try:
        for file in options.corpus:
            for entry in entries(file):
                comparison.add(entry)
        if not any(comparison.counts.values()):
            raise BadCorpus(f"{options.corpus[0]}: has no scenario")
    except BadCorpus as error:
        print(f"otp_conformance: {error}", file=sys.stderr)
        return 2
    comparison.print()
    return 1 if comparison.counts["differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
