"""`spotguard backtest`: SpotBench on files of prices and availability, from any region."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spotguard.cli.output import Json, print_json, say, say_table
from spotguard.cli.progress import progress_bar
from spotguard.domain.errors import BadSetting

if TYPE_CHECKING:
    from spotguard.backtest.bench import Files, Wanted


class TrackName(StrEnum):
    """Which track."""

    P = "P"
    A = "A"
    C = "C"


class Pools(StrEnum):
    """Where a workload may run."""

    AZ = "AZ"
    FLEX = "FLEX"


def backtest(
    track: Annotated[TrackName, typer.Option(help="P price only, A storm, C calm")],
    prices: Annotated[
        list[Path] | None, typer.Option(help="price history, CSV or JSON, plain or .gz")
    ] = None,
    ondemand: Annotated[Path | None, typer.Option(help="CSV: region, instance_type, ondemand_usd_h")] = None,
    availability: Annotated[
        list[Path] | None, typer.Option(help="CSV: Timestamp, AvailabilityZone, InstanceType, Available, …")
    ] = None,
    advisor: Annotated[Path | None, typer.Option(help="snapshots of the Spot Instance Advisor")] = None,
    types: Annotated[Path | None, typer.Option(help="facts of types that SpotGuard does not know")] = None,
    policies: Annotated[str, typer.Option(help="names, separated by commas; all unless named")] = "",
    pools: Annotated[Pools, typer.Option(help="own type's zones, or equivalent types too")] = Pools.FLEX,
    starts: Annotated[int, typer.Option(min=1, help="windows of each length")] = 30,
    days: Annotated[str, typer.Option(help="lengths of windows, as 7,30; the track's own unless given")] = "",
    part: Annotated[str, typer.Option(help="A: shares of the time, as 0.6:1 for its last 40 %")] = "0:1",
    seeds: Annotated[int, typer.Option(min=1, help="C: how many")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="of dice and intervals")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=256, help="processes")] = 1,
    notice: Annotated[float, typer.Option(min=0, help="seconds before an interruption; 0: none")] = 120.0,
    terminate_wait: Annotated[
        float, typer.Option(min=0, help="seconds for which the old one is kept")
    ] = 1800.0,
    rebalance: Annotated[bool, typer.Option(help="rebalance signals (an assumption)")] = False,
    boot: Annotated[float, typer.Option(min=0, help="seconds")] = 150.0,
    restore: Annotated[float, typer.Option(min=0, help="seconds")] = 60.0,
    cut_over: Annotated[float, typer.Option(min=0, help="seconds")] = 15.0,
    snapshot: Annotated[float, typer.Option(min=0, help="seconds, for another zone")] = 300.0,
    refusal: Annotated[float, typer.Option(min=1, help="seconds of a failed launch")] = 20.0,
    as_json: Json = False,
) -> None:
    """Replay every policy in a market: what it costs, how long it is down, how far it is from the optimum.

    The figure is J(λ) = cost / on-demand cost + λ × downtime / time. Types without an on-demand price are left out and
    listed. Track C is semi-synthetic: real prices, interruptions drawn around the advisor's rates.
    """
    from spotguard.backtest import bench
    from spotguard.backtest.physics import Physics

    physics = Physics(boot, restore, cut_over, snapshot, terminate_wait, notice, refusal, rebalance=rebalance)
    wanted = bench.Wanted(
        track=track.value,
        policies=tuple(name.strip() for name in policies.split(",") if name.strip()),
        equivalents=pools is Pools.FLEX,
        starts=starts,
        seeds=seeds,
        days=_numbers("--days", days.split(",")) if days else (),
        part=_part(part),
        seed=seed,
        workers=workers,
        physics=physics,
    )
    files = bench.Files(tuple(prices or ()), ondemand, tuple(availability or ()), advisor, types)
    found = _measured(files, wanted)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _measured(files: Files, wanted: Wanted) -> dict[str, Any]:
    from spotguard.backtest import bench

    with progress_bar() as progress:
        task = progress.add_task("reading", total=None)
        job = bench.prepare(files, wanted)
        progress.update(task, description=f"track {wanted.track}", total=bench.steps(job))
        return bench.told(job, wanted, lambda: progress.advance(task))


def _numbers(option: str, texts: list[str]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(text) for text in texts)
    except ValueError as error:
        raise BadSetting(f"{option}: {error}") from error
    if not all(0 < number < float("inf") for number in numbers):
        raise BadSetting(f"{option}: positive numbers are wanted")
    return numbers


def _part(text: str) -> tuple[float, float]:
    first, _, last = text.partition(":")
    try:
        shares = float(first), float(last)
    except ValueError as error:
        raise BadSetting(f"--part: shares like 0.6:1 are wanted, not {text[:40]!r}") from error
    if not 0 <= shares[0] < shares[1] <= 1:
        raise BadSetting(f"--part: shares like 0.6:1 are wanted, not {text[:40]!r}")
    return shares


def _show(found: dict[str, Any]) -> None:
    heads = (
        "policy",
        "cost",
        "up",
        "J10",
        "95 %",
        "regret",
        "closed",
        "J100",
        "J1000",
        "moves",
        "interrupted",
    )
    say_table(heads, [_row(name, figures) for name, figures in found["policies"].items()])
    say(
        f"{found['windows']} windows; moves and interruptions in 30 days; closed: of the gap between the best"
    )
    say(
        f"causal baseline ({found['best_baseline'].get('j10', 'none was run')}) and the clairvoyant optimum, at J10"
    )
    if found["excluded"]:
        say(f"excluded, as no on-demand price is known: {', '.join(found['excluded'])}")


def _row(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    low, high = figures["j10_interval"]
    closed = figures.get("j10_gap_closed")
    return (
        name,
        f"{figures['cost_ratio']:.4f}",
        f"{100 * figures['availability']:.3f} %",
        f"{figures['j10']:.4f}",
        f"{low:.4f}-{high:.4f}",
        f"{100 * figures['regret']:.2f} %",
        "-" if closed is None else f"{100 * closed:.0f} %",
        f"{figures['j100']:.3f}",
        f"{figures['j1000']:.3f}",
        f"{figures['moves_per_30d']:.2f}",
        f"{figures['interruptions_per_30d']:.2f}",
    )
