"""`spotguard bench …`: measurements, each with a baseline in the same run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spotguard.cli.extras import require_extra
from spotguard.cli.output import Json, print_json, say, warn
from spotguard.cli.progress import progress_bar
from spotguard.domain.errors import BadSetting

if TYPE_CHECKING:
    from spotguard.bench.failover import Run

FAILED, INTERRUPTED = 1, 130
app = typer.Typer(no_args_is_help=True, help="Measurements, each with a baseline in the same run.")


@app.command()
def failover(
    runs: Annotated[
        int, typer.Option(min=2, help="after a notice; half of them with the server killed")
    ] = 20,
    deaths: Annotated[int, typer.Option(min=0, help="without a word: what an unheard death loses")] = 2,
    sites: Annotated[int, typer.Option(min=1, max=50, help="workloads at the same time")] = 1,
    as_json: Json = False,
) -> None:
    """Take serving instances away and measure, at the client, how long nobody answers.

    Server, agents, workload and client are processes on this machine; EC2 is the simulated one over HTTP. It takes
    about fifteen seconds a run. Exit code 1 when two served at once, an acknowledged write was lost after a notice, or
    a run came to no end; 130 when it was interrupted, with the figures of what was finished. It needs the extra `wire`.
    """
    _require_tools()
    from spotguard.bench.failovers import bench

    with progress_bar() as progress:
        task = progress.add_task("failovers", total=runs + deaths)

        def told(run: Run) -> None:
            progress.advance(task)
            progress.console.print(str(run), markup=False, highlight=False)

        found = bench(runs, deaths, sites, told)
    if found["interrupted"] and not as_json:
        say("interrupted: the figures are those of the runs that were finished")
    _show(found, as_json=as_json)
    for failure in found["failures"]:
        warn(f"a site could not go on: {failure}")
    if found["overlaps"] or found["lost_writes"] or found["doubled_writes"]:
        warn("a promise was broken")
        raise typer.Exit(FAILED)
    if found["interrupted"]:
        raise typer.Exit(INTERRUPTED)
    if found["failures"]:
        raise typer.Exit(FAILED)


@app.command()
def decide(
    agents: Annotated[int, typer.Option(min=1, max=1_000_000)] = 10_000,
    pools: Annotated[int, typer.Option(min=1, max=10_000)] = 500,
    seed: Annotated[int, typer.Option(help="of the market and the fleet")] = 0,
    as_json: Json = False,
) -> None:
    """Decide for a whole fleet on one core: decisions a second beside a plain Python loop and a bare numpy kernel.

    Exit code 1 when the array program and the loop give different answers.
    """
    from spotguard.bench.decide import bench

    found = bench(agents, pools, seed)
    _show(found, as_json=as_json)
    if found["answers_differ"]:
        warn("the array program and the plain loop give different answers")
        raise typer.Exit(FAILED)


@app.command()
def backtest(
    prices: Annotated[list[Path], typer.Option(help="price history, CSV or JSON, plain or .gz")],
    ondemand: Annotated[Path, typer.Option(help="CSV: region, instance_type, ondemand_usd_h")],
    policies: Annotated[str, typer.Option(help="names, separated by commas; all unless named")] = "",
    as_json: Json = False,
) -> None:
    """Replay a whole price file, twelve workloads with all their pools: CPU seconds of each policy on one core."""
    from spotguard.bench.backtest import bench

    names = [name.strip() for name in policies.split(",") if name.strip()]
    with progress_bar() as progress:
        task = progress.add_task("policies and workloads", total=None)
        found = bench(prices, ondemand, names, lambda: progress.advance(task))
    _show(found, as_json=as_json)


def _require_tools() -> None:
    require_extra("wire", "moto")
    if shutil.which("rsync") is None:
        raise BadSetting("rsync is not installed: the standbys of this measurement are synced by it")


_NAMES = {
    "server_up": "server up, seconds",
    "server_down": "server down, seconds",
    "unheard_death": "unheard death, seconds",
    "bare_handover": "bare handover, seconds",
    "lost_writes": "lost writes after a notice",
    "unheard_death_gap": "lost by an unheard death",
}


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if name == "interrupted":
            continue
        say(f"{_NAMES.get(name, name.replace('_', ' ')):<28} {_told(value)}")


def _told(value: Any) -> str:
    if isinstance(value, dict):
        parts = [(key, _told(one), isinstance(one, dict)) for key, one in value.items()]
        return ", ".join(f"{key}: {told}" if is_more else f"{key} {told}" for key, told, is_more in parts)
    if isinstance(value, list):
        return ", ".join(map(_told, value)) or "none"
    return "none" if value is None else str(value)
