"""The work of `demo.toml`: ordinary async functions that know nothing of supervision.

They share a folder of their own, as programs that were written apart would: it is where the state lives, so that a
task that crashes finds its work again when it is restarted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import trio

PAGES = ["index.html", "trees.html", "crashes.html"]


async def folder() -> trio.Path:
    """The folder of this run."""
    path = trio.Path(tempfile.gettempdir()) / f"anima-demo-{os.getpid()}"
    await path.mkdir(exist_ok=True)
    return path


async def keep_folder(*, task_status: Any) -> None:
    """Make the folder, and remove it at the end."""
    path = await folder()
    task_status.started(str(path))
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
            await trio.to_thread.run_sync(shutil.rmtree, path, True)


async def read_pages(*, url: str, every: float, task_status: Any) -> None:
    """Fetch one page after the other and put it into the spool. Up when the first one has come."""
    spool = await folder()
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        number = 0
        while True:
            page = PAGES[number % len(PAGES)]
            response = await client.get(page)
            response.raise_for_status()
            await (spool / f"{number:06}.page").write_text(response.text)
            if number == 0:
                task_status.started()
            number += 1
            await trio.sleep(every)


async def count_words(*, crash_after: int) -> None:
    """Take pages from the spool and count their words; now and then one is too much."""
    spool = await folder()
    taken = 0
    while True:
        for page in sorted(await spool.glob("*.page")):
            taken += 1
            if taken > crash_after:
                raise ValueError(f"page {page.stem} is one too many")
            words = Counter(re.findall(r"[a-z]+", (await page.read_text()).lower()))
            await (spool / f"{page.stem}.words").write_text(json.dumps(words))
            await page.unlink()
        await trio.sleep(0.1)


async def write_report(*, every: float, stop: Any) -> None:
    """Add up the counts into one report, and a last time when it is asked to stop."""
    spool = await folder()
    while True:
        total: Counter[str] = Counter()
        for counts in await spool.glob("*.words"):
            total.update(json.loads(await counts.read_text()))
        await (spool / "report.json").write_text(json.dumps(total.most_common(20)))
        if stop.is_set():
            return
        with trio.move_on_after(every):
            await stop.wait()


async def sample_load(*, every: float, beat: Callable[[], None]) -> None:
    """Sample how busy this machine is, and say each time that we are alive."""
    spool = await folder()
    while True:
        async with await trio.open_file(Path(spool) / "load", "a") as samples:
            await samples.write(f"{os.getloadavg()[0]}\n")
        beat()
        await trio.sleep(every)


async def watch_trend(*, crash_after: float) -> None:
    """Compare the last samples with those before, until it stumbles over something."""
    spool = await folder()
    with trio.move_on_after(crash_after):
        while True:
            await trio.sleep(0.5)
            samples = [float(line) for line in (await (spool / "load").read_text()).split()]
            await (spool / "trend").write_text(f"{sum(samples[-5:]) - sum(samples[-10:-5]):+.2f}\n")
    raise RuntimeError("the trend points in all directions")
