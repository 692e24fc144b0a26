"""The options of `spotguard advise`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from spotguard.cli.backtest import Pools


class ProfileName(StrEnum):
    """How much downtime hurts."""

    STATELESS = "stateless"
    STATEFUL = "stateful"
    CRITICAL = "critical"


class StandbyChoice(StrEnum):
    """Whether the plan may have, must have or must not have a standby."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def _types_like(incomplete: str) -> list[str]:
    from spotguard.market.type_facts import shipped

    return sorted(name for name in shipped() if name.startswith(incomplete))


InstanceType = Annotated[str | None, typer.Option(help="Such as m5.large.", autocompletion=_types_like)]
Regions = Annotated[list[str] | None, typer.Option(help="Such as eu-west-1; with --account repeatable.")]
Account = Annotated[
    bool, typer.Option("--account", help="Every running instance of this process's AWS account, ranked.")
]
Prices = Annotated[
    list[Path] | None,
    typer.Option(help="Price history, CSV or JSON, plain or .gz; repeatable. Default: what was fetched."),
]
Ondemand = Annotated[
    Path | None, typer.Option(help="CSV: region, instance_type, ondemand_usd_h. Default: what was fetched.")
]
Advisor = Annotated[Path | None, typer.Option(help="Snapshots of the Spot Instance Advisor.")]
Availability = Annotated[
    list[Path] | None, typer.Option(help="CSV: Timestamp, AvailabilityZone, InstanceType, Available, …")
]
Types = Annotated[Path | None, typer.Option(help="Facts of types that SpotGuard does not know.")]
PoolsOf = Annotated[Pools, typer.Option(help="Zones of its own type, or of equivalent types too.")]
OlderGenerations = Annotated[
    bool, typer.Option("--older-generations", help="Equivalent types of previous generations too.")
]
Profile = Annotated[
    ProfileName, typer.Option(help="What a minute down is worth: 10, 100 or 1000 minutes on demand.")
]
MinuteValue = Annotated[
    str | None, typer.Option(metavar="USD", help="What it is worth, instead of a profile.")
]
Standby = Annotated[StandbyChoice, typer.Option(help="A manual standby: where it pays, always or never.")]
TerminateWait = Annotated[
    float, typer.Option(min=0, max=86_400, help="Seconds for which the old instance is kept.")
]
SavingsPlan = Annotated[str, typer.Option(metavar="SHARE", help="What a 1-year Savings Plan takes off.")]
VolumeGb = Annotated[int, typer.Option(min=0, max=1_000_000, help="GiB of its EBS volumes together.")]
VolumeRate = Annotated[str | None, typer.Option(metavar="USD", help="Of a volume. Default: not counted.")]
SnapshotRate = Annotated[str | None, typer.Option(metavar="USD", help="Of a snapshot. Default: not counted.")]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", help="Write a report that is one self-contained file.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of the intervals.")]
EndpointUrl = Annotated[str | None, typer.Option(help="Another endpoint than AWS's own.")]
