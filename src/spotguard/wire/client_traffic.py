"""How a workload is reached, as people set it: one of five routes, told apart by `driver`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from spotguard.domain.traffic import ALLOCATION, ARN, LONGEST_SECONDS, ZONE
from spotguard.wire.client import Taken
from spotguard.wire.wanted import Wanted

Port = Annotated[int, Field(strict=True, ge=1, le=65535), Wanted()]
Seconds = Annotated[int, Field(strict=True, ge=1, le=LONGEST_SECONDS), Wanted(unit="seconds")]


class ByTargetGroup(Taken):
    """`healthSeconds`: the group's check interval × its healthy threshold; ELB's own defaults are 30 s × 5."""

    driver: Literal["target-group"]
    arn: Annotated[
        str,
        StringConstraints(pattern=f"^{ARN.pattern}$", max_length=256),
        Wanted("a target group's ARN, arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID"),
    ]
    port: Port
    health_seconds: Seconds = 150


class ByElasticIp(Taken):
    """An Elastic IP of the account."""

    driver: Literal["elastic-ip"]
    allocation_id: Annotated[
        str,
        StringConstraints(pattern=f"^{ALLOCATION.pattern}$"),
        Wanted("an Elastic IP's allocation, such as eipalloc-0123456789abcdef0"),
    ]


class ByDns(Taken):
    """An A record in a Route 53 hosted zone."""

    driver: Literal["dns"]
    zone_id: Annotated[
        str,
        StringConstraints(pattern=f"^{ZONE.pattern}$"),
        Wanted("the id of a hosted zone, such as Z0123456789ABCDEFGHIJ"),
    ]
    name: Annotated[str, StringConstraints(max_length=253)]
    ttl_seconds: Seconds = 60
    address: Literal["private", "public"] = "private"


class ByPrivateIp(Taken):
    """A secondary private address of a subnet in the workload's zone."""

    driver: Literal["private-ip"]
    address: Annotated[str, StringConstraints(max_length=15)]


class ByScript(Taken):
    """The commands `traffic_script` and `traffic_check` of the agent's own settings."""

    driver: Literal["script"]
    expected_seconds: Annotated[int, Field(strict=True, ge=0, le=LONGEST_SECONDS), Wanted(unit="seconds")] = (
        15
    )


TrafficChange = Annotated[
    ByTargetGroup | ByElasticIp | ByDns | ByPrivateIp | ByScript, Field(discriminator="driver")
]
