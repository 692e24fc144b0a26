"""DescribeInstances, and what the rest of the room needs to know of an instance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.filters import by_filters, filter_of, once_each, tag_filters
from spotguard.cloud.aws.instance_views import instance_view
from spotguard.domain.errors import NotVisible
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.ports.cloud import InstanceView, Tags


def instances(
    connection: Connection, ids: Iterable[InstanceId], token: ClientToken | None, tags: Tags | None
) -> tuple[InstanceView, ...]:
    others = [*([filter_of("client-token", token)] if token is not None else ()), *tag_filters(tags)]
    shown = [
        read(instance_view, one)
        for filters in by_filters(ids, "instance-id", others)
        for one in each_shown(connection, filters)
    ]
    return once_each(shown, lambda view: view.instance_id)


def instance(connection: Connection, instance_id: InstanceId) -> Mapping[str, Any]:
    """EC2's own words about one; `NotVisible` when it shows none."""
    for shown in each_shown(connection, [filter_of("instance-id", instance_id)]):
        return shown
    raise NotVisible("InvalidInstanceID.NotFound", instance_id)


def each_shown(connection: Connection, filters: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """EC2's own words about each."""
    for reservation in connection.pages("describe_instances", "Reservations", Filters=filters):
        yield from reservation.get("Instances", ())
