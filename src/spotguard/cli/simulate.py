"""`spotguard simulate`: the whole system under faults, seed by seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from spotguard.cli.progress import progress_bar

FAILED, INTERRUPTED = 1, 130
_FIGURES = (
    "schedules",
    "faults_injected",
    "invariants_checked",
    "violations",
    "schedules_per_second",
    "revision",
)


def simulate(
    seeds: Annotated[int, typer.Option(min=1, help="how many schedules")] = 100,
    first: Annotated[int, typer.Option(min=0, help="the first seed")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=256, help="processes")] = 1,
    hours: Annotated[float, typer.Option(min=0.1, max=72, help="simulated hours of each schedule")] = 6,
    harsh: Annotated[
        bool, typer.Option(help="denser schedules of those faults alone that end, cut off or move somebody")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="a file that keeps each outcome; what it holds is not run again"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the summary as one JSON object")] = False,
) -> None:
    """Run the shipped server, two coordinators and four agents through schedules of faults, six simulated hours each.

    A seed that breaks an invariant is printed with what it broke, and replays bit for bit: `--first SEED --seeds 1`
    with the same `--hours` and `--harsh`. Exit code 1 when any invariant was broken; 130 when it was
    interrupted, with the figures of the schedules that were finished. With `--record` an interrupted run goes on where
    it stopped, as long as the code is the same. Nothing of this touches AWS.
    """
    from spotguard.simulation.campaign import Outcome
    from spotguard.simulation.drawing import HARSH, ORDINARY
    from spotguard.simulation.many import simulate as run_many
    from spotguard.telemetry import configure_logging

    configure_logging("critical")  # faults make noise; what matters is what they broke
    with progress_bar() as progress:
        task = progress.add_task("schedules", total=seeds)

        def heard(outcome: Outcome) -> None:
            progress.advance(task)
            for sentence in outcome.violations:
                progress.console.print(f"seed {outcome.seed}: {sentence}", markup=False, highlight=False)

        temper = HARSH if harsh else ORDINARY
        summary = run_many(range(first, first + seeds), workers, heard, hours, record, temper)
    _show(summary, as_json=as_json)
    if summary["interrupted"]:
        raise typer.Exit(INTERRUPTED)
    if summary["violations"]:
        raise typer.Exit(FAILED)


def _show(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary))
        return
    if summary["interrupted"]:
        typer.echo("interrupted: the figures are those of the schedules that were finished")
    for key in _FIGURES:
        typer.echo(f"{key.replace('_', ' '):<22} {summary[key]}")
    typer.echo("faults reached")
    for kind, count in summary["faults_reached"].items():
        typer.echo(f"  {kind:<28} {count}")
    typer.echo("steps reached")
    for step, count in summary["steps_reached"].items():
        typer.echo(f"  {step:<28} {count}")
    if summary["failing_seeds"]:
        typer.echo(f"failing seeds: {', '.join(map(str, summary['failing_seeds']))}")
