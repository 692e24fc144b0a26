"""A simulated world at a watchable pace, its shipped API on a port, and a browser before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from spotguard.cloud.simulated.physics import Climate
from spotguard.compose import bound, demo_app, listening
from spotguard.simulation.market import synthetic
from spotguard.simulation.world import World, WorldPlan
from spotguard.store.database import Database

CHROMIUM = "/usr/bin/chromium"
NOTICE = "Simulated: EC2 and its interruptions are played, nothing touches AWS."
FRAME_SECONDS = 0.1
BEFORE = timedelta(days=8)  # of prices that EC2 tells of the time before: a backtest needs them
WIDE = {"width": 1400, "height": 900}
NARROW = {"width": 360, "height": 740}
PATIENCE_MS = 90_000  # the machine may be busy: a story is about what happens, the figures about how soon
EXPECTED = ("responded with a status of 4", "net::ERR_")  # how the browser tells refusals and restarts


class Stage:
    """A world whose clock follows the wall's, `speed` times as fast, and its server, which can be taken away."""

    def __init__(self, folder: Path, agents: int, speed: float) -> None:
        db = Database.open(f"sqlite:///{folder}/e2e.sqlite3")
        db.upgrade()
        market = synthetic(seed=7, days=BEFORE.days + 3)
        market = replace(market, start=market.start + BEFORE)
        self.world = World(WorldPlan(market=market, agents=agents, seed=7, climate=Climate()), db)
        self._speed, self._going, self._over = speed, threading.Event(), threading.Event()
        self._turn = threading.Lock()
        self._server: AbstractContextManager[str] | None = None
        self.port = 0
        self.token = self.world.client_token
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._pace, name="world", daemon=True)

    def pay_for_looks(self, since: timedelta) -> None:
        """Before it begins, so that capacity probes are there: once all agents run in calm pools none is bought."""
        self.world.run_until(self.world.started_at + since)
        answer = self.world.call("PUT", "/api/client/probes", {"usdPerDay": "0.50"})
        assert answer.status == 200, answer.body

    def begin(self, warm_up: timedelta) -> None:
        self.world.run_until(self.world.started_at + warm_up)
        self.bring_server()
        self._going.set()
        self._thread.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bring_server(self) -> None:
        world = self.world
        app = demo_app(world.db, world.clock, world.wakeups, NOTICE, self._speed)
        listener = bound("127.0.0.1", self.port)
        self.port = listener.getsockname()[1]
        self._server = listening(app, listener, "error")
        self._server.__enter__()

    def take_server(self) -> None:
        if self._server is not None:
            self._server.__exit__(None, None, None)
            self._server = None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Nothing happens meanwhile, so that screen, API and database can be compared."""
        with self._turn:
            yield

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self.take_server()
        self.world.close()
        if self.error is not None:
            raise self.error

    def _pace(self) -> None:
        try:
            while not self._over.is_set():
                began = time.monotonic()
                self._over.wait(FRAME_SECONDS)
                passed = min(time.monotonic() - began, 1.0)
                with self._turn:
                    self.world.run_until(self.world.clock.now() + timedelta(seconds=passed * self._speed))
        except Exception as error:  # noqa: BLE001 -- it is raised again where the stories end
            self.error = error


@dataclass
class Watch:
    """What no page may do, noted as it happens."""

    base: str
    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def page(self, page: Page) -> Page:
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", self._request)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", lambda message: self._console(message.type, message.text))
        return page

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.outside.append(request.url)

    def _console(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not any(known in text for known in EXPECTED):
            self.complaints.append(f"{kind}: {text}")


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def until(page: Page, expression: str) -> Any:
    """The first truthy value. Not `wait_for_function`: our policy forbids pages to evaluate the strings it sends."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < end:
        if found := page.evaluate(expression):
            return found
        page.wait_for_timeout(25)
    raise TimeoutError(expression)


@dataclass
class Viewer:
    """One person's browser."""

    context: BrowserContext
    page: Page
    base: str

    def open(self, path: str) -> None:
        self.page.goto(f"{self.base}{path}")

    def sign_in(self, token: str) -> None:
        self.open("/sign-in")
        self.page.get_by_label("The tenant's token", exact=False).first.fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Fleet").wait_for()

    def api(self, path: str) -> Any:
        """As the page's own session asks."""
        answer = self.context.request.get(f"{self.base}/api/client{path}")
        assert answer.status == 200, (path, answer.status)
        return answer.json()


def viewer(browser: Browser, watch: Watch, scheme: str = "light", size: Any = None) -> Viewer:
    context = browser.new_context(
        viewport=size or WIDE, color_scheme=scheme, timezone_id="Asia/Kolkata", locale="en-GB"
    )
    return Viewer(context, watch.page(context.new_page()), watch.base)
