"""EC2's status checks of an instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.errors import read
from spotguard.domain.ids import InstanceId

_CHECKS = ("SystemStatus", "InstanceStatus")


def impaired_since(connection: Connection, instance_id: InstanceId) -> datetime | None:
    """As `Cloud.impaired_since` promises. Attached volumes have checks of their own, which are not asked."""
    shown = connection.look("describe_instance_status", InstanceIds=[instance_id])
    return min(
        (since for status in shown["InstanceStatuses"] for since in read(_failing, status)), default=None
    )


def _failing(status: Mapping[str, Any]) -> list[datetime]:
    return list(_each_failing(status))


def _each_failing(status: Mapping[str, Any]) -> Iterator[datetime]:
    for check in _CHECKS:
        summary = status.get(check) or {}
        if summary.get("Status") != "impaired":
            continue
        for detail in summary.get("Details") or ():
            if detail.get("Status") == "failed" and detail.get("ImpairedSince") is not None:
                yield detail["ImpairedSince"].astimezone(UTC)
