"""Promises of `ports.traffic.Traffic`: ordered twice, moved once; read back from who decides; nothing is released.

They need resources of the account's owner (an Elastic IP, a hosted zone, a target group with a load balancer), so the
checks of a real account leave them out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from spotguard.cloud.promises.stage import Stage, refused, require
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import InstanceId
from spotguard.domain.traffic import DnsRecord, ElasticIp, PrivateIp, Route, Script, TargetGroup
from spotguard.ports.traffic import Arrival, Endpoint, Handing, Traffic


@dataclass(frozen=True)
class Roads:
    """A stage with its traffic, and routes that lead to nobody yet. `private_ip` is of a subnet in the stage's home."""

    stage: Stage
    traffic: Traffic
    elastic_ip: ElasticIp
    private_ip: PrivateIp
    record: DnsRecord
    group: TargetGroup

    def endpoint(self) -> Endpoint:
        return self._seen(self.stage.running())

    def elsewhere(self) -> Endpoint:
        return self._seen(self.stage.running(pool=self.stage.elsewhere))

    def _seen(self, instance_id: InstanceId) -> Endpoint:
        view = self.stage.see(instance_id)
        return Endpoint(instance_id, view.private_ip, view.public_ip)

    def arrival(self, route: Route, to: Endpoint, receipt: str | None = None) -> Arrival:
        return self.traffic.read_back(route, Handing(to, 1), receipt).arrival

    def arrives(self, route: Route, to: Endpoint) -> None:
        receipt = self.traffic.switch(route, Handing(to, 1))
        self.stage.until(lambda: self.arrival(route, to, receipt) is Arrival.HERE, f"{route} leads there")


def _moves(roads: Roads, route: Route) -> None:
    first, second = roads.endpoint(), roads.endpoint()
    require(roads.arrival(route, first) is Arrival.ELSEWHERE, "it leads to somebody already")
    roads.arrives(route, first)
    roads.arrives(route, first)  # again is harmless
    require(roads.arrival(route, second) is Arrival.ELSEWHERE, "it leads to two")
    roads.arrives(route, second)
    require(roads.arrival(route, first) is Arrival.ELSEWHERE, "it leads to the former one still")


def an_elastic_ip_moves_from_one_to_another(roads: Roads) -> None:
    _moves(roads, roads.elastic_ip)


def a_private_address_moves_within_its_zone(roads: Roads) -> None:
    _moves(roads, roads.private_ip)


def a_private_address_stays_in_its_zone(roads: Roads) -> None:
    far = roads.elsewhere()
    refused(NeedsPerson, lambda: roads.traffic.switch(roads.private_ip, Handing(far, 1)))
    require(roads.arrival(roads.private_ip, far) is Arrival.ELSEWHERE, "it is there all the same")


def a_record_is_moved_when_every_name_server_has_it(roads: Roads) -> None:
    _moves(roads, roads.record)


def a_record_without_its_receipt_is_not_confirmed(roads: Roads) -> None:
    """Whoever continues after a crash has no receipt: the same change again gives one."""
    to = roads.endpoint()
    roads.traffic.switch(roads.record, Handing(to, 1))
    require(roads.arrival(roads.record, to) is Arrival.UNCONFIRMED, "it is confirmed without a receipt")
    roads.arrives(roads.record, to)


def a_record_with_another_time_to_live_is_not_the_one_that_was_wanted(roads: Roads) -> None:
    to = roads.endpoint()
    roads.arrives(roads.record, to)
    slower = replace(roads.record, ttl_seconds=roads.record.ttl_seconds + 60)
    require(roads.arrival(slower, to) is Arrival.ELSEWHERE, "its time to live is not looked at")


def a_target_is_announced_checked_and_withdrawn(roads: Roads) -> None:
    first, second = roads.endpoint(), roads.endpoint()
    require(roads.arrival(roads.group, first) is Arrival.ELSEWHERE, "it is registered already")
    for to in (first, second, first):  # both at once; again is harmless
        roads.traffic.announce(roads.group, to)
    for to in (first, second):
        roads.arrives(roads.group, to)
    for _ in range(2):  # again is harmless
        roads.traffic.withdraw(roads.group, first.instance_id)
    require(roads.arrival(roads.group, first) is Arrival.ELSEWHERE, "it is still a target")
    require(roads.arrival(roads.group, second) is Arrival.HERE, "the other one went with it")
    roads.arrives(roads.group, first)  # and back


def only_a_target_group_is_told_early_and_told_of_the_end(roads: Roads) -> None:
    to = roads.endpoint()
    for route in (roads.elastic_ip, roads.private_ip, roads.record):
        roads.traffic.announce(route, to)
        require(roads.arrival(route, to) is Arrival.ELSEWHERE, f"{route} moved when it was announced")
        roads.arrives(route, to)
        roads.traffic.withdraw(route, to.instance_id)
        require(roads.arrival(route, to) is not Arrival.ELSEWHERE, f"{route} was taken away")


def what_does_not_exist_is_a_persons_matter(roads: Roads) -> None:
    to = roads.endpoint()
    absent: tuple[Route, ...] = (
        ElasticIp("eipalloc-0fedcba9876543210"),
        replace(roads.record, zone_id="Z0NOTHING"),
        replace(roads.group, arn=roads.group.arn[:-4] + "dead"),
        Script(),
    )
    for route in absent:
        refused(NeedsPerson, lambda route=route: roads.traffic.switch(route, Handing(to, 1)))  # type: ignore[misc]
        refused(NeedsPerson, lambda route=route: roads.arrival(route, to))  # type: ignore[misc]


ROUTE_PROMISES: tuple[Callable[[Roads], None], ...] = (
    an_elastic_ip_moves_from_one_to_another,
    a_private_address_moves_within_its_zone,
    a_private_address_stays_in_its_zone,
    a_record_is_moved_when_every_name_server_has_it,
    a_record_without_its_receipt_is_not_confirmed,
    a_record_with_another_time_to_live_is_not_the_one_that_was_wanted,
    a_target_is_announced_checked_and_withdrawn,
    only_a_target_group_is_told_early_and_told_of_the_end,
    what_does_not_exist_is_a_persons_matter,
)
