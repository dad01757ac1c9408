"""The newsroom of `demo.toml`: actors that find each other by what they can do and what they listen to."""

from __future__ import annotations

import json

from demo_work import folder

from anima.actors import Actor, AskError, Request, message, receive
from anima.hub import Hub, NoProvider

TOPICS = ["news.sport", "news.weather", "news.sport.local"]


@message
class Story:
    """Something that happened, in Latin."""

    number: int
    topic: str
    text: str


@message(idempotent=True)
class Translate(Request[str]):
    """Idempotent: if the translator that was asked dies of it, another one is asked."""

    number: int
    text: str


@message
class Tick:
    """Time for the next story."""


class Translator(Actor[Translate]):
    """Knows one word of Latin, and dies of every seventh text that it is asked for."""

    _asked = 0

    @receive
    async def translate(self, request: Translate) -> str:
        self._asked += 1
        if self._asked == 7:
            raise RuntimeError(f"story {request.number} cannot be translated")
        return f"{request.text}us"


class Desk(Actor[Story]):
    """Keeps what it hears. Its state is in a file, so that it is there again after a crash."""

    def __init__(self, topic: str, stumbles: bool = False) -> None:
        self._file = f"{topic}.json"
        self._stumbles = stumbles

    @receive
    async def take(self, story: Story) -> None:
        path = await folder() / self._file
        heard = json.loads(await path.read_text()) if await path.exists() else []
        await path.write_text(json.dumps([*heard, story.number]))
        if self._stumbles and story.text.startswith("crash"):
            raise ValueError(f"story {story.number} is too much for the desk of {self._file}")


class Reporter(Actor[Tick]):
    """Writes a story with every tick, has it translated and publishes it."""

    def __init__(self, every: float, crash_at: int) -> None:
        self._every = every
        self._crash_at = crash_at
        self._written = 0

    async def started(self) -> None:
        self.every(self._every, Tick())

    @receive
    async def write(self, tick: Tick) -> None:
        self._written += 1
        hub = Hub.of(self.system)
        text = "crash" if self._written == self._crash_at else "event"
        try:
            request = Translate(self._written, text)
            translated = await hub.ask_any("translate", request, where={"to": "latin"}, timeout=2)
        except (AskError, NoProvider):
            translated = text
        topic = TOPICS[self._written % len(TOPICS)]
        await hub.publish(topic, Story(self._written, topic, translated))
