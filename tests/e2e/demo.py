"""`make demo` as its first viewer meets it: from the command to an agent's row, and to a figure of it that changes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from playwright.sync_api import Browser

from tests.e2e.scene import Watch, until, viewer

MOST_SECONDS = 10
COMMAND = [sys.executable, "-c", "from spotguard.cli.entry import main; main()", "demo", "--port", "0"]
WATCH = """
new MutationObserver(() => {
  const rows = [...document.querySelectorAll('.rows [role=row]')];
  if (rows.length === 0) return;
  const told = rows.map((row) => row.innerText).join();
  window.firstTold ??= told;
  if (told !== window.firstTold) window.hasChanged = true;
}).observe(document, {childList: true, subtree: true, characterData: true});
"""


@dataclass(frozen=True)
class Played:
    """A demo that runs."""

    base: str
    token: str


def measured(browser: Browser) -> dict[str, Any]:
    """Seconds since the command was given."""
    began = time.monotonic()
    with _played() as demo:
        serving = time.monotonic() - began
        me = viewer(browser, Watch(demo.base))
        me.page.add_init_script(WATCH)
        me.sign_in(demo.token)
        me.page.locator(".rows [role=row]").first.wait_for()
        row = time.monotonic() - began
        until(me.page, "window.hasChanged === true")
        change = time.monotonic() - began
        me.context.close()
    found: dict[str, Any] = {
        "serving_seconds": round(serving, 1),
        "first_row_seconds": round(row, 1),
        "first_change_seconds": round(change, 1),
    }
    late = change > MOST_SECONDS
    return {**found, "missed": [f"first_change_seconds: {change:.1f} > {MOST_SECONDS}"] if late else []}


@contextmanager
def _played() -> Iterator[Played]:
    child = subprocess.Popen(COMMAND, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert child.stderr is not None
        yield Played(_line(child.stderr, r"open (http://\S+)/ "), _line(child.stderr, r"^(sgc_\S+)"))
    finally:
        child.terminate()
        child.communicate()


def _line(lines: TextIO, wanted: str) -> str:
    for line in lines:
        if (found := re.search(wanted, line)) is not None:
            return found[1]
    raise AssertionError(f"the demo ended and never said {wanted!r}")
