"""`python -m tests.e2e`: the browser stories, axe on every page, and the figures; one JSON object at the end.

`--shots FOLDER` only takes a picture of each page, light and dark. `--only stories|pages|figures|demo` runs one part.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from spotguard.telemetry import configure_logging
from tests.e2e import demo, figures, pages
from tests.e2e.lies import a_wrong_figure_is_caught_on_every_page
from tests.e2e.scene import PATIENCE_MS, Stage, Viewer, Watch, chromium, viewer
from tests.e2e.stories import BEGINNING, END, Told
from tests.e2e.traces import every_page_shows_what_the_api_and_the_database_say

STORIES = (
    *BEGINNING,
    every_page_shows_what_the_api_and_the_database_say,
    a_wrong_figure_is_caught_on_every_page,
    *END,
)
WARM_UP = timedelta(minutes=50)
SPEED = 90
AGENTS = 6


def told(stage: Stage, browser: Browser, watch: Watch) -> dict[str, str]:
    """Of each story `passed`, or what went wrong."""
    book = Told(stage, browser, watch, viewer(browser, watch))
    outcome: dict[str, str] = {}
    for story in STORIES:
        name = story.__name__.replace("_", " ")
        outcome[name] = _tried(lambda tell=story: tell(book), book.me, name)
    book.me.context.close()
    return outcome


def _tried(tell: Callable[[], None], me: Viewer, name: str) -> str:
    began = time.monotonic()
    try:
        tell()
    except Exception as error:  # noqa: BLE001 -- the other stories are told all the same, and the run fails
        traceback.print_exc()
        shot = Path(tempfile.gettempdir()) / f"e2e-{name.replace(' ', '-')[:60]}.png"
        me.page.screenshot(path=shot)
        return f"failed: {next(iter(str(error).splitlines()), type(error).__name__)} ({shot})"
    print(f"  {time.monotonic() - began:6.1f} s  {name}", file=sys.stderr)
    return "passed"


def looked_at(browser: Browser, watch: Watch, token: str) -> dict[str, Any]:
    found: list[str] = []
    seen = 0
    for page, scheme, size, shown in pages.visits(browser, watch, token):
        seen += 1
        where = f"{page}, {scheme}, {size}"
        found += [f"{where}: {one}" for one in pages.violations(shown)]
        if (wider := pages.overflow(shown)) > 0:
            found.append(f"{where}: {wider} px wider than the screen")
    return {"pages_seen": seen, "violations": found}


def shot(browser: Browser, watch: Watch, token: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for page, scheme, size, shown in pages.visits(browser, watch, token):
        name = page if size == "wide" else f"{page}-narrow"
        shown.screenshot(path=folder / f"{name}-{scheme}.png", full_page=page != "fleet")


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--only", choices=("stories", "pages", "figures", "demo"))
    asked.add_argument("--shots", type=Path)
    asked.add_argument(
        "--agents", type=int, default=10_000, help="of the fleet that the figures are measured on"
    )
    asked.add_argument(
        "--live-minutes", type=float, default=1, help="of live updates while memory is measured"
    )
    options = asked.parse_args()
    wants = {options.only} if options.only else {"stories", "pages", "figures", "demo"}
    configure_logging("error")
    expect.set_options(timeout=PATIENCE_MS)
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="spotguard-e2e-") as folder, chromium() as browser:
        if options.shots or wants & {"stories", "pages"}:
            stage = Stage(Path(folder), AGENTS, SPEED)
            if options.shots or "stories" not in wants:  # a story sets the budget itself
                stage.pay_for_looks(WARM_UP / 2)
            stage.begin(timedelta(hours=5) if options.shots else WARM_UP)
            watch = Watch(stage.base)
            try:
                if options.shots:
                    shot(browser, watch, stage.token, options.shots)
                    return 0
                if "stories" in wants:
                    report["stories"] = told(stage, browser, watch)
                if "pages" in wants:
                    report |= looked_at(browser, watch, stage.token)
            finally:
                stage.end()
            report |= {"requests_to_other_hosts": watch.outside, "complaints": watch.complaints}
        if "demo" in wants:
            report["demo"] = demo.measured(browser)
        if "figures" in wants:
            report["figures"] = figures.measured(browser, Path(folder), options.agents, options.live_minutes)
    print(json.dumps(report, indent=1))
    return int(_is_bad(report))


def _is_bad(report: dict[str, Any]) -> bool:
    stories = report.get("stories", {})
    lists = ("violations", "requests_to_other_hosts", "complaints")
    missed = [one for part in ("figures", "demo") for one in report.get(part, {}).get("missed", [])]
    return (
        any(report.get(name) for name in lists) or bool(missed) or set(stories.values()) - {"passed"} != set()
    )


if __name__ == "__main__":
    sys.exit(main())
