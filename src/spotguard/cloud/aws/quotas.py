"""vCPU quotas of a class of types, spot and on demand, and how much of them is in use (E8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.filters import filter_of
from spotguard.domain.errors import InvalidInput, NeedsPerson
from spotguard.domain.instances import Mode
from spotguard.domain.quotas import QuotaClass, VcpuQuota
from spotguard.market.instance_types import quota_class, vcpus
from spotguard.market.quota_codes import CODES
from spotguard.planning.eligibility.facts import Quota

T = TypeVar("T")


def quota(connection: Connection, instance_type: str, mode: Mode) -> Quota:
    """`NeedsPerson` for a class whose quota we do not know."""
    wanted = _class_of(instance_type)
    if (wanted, mode) not in CODES:
        raise NeedsPerson("UnknownQuota", f"the quotas of class {wanted} are not known to SpotGuard")
    name, limit = _limit(connection, wanted, mode)
    return Quota(name, limit, _used(_running(connection), wanted, mode))


def vcpu_quotas(connection: Connection, instance_types: Iterable[str]) -> tuple[VcpuQuota, ...]:
    """As `Cloud.vcpu_quotas` promises: one look at the instances for all classes."""
    classes = {_class_of(name) for name in instance_types}
    wanted = [key for key in CODES if key[0] in classes]
    running = list(_running(connection)) if wanted else []
    return tuple(
        VcpuQuota(
            quota_class, mode, _limit(connection, quota_class, mode)[1], _used(running, quota_class, mode)
        )
        for quota_class, mode in wanted
    )


def _limit(connection: Connection, wanted: QuotaClass, mode: Mode) -> tuple[str, int]:
    """Its name and its vCPUs."""
    asked = {"ServiceCode": "ec2", "QuotaCode": CODES[wanted, mode]}
    answer = connection.look("get_service_quota", service="service-quotas", **asked)
    return read(lambda told: (told["Quota"]["QuotaName"], int(told["Quota"]["Value"])), answer)


def _used(running: Iterable[Mapping[str, Any]], wanted: QuotaClass, mode: Mode) -> int:
    return sum(_vcpus(one) for one in running if _counts(one, wanted, mode))


def _class_of(instance_type: str) -> QuotaClass:
    return _of_type(quota_class, instance_type)


def _of_type(tell: Callable[[str], T], instance_type: str) -> T:
    """`NeedsPerson` where its name tells nothing: any instance of the account may be of such a type."""
    try:
        return tell(instance_type)
    except InvalidInput as error:
        raise NeedsPerson("UnknownType", str(error)) from error


def _running(connection: Connection) -> Iterator[Mapping[str, Any]]:
    alive = filter_of("instance-state-name", "pending", "running", "stopping", "shutting-down")
    for reservation in connection.pages("describe_instances", "Reservations", Filters=[alive]):
        yield from reservation.get("Instances", ())


def _counts(shown: Mapping[str, Any], wanted: QuotaClass, mode: Mode) -> bool:
    is_spot = shown.get("InstanceLifecycle") == "spot"
    return is_spot is (mode is Mode.SPOT) and _class_of(shown["InstanceType"]) is wanted


def _vcpus(shown: Mapping[str, Any]) -> int:
    options = shown.get("CpuOptions") or {}
    if "CoreCount" in options:
        return int(options["CoreCount"]) * int(options.get("ThreadsPerCore", 1))
    return _of_type(vcpus, shown["InstanceType"])
