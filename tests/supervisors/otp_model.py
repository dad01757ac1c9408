"""A model of OTP's supervisor that has no tasks, no waiting and no clock but a number.

`run(scenario)` gives the trace real OTP would write for a scenario. It exists to be compared with: the library does the
same things with tasks, scopes and real waiting, and this file says in plain data what the outcome must be. Letters in
the comments (A1, D4, ...) name the rules of supervision.

Everything is synchronous. Starting or stopping a subtree is a function call; what OTP sends as a message (the exit of a
child, the next attempt of a failed restart, a management call that arrives between two attempts) is an entry in one
inbox, and a step of the script is over when the inbox is empty. One inbox for the whole tree is enough: whatever a step
touches, only one supervisor at a time has anything to do, and a message for its parent is written only when it dies.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Json = dict[str, Any]

CLEAN = {"normal", "shutdown"}
# How a process that exits by itself shows up in the trace.
WHY = {"normal": "normal", "shutdown": "shutdown", "shutdown_term": "shutdown", "error": "error", "kill": "killed"}
# How a worker ends that was asked to stop; one that ignores the request is killed when its time is up (G1).
ASKED = {"ok": "shutdown", "normal": "normal", "error": "error", "stubborn": "killed"}


class StartFailed(Exception):
    """A start attempt did not succeed: the outcome said so, the specs are bad, or a child below did not start (A3)."""


class State(Enum):
    UP = "up"
    DOWN = "down"
    RESTARTING = "restarting"


class Process:
    """One incarnation. Compared by identity, so an exit can never be taken for that of a later incarnation (C7)."""

    def __init__(self, world: "World", path: str, n: int, spec: Json, parent: "Supervisor | None") -> None:
        self.world = world
        self.path = path
        self.n = n
        self.spec = spec
        self.parent = parent
        self.alive = True

    def boot(self) -> None:
        """What a worker does before it is up is no matter here: the scenario knows the outcome."""

    def shut_down(self) -> str:
        """Bring this process to its end on the supervisor's behalf and say what it ended with (G1)."""
        if self.spec["shutdown"] == "brutal_kill":
            return "killed"
        if self.spec["on_shutdown"] == "stubborn" and self.spec["shutdown"] == "infinity":
            raise ValueError(f"{self.path} would be waited for until the end of time")
        return ASKED[self.spec["on_shutdown"]]


@dataclass(eq=False)
class Child:
    """A supervisor's entry for one child. The entry and its place outlive the process (H1)."""

    spec: Json
    state: State = State.DOWN
    process: Process | None = None

    @property
    def id(self) -> str:
        return str(self.spec["id"])

    @property
    def temporary(self) -> bool:
        return bool(self.spec["restart"] == "temporary")

    def become(self, state: State, process: Process | None = None) -> None:
        self.state, self.process = state, process


@dataclass(frozen=True)
class Exited:
    process: Process
    why: str


@dataclass(frozen=True)
class Retry:
    child: Child


@dataclass(frozen=True)
class Call:
    call: Json
    answer: Callable[[Any], None]


Message = Exited | Retry | Call


@dataclass
class During:
    """Calls that wait for the first start attempt to fail under one incarnation of a supervisor."""

    supervisor: Process | None
    calls: list[Json]
    results: list[Any] = field(default_factory=list)
    reached: bool = False


class World:
    """What all processes share: the attempts of each path, the record of events, the clock and the inbox."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[list[Any]] = []
        self.attempts: Counter[str] = Counter()
        self.started: set[str] = set()
        self.live: dict[str, Process] = {}
        self.inbox: deque[tuple[Supervisor, Message]] = deque()
        self.during: During | None = None

    def start(self, spec: Json, path: str, parent: "Supervisor | None") -> Process | None:
        """Make the next attempt of this path. Returns None for `ignore` (A4), raises StartFailed for a failure."""
        self.attempts[path] += 1
        n = self.attempts[path]
        outcomes = spec.get("start", [])
        outcome = outcomes[n - 1] if n <= len(outcomes) else "ok"
        if outcome == "ignore":
            self.events.append(["ignore", path, n])
            return None
        kind = {None: Process, "simple_one_for_one": DynamicSupervisor}.get(spec.get("strategy"), Supervisor)
        process = kind(self, path, n, spec, parent)
        try:
            if outcome == "fail":
                raise StartFailed(path)
            process.boot()
        except StartFailed:
            process.alive = False
            self.events.append(["fail", path, n])
            self._let_calls_in(parent)
            raise
        self.events.append(["start", path, n])
        self.live[path] = process
        self.started.add(path)
        return process

    def _let_calls_in(self, parent: "Supervisor | None") -> None:
        # The attempt is still running, so these calls lie in the inbox before the retry it leads to (D5). They are
        # meant for the incarnation that ran when the step began: a successor that fails in its init never sees them.
        during = self.during
        if parent and during and during.supervisor is parent and not during.reached:
            during.reached = True
            self.inbox.extend((parent, Call(call, during.results.append)) for call in during.calls)

    def stop(self, process: Process) -> None:
        """The supervisor ends a child. No exit message follows: it waits for the end itself (C6, G2)."""
        if not process.alive:
            return  # Died before its turn; the exit message still in the inbox will find no owner (G3).
        self._gone(process, process.shut_down())

    def exit(self, process: Process, reason: str) -> None:
        """The process ends by itself; a supervisor stops its children first (A2). Its parent is told."""
        if isinstance(process, Supervisor):
            process.stop_children()
        self._gone(process, WHY[reason])
        if process.parent:
            self.inbox.append((process.parent, Exited(process, WHY[reason])))

    def _gone(self, process: Process, why: str) -> None:
        process.alive = False
        del self.live[process.path]
        self.events.append(["stop", process.path, process.n, why])

    def settle(self) -> None:
        while self.inbox:
            supervisor, message = self.inbox.popleft()
            if supervisor.alive:
                supervisor.handle(message)


def sound(spec: Json, auto_shutdown: str) -> bool:
    """F1, I: a child's values are known ones, and `significant` can mean something here."""
    known = spec["restart"] in ("permanent", "transient", "temporary")
    bounded = isinstance(spec["shutdown"], int) and spec["shutdown"] >= 0
    if not known or not (bounded or spec["shutdown"] in ("infinity", "brutal_kill")):
        return False
    return not spec["significant"] or (spec["restart"] != "permanent" and auto_shutdown != "never")


class Supervisor(Process):
    def __init__(self, world: World, path: str, n: int, spec: Json, parent: "Supervisor | None") -> None:
        super().__init__(world, path, n, spec, parent)
        self.children: list[Child] = []
        # D7: the times belong to this incarnation; its successor begins with none.
        self.restarts: list[float] = []

    # Starting and stopping

    def check(self) -> bool:
        flags, specs = self.spec, self.spec["children"]
        return (
            flags["strategy"] in ("one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one")
            and flags["auto_shutdown"] in ("never", "any_significant", "all_significant")
            and flags["intensity"] >= 0
            and flags["period"] > 0
            and all(sound(spec, flags["auto_shutdown"]) for spec in specs)
            and len({spec["id"] for spec in specs}) == len(specs)
        )

    def boot(self) -> None:
        if not self.check():
            raise StartFailed(self.path)  # A5: before any child was tried.
        self.start_first_children()

    def start_first_children(self) -> None:
        self.children = [Child(spec) for spec in self.spec["children"]]
        try:
            for child in list(self.children):
                self.start(child)
        except StartFailed:
            self.stop_children()  # A3: one failure is final here, no retry, nothing counted.
            raise

    def start(self, child: Child) -> None:
        process = self.world.start(child.spec, f"{self.path}/{child.id}", self)
        if process:
            child.become(State.UP, process)
        else:
            self.drop(child)

    def shut_down(self) -> str:
        self.stop_children()
        return "shutdown"

    def stop_children(self) -> None:
        for child in reversed(self.children):
            self.stop(child)

    def stop(self, child: Child) -> None:
        if child.process:
            self.world.stop(child.process)
        child.become(State.DOWN)

    def drop(self, child: Child) -> None:
        """The child has no process and shall not get one: keep the spec, but forget a temporary child (A4, B, H1)."""
        child.become(State.DOWN)
        if child.temporary:
            self.children.remove(child)

    # The inbox

    def handle(self, message: Message) -> None:
        match message:
            case Exited(process, why):
                child = next((c for c in self.children if c.process is process), None)
                if child:  # Otherwise it was stopped or replaced meanwhile, or never got up (A6, C7).
                    self.child_exited(child, why)
            case Retry(child):
                # D6: somebody may have ended the retries, or a group restart has brought the child up already.
                if child in self.children and child.state is State.RESTARTING:
                    self.restart(child)
            case Call(call, answer):
                answer(self.call(call))

    def child_exited(self, child: Child, why: str) -> None:
        restart = child.spec["restart"]
        if restart == "permanent" or (restart == "transient" and why not in CLEAN):
            self.restart(child)
        else:
            self.drop(child)
            if child.spec["significant"]:
                self.significant_child_gone()

    def significant_child_gone(self) -> None:
        # F3: a child whose exit is not handled yet still counts as present, and so does a restarting one.
        others = any(c.spec["significant"] and c.state is not State.DOWN for c in self.children)
        when = self.spec["auto_shutdown"]
        if when == "any_significant" or (when == "all_significant" and not others):
            self.world.exit(self, "shutdown")  # F5

    # Restarting

    def restart(self, child: Child) -> None:
        """Restart the child and whom the strategy adds; each call is one restart, a retry as well (D3)."""
        now = self.world.now
        self.restarts = [t for t in [*self.restarts, now] if now - t <= self.spec["period"]]
        child.become(State.DOWN)
        if len(self.restarts) > self.spec["intensity"]:  # D1
            self.world.events.append(["give_up", self.path, self.n])
            self.world.exit(self, "shutdown")  # D8
            return
        group = self.group(child)
        for member in reversed(group):
            self.stop(member)
        for member in group:
            if member.temporary:
                self.drop(member)  # C4
        for member in group:
            if member in self.children and not self.start_or_retry(member):
                return  # D4: those behind the failed one wait until it is up.

    def group(self, child: Child) -> list[Child]:
        match self.spec["strategy"]:
            case "one_for_all":
                return list(self.children)  # C2
            case "rest_for_one":
                return self.children[self.children.index(child) :]  # C3
            case _:
                return [child]  # C1

    def start_or_retry(self, child: Child) -> bool:
        try:
            self.start(child)
        except StartFailed:
            # D5: the retry is a message, so what lies in the inbox already comes first. It will restart this child,
            # not the one whose exit began the round (D4).
            child.become(State.RESTARTING)
            self.world.inbox.append((self, Retry(child)))
            return False
        return True

    # Management calls (H)

    def call(self, call: Json) -> Any:
        """An operation is called what its method is called."""
        return getattr(self, call["op"])(*(call[key] for key in ("child", "id") if key in call))

    def find(self, child_id: str) -> Child | None:
        return next((child for child in self.children if child.id == child_id), None)

    def start_child(self, spec: Json) -> str:
        if not sound(spec, self.spec["auto_shutdown"]):
            return "error:bad_spec"  # Checked before the id is looked up.
        known = self.find(spec["id"])
        if known:
            return "error:already_started" if known.state is State.UP else "error:already_present"
        return self.add(Child(spec))

    def add(self, child: Child) -> str:
        self.children.append(child)  # H2: at the end, even if the id had another place before.
        result = self.start_by_hand(child)
        if result.startswith("error"):
            self.children.remove(child)
        return result

    def start_by_hand(self, child: Child) -> str:
        """A failure goes to the caller: no retry, nothing counted (D7)."""
        try:
            self.start(child)
        except StartFailed:
            return "error:start_failed"
        return "ok" if child.process else "ignored"

    def restart_child(self, child_id: str) -> str:
        child = self.find(child_id)
        return self.start_by_hand(child) if child and child.state is State.DOWN else refusal(child)

    def terminate_child(self, child_id: str) -> str:
        child = self.find(child_id)
        if not child:
            return refusal(child)
        self.stop(child)  # D6: for a restarting child this only ends the retries.
        self.drop(child)
        return "ok"

    def delete_child(self, child_id: str) -> str:
        child = self.find(child_id)
        if not child or child.state is not State.DOWN:
            return refusal(child)
        self.children.remove(child)
        return "ok"

    def which(self) -> list[list[Any]]:
        return [[c.id, c.state.value, c.process.n] if c.process else [c.id, c.state.value] for c in self.children]

    def count(self) -> list[int]:
        # H3: a spec is counted dead or alive, only `active` looks at the process.
        supervisors = sum("strategy" in child.spec for child in self.children)
        active = sum(child.state is State.UP for child in self.children)
        return [len(self.children), active, supervisors, len(self.children) - supervisors]


def refusal(child: Child | None) -> str:
    """Why a call that needs a child that is down cannot be done."""
    if not child:
        return "error:not_found"
    return "error:running" if child.state is State.UP else "error:restarting"


class DynamicSupervisor(Supervisor):
    """`simple_one_for_one`: children of one template. A child is a process; when it is gone so is its entry (C8).

    The children stop in parallel, which leaves their order open; here they stop in the order of any other supervisor.
    """

    def check(self) -> bool:
        return super().check() and len(self.spec["children"]) == 1 and self.spec["auto_shutdown"] == "never"

    def start_first_children(self) -> None:
        """There are none: the one spec is a template."""

    def drop(self, child: Child) -> None:
        child.become(State.DOWN)
        self.children.remove(child)

    def start_child(self, spec: Json) -> str:
        return self.add(Child({**self.spec["children"][0], **spec}))

    def restart_child(self, child_id: str) -> str:
        return "error:simple_one_for_one"

    def delete_child(self, child_id: str) -> str:
        return "error:simple_one_for_one"

    def terminate_child(self, child_id: str) -> str:
        # Children are known by process. An id that never had one cannot be turned into a process, so it is a plain id.
        if f"{self.path}/{child_id}" not in self.world.started:
            return "error:simple_one_for_one"
        child = self.find(child_id)
        return super().terminate_child(child_id) if child else "ok"

    def which(self) -> list[list[Any]]:
        return sorted(super().which())

    def count(self) -> list[int]:
        return [1, *super().count()[1:]]


# The script


def step(world: World, root: Process, todo: Json) -> Any:
    """Do one step of the script up to the first message; `settle` does the rest. Returns the result."""
    match todo["op"]:
        case "exit":
            return exit_path(world, todo["path"], todo["reason"])
        case "exit_many":  # All are dead before the supervisor hears of the first.
            return [exit_path(world, path, reason) for path, reason in todo["exits"]]
        case "sleep":
            world.now += todo["s"]
            return "ok"
        case "stop":
            world.exit(root, "shutdown")  # A7
            return "ok"
    supervisor = world.live.get(todo["sup"])
    return supervisor.call(todo) if isinstance(supervisor, Supervisor) else "skip"


def waiting_calls(world: World, todo: Json) -> During | None:
    if "during" not in todo:
        return None
    return During(world.live.get(todo["path"].rpartition("/")[0]), todo["during"])


def exit_path(world: World, path: str, reason: str) -> str:
    process = world.live.get(path)
    if not process:
        return "skip"
    world.exit(process, reason)
    return "ok"


def run(scenario: Json) -> Json:
    """Play the scenario and return its trace."""
    world = World()
    tree = scenario["tree"]
    try:
        root = world.start(tree, tree["id"], None)
    except StartFailed:
        root = None
    steps: list[Json] = [{"events": world.events, "result": "ok" if root else "error:start_failed"}]
    if not root:
        return {"steps": steps, "root": "not_started", "final": {}}
    for todo in scenario["script"]:
        if not root.alive:
            break
        world.events = []
        world.during = waiting_calls(world, todo)
        done: Json = {"result": step(world, root, todo)}
        world.settle()
        done["events"] = world.events
        if world.during:
            done["during"] = world.during.results if world.during.reached else "unreached"
        steps.append(done)
    if not root.alive:
        return {"steps": steps, "root": world.events[-1][3], "final": {}}  # The root's own stop is the last event.
    final = {path: process.which() for path, process in world.live.items() if isinstance(process, Supervisor)}
    return {"steps": steps, "root": "alive", "final": final}
