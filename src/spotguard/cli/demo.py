"""`spotguard demo`: the whole system on a simulated EC2, live or as fast as it can."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from spotguard.cli.output import warn
from spotguard.domain.errors import BadSetting

if TYPE_CHECKING:
    from spotguard.simulation.demo import Demo, DemoOptions

FAILED, BY_SIGNAL = 1, 128
HOST = "127.0.0.1"
SHOWN_FIRST = (
    "prices_source",
    "agents",
    "simulated_hours",
    "wall_seconds",
    "switches",
    "failovers",
    "failover_seconds",
    "downtime_seconds",
    "cost_usd",
    "ondemand_cost_usd",
    "savings_percent",
    "ledger_usd",
    "meter_usd",
    "meter_of_deleted_agents_usd",
    "records",
    "invariants_checked",
    "invariants_broken",
    "orphans",
)

PriceFiles = Annotated[
    list[Path] | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="price history to replay (AWS's JSON or CSV, .gz too); repeatable",
    ),
]
OndemandFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="on-demand prices (CSV) that go with --prices"),
]


def demo(
    prices: PriceFiles = None,
    ondemand: OndemandFile = None,
    agents: Annotated[int, typer.Option(min=1, max=200, help="how many workloads")] = 6,
    days: Annotated[float, typer.Option(min=0.01, max=90, help="simulated days")] = 3,
    speed: Annotated[
        float, typer.Option(min=1, max=100_000, help="simulated seconds per second, live")
    ] = 120,
    seed: Annotated[int, typer.Option(help="the same seed gives the same run")] = 1,
    headless: Annotated[
        bool, typer.Option("--headless", help="run the days as fast as possible, print a summary")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the summary as one JSON object")] = False,
    database_url: Annotated[str | None, typer.Option(help="default: a temporary SQLite file")] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="of API and page; 0 takes a free one")] = 8000,
) -> None:
    """See SpotGuard work: a simulated EC2 that replays real prices, with the shipped server, coordinator and agents.

    Without --prices a labelled synthetic market is played. Nothing of this touches AWS.
    """
    from spotguard.compose import bound
    from spotguard.config import load_settings, prepare_database_folder
    from spotguard.simulation.demo import DemoOptions
    from spotguard.telemetry import configure_logging

    if (prices is None) != (ondemand is None):
        raise BadSetting("--prices and --ondemand go together: spot price history tells no on-demand price")
    if database_url is not None:
        prepare_database_folder(
            load_settings(database_url=database_url).database_url
        )  # what is wrong, first of all
    configure_logging("error")
    console = Console(stderr=True)
    with (
        nullcontext() if headless else bound(HOST, port) as listener,
        tempfile.TemporaryDirectory(prefix="spotguard-demo-") as folder,
    ):
        options = DemoOptions(
            prices=tuple(prices or ()),
            ondemand=ondemand,
            agents=agents,
            days=days,
            seed=seed,
            database_url=database_url or f"sqlite:///{folder}/demo.db",
            public_url=f"http://{HOST}:{port if listener is None else listener.getsockname()[1]}",
        )
        signals: list[int] = []
        running = _opened(options, console, signals)
        try:
            summary = (
                _headless(running, console) if listener is None else _live(running, console, speed, listener)
            )
        finally:
            running.close()
    _show(summary, as_json=as_json)
    if summary["invariants_broken"] or summary["orphans"]:
        raise typer.Exit(FAILED)
    if headless and summary["interrupted"]:
        raise typer.Exit(BY_SIGNAL + (signals or [signal.SIGINT])[0])


def _opened(options: DemoOptions, console: Console, signals: list[int]) -> Demo:
    """The demo, ready to be played; signals that tell it to stop are noted."""
    from spotguard.simulation.demo import Demo

    signal.signal(signal.SIGINT, _end_at_once)
    with console.status("reading the market"):
        running = Demo(options)

    def end(number: int, _frame: Any) -> None:
        if not signals:
            os.write(sys.stderr.fileno(), b"ending, with a summary\n")  # a print may have been interrupted
        signals.append(number)
        running.stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    for complaint in running.world.plan.market.complaints:
        warn(f"{complaint}; what could be read is played")
    return running


def _end_at_once(_signal: int, _frame: Any) -> None:
    """Whoever is impatient while it ends changes nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _headless(running: Any, console: Console) -> dict[str, Any]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task("simulating", total=running.total_seconds)
        return dict(running.run(on_progress=lambda done: bar.update(task, completed=done)))


def _live(running: Any, console: Console, speed: float, listener: socket.socket) -> dict[str, Any]:
    from spotguard.simulation.live import play

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # every event as it happens, into a file or a pipe too
    console.print(
        f"[bold]SpotGuard demo[/] · prices: {running.world.plan.market.source} · simulated EC2, nothing touches AWS"
    )
    return dict(play(running, console, speed=speed, listener=listener))


def _show(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        json.dump(summary, sys.stdout)
        sys.stdout.write("\n")
        return
    if summary["interrupted"]:
        print("interrupted: the figures are those of the time that was simulated")
    for name in SHOWN_FIRST:
        print(f"{name.replace('_', ' '):>20}  {_words(summary[name])}")
    for name in ("broken", "orphaned", "acts_not_played"):
        for place, line in enumerate(summary[name]):
            print(f"{'' if place else name.replace('_', ' '):>20}  {line}")


def _words(value: Any) -> str:
    """A figure for people: parts by name, what is unknown as such."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_words(part)}" for name, part in value.items())
    return "unknown" if value is None else str(value)
