"""The demo at a watchable speed: the same loop paced by the wall clock, with API and page on a port."""

from __future__ import annotations

import socket
import threading
import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.live import Live
from rich.table import Table

from spotguard.compose import demo_app, listening
from spotguard.simulation.demo import Demo
from spotguard.simulation.world import World
from spotguard.store import events, leases
from spotguard.store.demos import PLAYED
from spotguard.store.tables import agents, instances

FRAME_SECONDS = 0.1
TABLE_SECONDS = 0.5
_LONGEST_PAGE = 200


def play(demo: Demo, console: Console, *, speed: float, listener: socket.socket) -> dict[str, Any]:
    """Until the days are over or Ctrl-C; then the summary of what was reached."""
    world = demo.world
    notice = (
        f"Simulated: EC2 and its interruptions are played, nothing touches AWS. Prices: {world.plan.market.source}. "
        f"Time runs {speed:g} times as fast."
    )
    app = demo_app(world.db, world.clock, world.wakeups, notice, speed)
    with listening(app, listener, "error") as address:
        console.print(f"open [bold]http://{address}/[/] with this token (Ctrl-C ends the demo):")
        console.print(world.client_token, style="bold", highlight=False, soft_wrap=True)
        reporter = _Reporter(world, console)
        with Live(reporter.table(), console=console, refresh_per_second=4, transient=True) as live:
            _pace(demo, speed, lambda: live.update(reporter.table()))
    return demo.finish()


def _pace(demo: Demo, speed: float, on_table: Any) -> None:
    world = demo.world
    began, shown = time.monotonic(), 0.0
    while world.clock.now() < demo.ends_at and not demo.stopping.is_set():
        elapsed = time.monotonic() - began
        until = min(demo.ends_at, world.started_at + timedelta(seconds=elapsed * speed))
        run_holding(world, until, demo.stopping)
        if elapsed - shown >= TABLE_SECONDS:
            shown = elapsed
            on_table()
        demo.stopping.wait(FRAME_SECONDS)


def run_holding(world: World, until: datetime, stopping: threading.Event) -> None:
    """Whoever looks amid it sees coordinators that live: a frame of the wall clock may be longer than their leases.

    And whoever stops it is heard amid it: at a high speed catching up may take minutes.
    """
    while world.clock.now() < until and not stopping.is_set():
        world.run_until(min(until, world.clock.now() + leases.LEASE / 3))
        hold_leases(world)


def hold_leases(world: World) -> None:
    """As each coordinator's own process does in production before its passes."""
    names = [seat.coordinator.ctx.settings.name for seat in world.seats]
    for name in names:
        world.db.write(lambda tx, name=name: leases.hold(tx, world.clock.now(), name))  # type: ignore[misc]


class _Reporter:
    """What the terminal shows: a table of the agents, and each event as a line above it."""

    def __init__(self, world: World, console: Console) -> None:
        self._world, self._console = world, console
        self._last_event = 0

    def table(self) -> Table:
        self._print_events()
        # 80 columns are enough: the zone at the end of a pool's name is what matters
        table = Table(
            title=f"{self._time()}  simulated",
            box=None,
            pad_edge=False,
            collapse_padding=True,
            title_justify="left",
        )
        for column in ("agent", "status", "place", "USD/h", "on demand", "epoch", "standbys"):
            table.add_column(column, no_wrap=True)
        for row in self._rows():
            price = row.spot_price if row.current_mode == "spot" else row.ondemand_price
            table.add_row(
                row.logical_agent_id,
                row.status,
                "on demand" if row.current_mode == "ondemand" else row.current_pool_id or "unknown",
                _usd(price),
                _usd(row.ondemand_price),
                str(row.epoch),
                str(row.replica_count),
            )
        return table

    def _rows(self) -> list[Any]:
        wanted = (
            sa.select(agents, instances.c.spot_price, instances.c.ondemand_price)
            .join(instances, instances.c.id == agents.c.instance_id)
            .where(agents.c.client_id == self._world.client_id)
            .order_by(agents.c.logical_agent_id)
        )
        return self._world.db.read(lambda tx: list(tx.execute(wanted)))

    def _print_events(self) -> None:
        world = self._world
        found = world.db.read(lambda tx: events.after(tx, world.client_id, self._last_event, _LONGEST_PAGE))
        if not found:
            return
        names = {row.id: row.logical_agent_id for row in self._rows()}
        for row in found:
            self._last_event = row.id
            line = (
                f"{row.at:%d %b %H:%M:%S}  {names.get(row.agent_id, 'all'):<10} {row.kind:<22} {row.message}"
            )
            style = "cyan" if row.kind == PLAYED else None
            self._console.print(line, highlight=False, soft_wrap=True, markup=False, style=style)

    def _time(self) -> str:
        return f"{self._world.clock.now():%d %b %H:%M:%S}"


def _usd(price: Decimal | None) -> str:
    return "unknown" if price is None else f"{price:.4f}"
