"""The door of the room for questions before anything is moved: `ports.surroundings.AccountView` over boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime
from operator import itemgetter
from typing import TypeVar

from spotguard.cloud.aws import keys, naming, quotas, rights, shapes, sighting
from spotguard.cloud.aws.connection import Account, Connection, Patience
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.filters import filter_of
from spotguard.domain.agents import Executor
from spotguard.domain.errors import CloudError
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import Mode
from spotguard.planning.compatibility import TypeFacts
from spotguard.planning.eligibility.facts import Instance, Permission, Quota, Surroundings
from spotguard.planning.eligibility.pointers import Pointers
from spotguard.planning.findings import Unseen
from spotguard.ports.cloud import Tags

T = TypeVar("T")
SPOT_ROLE = "AWSServiceRoleForEC2Spot"


def looked(look: Callable[[], T]) -> T | Unseen:
    """The answer, or why there is none."""
    try:
        return look()
    except CloudError as refusal:
        return Unseen(f"{refusal.code}{': ' + refusal.detail if refusal.detail else ''}")


class AwsAccountView:
    """Implements `ports.surroundings.AccountView`. `tags` are those of what a move would make."""

    def __init__(self, account: Account, tags: Tags, patience: Patience | None = None) -> None:
        self.account = account
        self._connection = Connection(account, patience or Patience())
        self._tags = tags

    def identity(self) -> str | Unseen:
        return looked(lambda: read(itemgetter("Arn"), self._caller()))

    def clock(self) -> datetime | Unseen:
        return looked(lambda: read(_date, self._caller()))

    def _caller(self) -> object:
        return self._connection.look("get_caller_identity", service="sts")

    def instance(self, instance_id: InstanceId) -> Instance | Unseen:
        return looked(lambda: sighting.instance(self._connection, instance_id))

    def running(self) -> tuple[Instance, ...] | Unseen:
        return looked(lambda: sighting.running(self._connection))

    def types(self, names: Iterable[str]) -> tuple[TypeFacts, ...] | Unseen:
        return looked(lambda: shapes.instance_types(self._connection, names))

    def surroundings(self, instance: Instance, executor: Executor) -> Surroundings:
        spot, ondemand = self.quotas(instance.instance_type)
        return Surroundings(
            type_facts=looked(lambda: self._type(instance.instance_type)),
            keys=keys.of(self._connection, instance.volumes),
            spot_quota=spot,
            ondemand_quota=ondemand,
            permissions=self.permissions(instance, executor),
            zones=looked(lambda: self._zones(instance.vpc_id)),
        )

    def pointers(self, instance: Instance) -> Pointers:
        return naming.pointers(self._connection, instance)

    def quotas(self, instance_type: str) -> tuple[Quota | Unseen, Quota | Unseen]:
        spot = looked(lambda: quotas.quota(self._connection, instance_type, Mode.SPOT))
        ondemand = looked(lambda: quotas.quota(self._connection, instance_type, Mode.ONDEMAND))
        return spot, ondemand

    def permissions(self, instance: Instance | None, executor: Executor) -> tuple[Permission, ...] | Unseen:
        return looked(lambda: rights.permissions(self._connection, instance, executor, self._tags))

    def spot_role(self) -> bool | Unseen:
        try:
            self._connection.look("get_role", service="iam", RoleName=SPOT_ROLE)
        except CloudError as refusal:
            return False if refusal.code == "NoSuchEntity" else Unseen(refusal.code)
        return True

    def _type(self, instance_type: str) -> TypeFacts:
        return shapes.instance_types(self._connection, [instance_type])[0]

    def _zones(self, vpc_id: str) -> tuple[str, ...]:
        found = self._connection.pages(
            "describe_subnets",
            "Subnets",
            Filters=[filter_of("vpc-id", vpc_id), filter_of("state", "available")],
        )
        with_room = {one["AvailabilityZone"] for one in found if one.get("AvailableIpAddressCount", 0) > 0}
        return tuple(sorted(with_room))


def _date(answer: object) -> datetime:
    """The Date header of an answer."""
    headers = answer["ResponseMetadata"]["HTTPHeaders"]  # type: ignore[index]  # read() minds what is missing
    return parsedate_to_datetime(headers["date"])
