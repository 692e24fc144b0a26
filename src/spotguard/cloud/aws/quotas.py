"""vCPU quotas of a class of types, spot and on demand, and how much of them is in use (E8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.filters import filter_of
from spotguard.domain.errors import InvalidInput, NeedsPerson
from spotguard.domain.instances import Mode
from spotguard.market.instance_types import QuotaClass, quota_class, vcpus
from spotguard.market.quota_codes import CODES
from spotguard.planning.eligibility.facts import Quota


def quota(connection: Connection, instance_type: str, mode: Mode) -> Quota:
    """`NeedsPerson` for a class whose quota we do not know."""
    try:
        wanted = quota_class(instance_type)
    except InvalidInput as error:
        raise NeedsPerson("UnknownType", str(error)) from error
    if (wanted, mode) not in CODES:
        raise NeedsPerson("UnknownQuota", f"the quotas of class {wanted} are not known to SpotGuard")
    asked = {"ServiceCode": "ec2", "QuotaCode": CODES[wanted, mode]}
    answer = connection.look("get_service_quota", service="service-quotas", **asked)
    name, limit = read(lambda told: (told["Quota"]["QuotaName"], int(told["Quota"]["Value"])), answer)
    used = sum(_vcpus(one) for one in _running(connection) if _counts(one, wanted, mode))
    return Quota(name, limit, used)


def _running(connection: Connection) -> Iterator[Mapping[str, Any]]:
    alive = filter_of("instance-state-name", "pending", "running", "stopping", "shutting-down")
    for reservation in connection.pages("describe_instances", "Reservations", Filters=[alive]):
        yield from reservation.get("Instances", ())


def _counts(shown: Mapping[str, Any], wanted: QuotaClass, mode: Mode) -> bool:
    is_spot = shown.get("InstanceLifecycle") == "spot"
    return is_spot is (mode is Mode.SPOT) and quota_class(shown["InstanceType"]) is wanted


def _vcpus(shown: Mapping[str, Any]) -> int:
    options = shown.get("CpuOptions") or {}
    if "CoreCount" in options:
        return int(options["CoreCount"]) * int(options.get("ThreadsPerCore", 1))
    return vcpus(shown["InstanceType"])
