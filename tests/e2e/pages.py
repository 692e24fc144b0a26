"""Every page in light and dark, wide and narrow: axe finds nothing, nothing is wider than the screen; screenshots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.e2e.scene import NARROW, WIDE, Viewer, Watch, until, viewer

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SETTLED = "document.querySelector('main') !== null && !document.body.innerText.includes('Loading…')"


def require_a_move(me: Viewer, token: str) -> None:
    """One is ordered if there is none yet: its page is looked at as well."""
    if me.api("/switches?limit=1")["items"]:
        return
    served, to = next(_possible_moves(me))
    answer = me.context.request.post(
        f"{me.base}/api/client/instances/{served}/force-switch",
        headers={"Authorization": f"Bearer {token}"},
        data={"target": "pool", "poolId": to},
    )
    assert answer.status == 202, answer.text()


def _possible_moves(me: Viewer) -> Iterator[tuple[str, str]]:
    for agent in me.api("/agents")["items"]:
        for offer in me.api(f"/instances/{agent['instanceId']}/pricing")["pools"]:
            if offer["allowed"]:
                yield agent["instanceId"], offer["id"]


def paths(me: Viewer) -> dict[str, str]:
    """By name; those of one agent and one switch are the first that has been moved."""
    moves = me.api("/switches")["items"]
    agent = moves[0]["agentId"]
    return {
        "fleet": "/",
        "agent": f"/agents/{agent}",
        "switches": "/switches",
        "savings": "/savings",
        "backtest": f"/backtest?agent={agent}&days=7",
        "pools": "/pools",
        "health": "/health",
        "tokens": "/tokens",
        "switch": f"/switches/{moves[0]['id']}",
    }


def visits(browser: Browser, watch: Watch, token: str) -> Iterator[tuple[str, str, str, Page]]:
    """`(page, scheme, size, shown)`: all of them once wide in each scheme and once narrow."""
    for scheme, size in (("light", WIDE), ("dark", WIDE), ("light", NARROW)):
        name = "narrow" if size is NARROW else "wide"
        me = viewer(browser, watch, scheme, size)
        me.open("/sign-in")
        me.page.get_by_role("button", name="Sign in").wait_for()
        yield "sign-in", scheme, name, me.page
        me.sign_in(token)
        require_a_move(me, token)
        for page, path in paths(me).items():
            me.open(path)
            settle(me.page, page)
            yield page, scheme, name, me.page
        me.context.close()


def settle(page: Page, name: str) -> None:
    until(page, SETTLED)
    page.locator("h1").first.wait_for()
    if name == "agent":
        page.locator(".chart canvas").wait_for()
    if name == "backtest":
        page.get_by_role("heading", name="What this does not know").wait_for()
        page.locator(".chart canvas").wait_for()
    if name == "health":
        page.get_by_role("region", name="Newest probes").locator("tbody tr").first.wait_for()
    if name == "fleet":
        page.locator(".rows [role=row]").first.wait_for()


def violations(page: Page) -> list[str]:
    """Rule and place of whatever axe finds against WCAG 2.2 AA."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: Any = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", RULES)
    return [
        f"{one['id']}: {node['target']} {(node['any'] or node['all'] or [{'message': ''}])[0]['message']}"
        for one in found["violations"]
        for node in one["nodes"][:3]
    ]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the screen."""
    told = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(told)
