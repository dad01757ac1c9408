"""`[actors.NAME]` in a tree file: what it becomes, how it runs, and what is said of mistakes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from trio.testing import wait_all_tasks_blocked

from anima.actors import Mailbox, open_system
from anima.config import ConfigError, load_tree, outline
from anima.hub import Hub, SubscriberSlow
from anima_supervisors import Inline, SupervisorSpec
from anima_supervisors.testing import EventLog

MODULE = """
from anima.actors import Actor, Request, message, receive

@message
class Story:
    text: str

@message
class Heard(Request[list]):
    pass

class Desk(Actor[Story | Heard]):
    heard = []

    def __init__(self, language="en"):
        self.language = language

    @receive
    async def take(self, story: Story) -> None:
        if story.text == "crash" and len(self.heard) < 3:
            self.heard.append("crashed")
            raise ValueError("told to")
        self.heard.append(story.text)

    @receive
    async def report(self, request: Heard) -> list:
        return [self.language, *self.heard]

def function(): ...
"""

TREE = """
version = 1
root = "home"

[supervisors.home]
children = ["desk"]

[actors.desk]
start = "newsroom:Desk"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "newsroom.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("newsroom", None)


def load(folder: Path, more: str) -> SupervisorSpec:
    file = folder / "tree.toml"
    file.write_text(TREE + more)
    return load_tree(file).spec


def problems(folder: Path, more: str, tree: str = TREE) -> list[str]:
    file = folder / "tree.toml"
    file.write_text(tree + more)
    with pytest.raises(ConfigError) as info:
        load_tree(file)
    return [str(problem) for problem in info.value.problems]


async def test_an_actor_of_a_tree_listens_offers_and_is_asked(folder: Path) -> None:
    more = """
        args = { language = "de" }
        attempts = 2
        subscribe = ["news.*"]
        capabilities = ["report", { name = "translate", version = "2", attributes = { to = "de" } }]
    """
    async with open_system(load(folder, more)) as system:
        newsroom = sys.modules["newsroom"]
        hub = Hub.of(system)
        assert await hub.publish("news.sport", newsroom.Story("goal")) == 1
        assert await hub.publish("news.sport", newsroom.Story("crash")) == 1
        assert await hub.ask_any("report", newsroom.Heard()) == ["de", "goal", "crashed", "crashed"]
        [desk] = hub.find("translate", version="2", where={"to": "de"})
        assert desk.path == "home/desk"


async def test_the_mailbox_and_what_is_slow_about_a_subscription_are_as_the_file_says(folder: Path) -> None:
    more = """
        mailbox = { capacity = 1, overflow = "drop_newest" }
        subscribe = [{ topic = "news", slow = "drop_newest" }]
    """
    log = EventLog()
    async with open_system(load(folder, more), on_event=Inline(log)) as system:
        story = sys.modules["newsroom"].Story
        hub = Hub.of(system)
        assert [await hub.publish("news", story(text)) for text in "ab"] == [1, 0]
        system.ref("home/desk").tell(story("dropped"))
        assert len(system.dead_letters) == 2
        assert len(log.of(SubscriberSlow)) == 1
        await wait_all_tasks_blocked()
        place = system.ref("home/desk").place()
        assert isinstance(getattr(place, "mailbox", None), Mailbox)


async def test_replicas_are_one_address_with_a_supervisor_of_their_own(folder: Path) -> None:
    spec = load(folder, "replicas = 3\nroute = 'least_mailbox'\n")
    file = folder / "tree.toml"
    assert [line.split()[1] for line in outline(load_tree(file)).splitlines()[2:]] == ["1", "2", "3"]
    async with open_system(spec) as system:
        assert [ref.path for ref in system.actors()] == ["home/desk", *(f"home/desk/{n}" for n in (1, 2, 3))]
        assert await system.ref("home/desk").ask(sys.modules["newsroom"].Heard())


def test_an_outline_says_that_it_is_an_actor(folder: Path) -> None:
    load(folder, "shutdown = '1s'\n")
    assert "└─ desk  actor  permanent  shutdown 1 s" in outline(load_tree(folder / "tree.toml"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "args = { langage = 'de' }",
            "actors.desk.args.langage: newsroom:Desk has no argument 'langage' (did you mean 'language'?)",
        ),
        ("attempts = 0", "actors.desk.attempts: must be a whole number, 1 or more, not 0"),
        ("replicas = 0", "actors.desk.replicas: must be a whole number, 1 or more, not 0"),
        ("mailbox = { capacity = 0 }", "actors.desk.mailbox.capacity: must be a whole number, 1 or more, not 0"),
        (
            "mailbox = { overflow = 'drop' }",
            "actors.desk.mailbox.overflow: must be one of reject, drop_oldest, drop",
        ),
        ("mailbox = { size = 5 }", "actors.desk.mailbox.size: unknown key"),
        ("subscribe = ['news..sport']", "actors.desk.subscribe[0]"),
        ("subscribe = 'news'", "actors.desk.subscribe: must be a list, not 'news'"),
        ("subscribe = [5]", "actors.desk.subscribe[0]: must be a table, not 5"),
        ("capabilities = ['']", "actors.desk.capabilities[0]"),
        ("capabilities = [{ name = 'x', attributes = { a = [1] } }]", "actors.desk.capabilities[0]"),
        ("route = 'random'", "actors.desk.route: must be one of round_robin, least_mailbox, not 'random'"),
    ],
)
def test_a_mistake_is_told_at_its_key(folder: Path, more: str, said: str) -> None:
    [problem] = problems(folder, more)
    assert problem.startswith(said)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("newsroom:function", "newsroom:function is no subclass of anima.actors.Actor"),
        ("newsroom:Desc", "newsroom has no 'Desc' (did you mean 'Desk'?)"),
        ("newsroom:Story", "newsroom:Story is no subclass of anima.actors.Actor"),
    ],
)
def test_a_start_that_is_no_actor_is_told(folder: Path, start: str, said: str) -> None:
    assert problems(folder, "", TREE.replace("newsroom:Desk", start)) == [f"actors.desk.start: {said}"]
