"""`ports.traffic.Traffic` over boto3: target groups, Elastic IPs, Route 53 records, secondary private addresses.

Facts: Elastic Load Balancing, EC2 and Route 53 API references. AssociateAddress and AssignPrivateIpAddresses are
idempotent and move what is assigned elsewhere; an Elastic IP that is remapped again and again costs money, so whoever
calls looks first. An UPSERT writes the whole record. None of them takes a client token.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from spotguard.cloud.aws.connection import Account, Connection, Patience
from spotguard.cloud.aws.doors import Doors
from spotguard.cloud.aws.errors import read
from spotguard.domain.errors import NeedsPerson, NotVisible
from spotguard.domain.ids import InstanceId
from spotguard.domain.traffic import DnsAddress, DnsRecord, ElasticIp, PrivateIp, Route, TargetGroup
from spotguard.ports.traffic import Arrival, Endpoint, Handing, Reading

NO_SUCH_TARGET = "InvalidTarget"
NO_SUCH_CHANGE = "NoSuchChange"  # Route 53 forgets changes that are long done
_IN_SYNC = "INSYNC"
_CHECKED = frozenset({"healthy", "unavailable"})  # unavailable: its health checks are switched off
_REGISTERED = frozenset({*_CHECKED, "initial", "unhealthy"})
_UNUSED_GROUP = "Target.NotInUse"


class AwsTraffic:
    """Implements `ports.traffic.Traffic` in one account and region. Threads may share it."""

    def __init__(
        self, account: Account, patience: Patience | None = None, doors: Doors | None = None
    ) -> None:
        self._connection = Connection(account, patience or Patience(), doors)

    def announce(self, route: Route, to: Endpoint) -> None:
        if isinstance(route, TargetGroup):
            self._register(route, to.instance_id)

    def switch(self, route: Route, handing: Handing) -> str | None:
        to = handing.to
        match route:
            case TargetGroup():
                self._register(route, to.instance_id)
            case ElasticIp():
                self._connection.change(
                    "associate_address",
                    AllocationId=route.allocation_id,
                    InstanceId=to.instance_id,
                    AllowReassociation=True,
                )
            case PrivateIp():
                interface = self._interface(to.instance_id)
                self._connection.change(
                    "assign_private_ip_addresses",
                    NetworkInterfaceId=read(itemgetter("NetworkInterfaceId"), interface),
                    PrivateIpAddresses=[route.address],
                    AllowReassignment=True,
                )
            case DnsRecord():
                return self._upsert(route, address_of(route, to))
            case _:
                raise not_ours(route)
        return None

    def read_back(self, route: Route, handing: Handing, receipt: str | None) -> Reading:
        to = handing.to
        match route:
            case TargetGroup():
                return self._health(route, to.instance_id)
            case ElasticIp():
                return self._association(route, to.instance_id)
            case PrivateIp():
                return self._assignment(route, to.instance_id)
            case DnsRecord():
                return self._record(route, address_of(route, to), receipt)
            case _:
                raise not_ours(route)

    def withdraw(self, route: Route, instance_id: InstanceId) -> None:
        if not isinstance(route, TargetGroup):
            return
        try:
            self._connection.change(
                "deregister_targets",
                service="elbv2",
                TargetGroupArn=route.arn,
                Targets=[{"Id": instance_id, "Port": route.port}],
            )
        except NeedsPerson as error:
            if error.code != NO_SUCH_TARGET:
                raise

    # target groups

    def _register(self, route: TargetGroup, instance_id: InstanceId) -> None:
        self._connection.change(
            "register_targets",
            service="elbv2",
            TargetGroupArn=route.arn,
            Targets=[{"Id": instance_id, "Port": route.port}],
        )

    def _health(self, route: TargetGroup, instance_id: InstanceId) -> Reading:
        answer = self._connection.look(
            "describe_target_health",
            service="elbv2",
            TargetGroupArn=route.arn,
            Targets=[{"Id": instance_id, "Port": route.port}],
        )
        told = read(lambda a: a["TargetHealthDescriptions"][0]["TargetHealth"], answer)
        state, reason = read(itemgetter("State"), told), told.get("Reason", "")
        because = f"the target group says {state}{': ' + reason if reason else ''}"
        if reason == _UNUSED_GROUP:
            raise NeedsPerson(reason, "no load balancer uses this target group, or none in the target's zone")
        if state in _CHECKED:
            return Reading(Arrival.HERE, because)
        return Reading(Arrival.COMING if state in _REGISTERED else Arrival.ELSEWHERE, because)

    # addresses

    def _association(self, route: ElasticIp, instance_id: InstanceId) -> Reading:
        answer = self._connection.look("describe_addresses", AllocationIds=[route.allocation_id])
        owner = read(lambda a: a["Addresses"][0], answer).get("InstanceId") or "nobody"
        arrival = Arrival.HERE if owner == instance_id else Arrival.ELSEWHERE
        return Reading(arrival, f"{route.allocation_id} is associated with {owner}")

    def _assignment(self, route: PrivateIp, instance_id: InstanceId) -> Reading:
        interface = self._interface(instance_id)
        has = read(lambda i: {a["PrivateIpAddress"] for a in i["PrivateIpAddresses"]}, interface)
        if route.address in has:
            return Reading(Arrival.HERE, f"{route.address} is assigned to {instance_id}")
        return Reading(Arrival.ELSEWHERE, f"{route.address} is not assigned to {instance_id}")

    def _interface(self, instance_id: InstanceId) -> Mapping[str, Any]:
        """Its first network interface."""
        filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
        shown = self._connection.pages("describe_network_interfaces", "NetworkInterfaces", Filters=filters)
        for interface in shown:
            if read(lambda i: i["Attachment"]["DeviceIndex"], interface) == 0:
                found: Mapping[str, Any] = interface
                return found
        raise NotVisible("NetworkInterface.NotFound", f"EC2 shows no network interface of {instance_id}")

    # records

    def _upsert(self, route: DnsRecord, address: str) -> str:
        record = {
            "Name": route.name,
            "Type": "A",
            "TTL": route.ttl_seconds,
            "ResourceRecords": [{"Value": address}],
        }
        answer = self._connection.change(
            "change_resource_record_sets",
            service="route53",
            HostedZoneId=route.zone_id,
            ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]},
        )
        return read(lambda a: str(a["ChangeInfo"]["Id"]), answer)

    def _record(self, route: DnsRecord, address: str, receipt: str | None) -> Reading:
        answer = self._connection.look(
            "list_resource_record_sets",
            service="route53",
            HostedZoneId=route.zone_id,
            StartRecordName=route.name,
            StartRecordType="A",
            MaxItems="1",
        )
        sets = read(itemgetter("ResourceRecordSets"), answer)
        found = [one for one in sets if _is_of(route, one)]
        values = read(lambda s: [v["Value"] for one in s for v in one.get("ResourceRecords", ())], found)
        if values != [address] or found[0].get("TTL") != route.ttl_seconds:
            return Reading(Arrival.ELSEWHERE, f"{route.name} is {', '.join(values) or 'no plain record'}")
        if receipt is None:
            return Reading(Arrival.UNCONFIRMED, f"{route.name} is {address}")
        if not self._is_everywhere(receipt):
            return Reading(Arrival.COMING, f"{route.name} is {address}, not yet on every name server")
        return Reading(Arrival.HERE, f"{route.name} is {address} on every name server")

    def _is_everywhere(self, receipt: str) -> bool:
        try:
            answer = self._connection.look("get_change", service="route53", Id=receipt)
        except NeedsPerson as error:
            if error.code == NO_SUCH_CHANGE:
                return True
            raise
        return read(lambda a: str(a["ChangeInfo"]["Status"]), answer) == _IN_SYNC


def _is_of(route: DnsRecord, record: Mapping[str, Any]) -> bool:
    """Route 53 lists from the name on, and ends every name with a dot."""
    same_name = str(record.get("Name", "")).rstrip(".") == route.name.rstrip(".")
    return same_name and record.get("Type") == "A"


def address_of(route: DnsRecord, to: Endpoint) -> str:
    address = to.public_ip if route.address is DnsAddress.PUBLIC else to.private_ip
    if not address:
        raise NeedsPerson("NoAddress", f"{to.instance_id} has no {route.address} address for {route.name}")
    return address


def not_ours(route: Route) -> NeedsPerson:
    return NeedsPerson("NotOurs", f"a route by {route.driver} is moved on the instance, not by AWS")
