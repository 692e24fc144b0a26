"""What names an instance or its addresses, service by service; a look that is refused is said to be refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.filters import filter_of
from spotguard.domain.errors import CloudError
from spotguard.planning.eligibility.facts import Instance
from spotguard.planning.eligibility.pointers import Pointer, PointerKind, Pointers

Look = Callable[[Connection, Instance], Iterator[Pointer]]
_STACK = "aws:cloudformation:stack-name"


def pointers(connection: Connection, instance: Instance) -> Pointers:
    found: list[Pointer] = []
    missing: dict[PointerKind, str] = {}
    for kind, look in LOOKS.items():
        try:
            found += read(partial(_looked, connection, look), instance)
        except CloudError as refusal:
            missing[kind] = refusal.code
    return Pointers(tuple(found), missing)


def _looked(connection: Connection, look: Look, instance: Instance) -> list[Pointer]:
    return list(look(connection, instance))


def _alarms(connection: Connection, instance: Instance) -> Iterator[Pointer]:
    for alarm in connection.paginated("describe_alarms", "MetricAlarms", service="cloudwatch"):
        if any(one["Value"] == instance.instance_id for one in _dimensions(alarm)):
            actions = [action.rpartition(":")[2] for action in alarm.get("AlarmActions", ())]
            told = f", and does {', '.join(actions)}" if actions else ""
            yield Pointer(PointerKind.ALARM, alarm["AlarmName"], f"watches {instance.instance_id}{told}")


def _dimensions(alarm: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Of the one metric, or of each in an expression."""
    yield from alarm.get("Dimensions", ())
    for query in alarm.get("Metrics", ()):
        yield from query.get("MetricStat", {}).get("Metric", {}).get("Dimensions", ())


def _target_groups(connection: Connection, instance: Instance) -> Iterator[Pointer]:
    for group in connection.paginated("describe_target_groups", "TargetGroups", service="elbv2"):
        health = connection.look(
            "describe_target_health", service="elbv2", TargetGroupArn=group["TargetGroupArn"]
        )
        for one in health.get("TargetHealthDescriptions", ()):
            target = one["Target"]["Id"]
            if target in {instance.instance_id, instance.private_ip}:
                state = one.get("TargetHealth", {}).get("State", "unknown")
                yield Pointer(
                    PointerKind.TARGET_GROUP, group["TargetGroupName"], f"sends to {target} ({state})"
                )


def _classic(connection: Connection, instance: Instance) -> Iterator[Pointer]:
    key = "LoadBalancerDescriptions"
    for balancer in connection.paginated("describe_load_balancers", key, service="elb"):
        if any(one["InstanceId"] == instance.instance_id for one in balancer.get("Instances", ())):
            yield Pointer(
                PointerKind.CLASSIC_LOAD_BALANCER,
                balancer["LoadBalancerName"],
                f"sends to {instance.instance_id}",
            )


def _scaling_groups(connection: Connection, instance: Instance) -> Iterator[Pointer]:
    answer = connection.look(
        "describe_auto_scaling_instances", service="autoscaling", InstanceIds=[instance.instance_id]
    )
    for one in answer.get("AutoScalingInstances", ()):
        state = one.get("LifecycleState", "unknown")
        yield Pointer(PointerKind.SCALING_GROUP, one["AutoScalingGroupName"], f"has it as a member ({state})")


def _stacks(_: Connection, instance: Instance) -> Iterator[Pointer]:
    if _STACK in instance.tags:
        yield Pointer(PointerKind.STACK, instance.tags[_STACK], f"made it (tag {_STACK})")


def _group_rules(connection: Connection, instance: Instance) -> Iterator[Pointer]:
    address = f"{instance.private_ip}/32"
    for name in ("ip-permission.cidr", "egress.ip-permission.cidr"):
        groups = connection.pages(
            "describe_security_groups", "SecurityGroups", Filters=[filter_of(name, address)]
        )
        for group in groups:
            way = "lets it out to" if name.startswith("egress") else "lets in"
            yield Pointer(PointerKind.GROUP_RULE, group["GroupId"], f"{way} {address} by its address")


def _elastic_ips(connection: Connection, instance: Instance) -> Iterator[Pointer]:
    wanted = [filter_of("instance-id", instance.instance_id)]
    for one in connection.look("describe_addresses", Filters=wanted).get("Addresses", ()):
        yield Pointer(
            PointerKind.ELASTIC_IP, one.get("AllocationId", one["PublicIp"]), f"{one['PublicIp']} leads to it"
        )


def _records(connection: Connection, instance: Instance) -> Iterator[Pointer]:
    addresses = {instance.private_ip, instance.public_ip} - {None, ""}
    for zone in connection.paginated("list_hosted_zones", "HostedZones", service="route53"):
        records = connection.paginated(
            "list_resource_record_sets", "ResourceRecordSets", service="route53", HostedZoneId=zone["Id"]
        )
        for record in records:
            for value in record.get("ResourceRecords", ()):
                if value["Value"] in addresses:
                    told = f"{record['Type']} {value['Value']}, TTL {record.get('TTL', 'unknown')} s"
                    yield Pointer(PointerKind.DNS_RECORD, record["Name"].rstrip("."), told)


def _routes(connection: Connection, instance: Instance) -> Iterator[Pointer]:
    tables = connection.pages("describe_route_tables", "RouteTables", size=100)
    interfaces = {one.interface_id for one in instance.interfaces}
    for table in tables:
        for route in table.get("Routes", ()):
            if (
                route.get("InstanceId") == instance.instance_id
                or route.get("NetworkInterfaceId") in interfaces
            ):
                goal = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock", "")
                yield Pointer(PointerKind.ROUTE, table["RouteTableId"], f"sends {goal} through it")


LOOKS: Mapping[PointerKind, Look] = {
    PointerKind.ALARM: _alarms,
    PointerKind.TARGET_GROUP: _target_groups,
    PointerKind.CLASSIC_LOAD_BALANCER: _classic,
    PointerKind.SCALING_GROUP: _scaling_groups,
    PointerKind.STACK: _stacks,
    PointerKind.GROUP_RULE: _group_rules,
    PointerKind.ELASTIC_IP: _elastic_ips,
    PointerKind.DNS_RECORD: _records,
    PointerKind.ROUTE: _routes,
}
