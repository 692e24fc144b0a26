"""The comparison of every page's figures can fail: answers are falsified on their way, and each lie has to be caught.

A lie to the page alone is told between the server and the browser: the API's own answer gives it away. A lie to
everybody is told to the comparison's own questions as well: only the database's rows give it away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from playwright.sync_api import Route

from spotguard.domain.clock import rfc3339
from tests.e2e import traces
from tests.e2e.scene import Viewer
from tests.e2e.stories import Told
from tests.e2e.traces import Trace

Place = tuple[str | int, ...]
AGENT, MOVE = r"/agents/[0-9a-f-]{36}", r"/switches/[0-9a-f-]{36}"
PRICING = r"/instances/i-[0-9a-f]+/pricing"
SAME = r"(\?.*)?$"  # whatever is asked of it


@dataclass
class Lie:
    """Of one figure: in the answers of `path` (below `/api/client`, a pattern) at `place`."""

    trace: Trace
    path: str
    place: Place
    to_everybody: bool = False
    heard: int = field(default=0, compare=False)

    def told(self, answer: Any) -> Any:
        """The answer with the figure made wrong, as little as it can be seen; as it is where it has no such figure."""
        *way, last = self.place
        around = answer
        try:
            for step in way:
                around = around[step]
            around[last] = wrong(around[last])
        except LookupError:
            return answer
        self.heard += 1
        return answer

    def __str__(self) -> str:
        whom = "everybody" if self.to_everybody else "the page"
        return f"{self.trace.__name__}: {'.'.join(map(str, self.place))} of {self.path} to {whom}"


def wrong(figure: Any) -> Any:
    """A figure of the same kind beside the true one; what is unknown becomes known."""
    if figure is None:
        return "0.1000"
    if isinstance(figure, int | float):
        return figure + 1
    if re.fullmatch(r"-?\d+\.\d+", figure):
        return str(Decimal(figure) + Decimal("0.01"))
    if re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", figure):
        return rfc3339(datetime.fromisoformat(figure) + timedelta(seconds=1))
    return f"{figure}x"


@dataclass
class Deceived(Viewer):
    """A viewer whose own questions are answered with the lie too."""

    lie: Lie | None = None

    def api(self, path: str) -> Any:
        answer = super().api(path)
        if self.lie is None or re.search(self.lie.path + SAME, path) is None:
            return answer
        return self.lie.told(answer)


def _lies(trace: Trace, path: str, *places: Place) -> list[Lie]:
    return [Lie(trace, path, place) for place in places]


def _deep_lies(trace: Trace, path: str, *places: Place) -> list[Lie]:
    """To the page alone, and to everybody."""
    return [Lie(trace, path, place, whom) for place in places for whom in (False, True)]


def every_lie() -> tuple[Lie, ...]:
    first = ("items", 0)
    agent, moves, move = traces.the_agents_page, traces.the_switches_page, traces.the_page_of_one_switch
    looks = traces.the_looks_of_the_health_page
    return (
        *_deep_lies(agent, AGENT, ("priceUsd",), ("onDemandUsd",), ("savingPercent",), ("lastHeartbeatAt",)),
        *_lies(agent, AGENT, ("epoch",)),
        *_deep_lies(agent, PRICING, ("pools", 0, "price"), ("onDemand",)),
        *_lies(agent, PRICING, ("pools", 0, "savingPercent"), ("pools", 0, "because")),
        *_lies(agent, f"{AGENT}/decisions", (*first, "decidedAt"), (*first, "because")),
        *_lies(agent, f"{AGENT}/events", (*first, "at"), (*first, "message")),
        *_deep_lies(moves, "/switches", (*first, "savingsImpact"), (*first, "initiatedAt")),
        *_lies(move, MOVE, ("newSpotPrice",), ("onDemandPrice",)),
        *_lies(move, MOVE, ("initiatedAt",), ("steps", 0, "at")),
        *_deep_lies(traces.the_savings_page, "/savings", ("groups", 0, "computeUsd")),
        *_deep_lies(traces.the_savings_page, "/savings", ("groups", 0, "onDemandUsd")),
        *_lies(traces.the_savings_page, "/savings", ("groups", 0, "savedUsd"), ("groups", 0, "savedPercent")),
        *_deep_lies(traces.the_pools_page, "/pools", (*first, "price"), (*first, "capturedAt")),
        *_deep_lies(traces.the_pools_page, "/pools", (*first, "launched")),
        *_lies(traces.the_pools_page, "/pools", (*first, "interruptions")),
        *_deep_lies(traces.the_health_page, "/health", ("queue", "pending"), ("queue", "leased")),
        *_lies(traces.the_health_page, "/health", ("model", "policy"), ("invariants", "brokenCount")),
        *_deep_lies(looks, "/probes", ("usdPerDay",), (*first, "usd"), (*first, "createdAt")),
        *_lies(looks, "/probes", ("spentUsd",), (*first, "usdPerHour")),
        *_lies(looks, "/probes", (*first, "poolId"), (*first, "answer"), (*first, "because")),
        *_lies(
            traces.the_tokens_page, "/tokens", ("agentTokens", 0, "createdAt"), ("browsers", 0, "expiresAt")
        ),
        *_lies(traces.the_backtest_page, f"{AGENT}/backtest", ("onDemandUsd",), ("onDemandUsdPerHour",)),
    )


@contextmanager
def telling(told: Told, lie: Lie) -> Iterator[Told]:
    """The stories' viewer, lied to."""
    way = re.compile(f"/api/client{lie.path}{SAME}")
    page = told.page

    def falsify(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=json.dumps(lie.told(answer.json())))

    page.route(way, falsify)
    me = told.me
    deceived = Deceived(me.context, page, me.base, lie if lie.to_everybody else None)
    try:
        yield replace(told, me=deceived)
    finally:
        page.unroute_all(behavior="ignoreErrors")


def a_wrong_figure_is_caught_on_every_page(told: Told) -> None:
    missed = []
    with told.stage.standing_still():
        for lie in every_lie():
            with telling(told, lie) as deceived:
                if not _is_caught(deceived, lie.trace):
                    missed.append(f"not caught: {lie}")
            if not lie.heard:
                missed.append(f"nobody heard: {lie}")
    assert not missed, "; ".join(missed)


def _is_caught(told: Told, trace: Trace) -> bool:
    try:
        trace(told)
    except AssertionError:
        return True
    return False
