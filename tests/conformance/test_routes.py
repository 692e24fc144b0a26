"""One suite for every provider of the Traffic port: the strict simulator in memory and on the wire, and plain moto."""

import contextlib
from dataclasses import replace

import boto3
import pytest

from spotguard.cloud.aws.connection import Account
from spotguard.cloud.aws.traffic import AwsTraffic
from spotguard.cloud.promises.routes import ROUTE_PROMISES, Roads
from spotguard.cloud.promises.stage import Broken
from spotguard.domain.traffic import DnsRecord, ElasticIp, PrivateIp, TargetGroup, route_of, told_of
from spotguard.ports.cloud_calls import answered, remote_traffic
from spotguard.ports.route_calls import CallsOfTraffic
from spotguard.ports.traffic import Arrival
from tests.cloud.scene import A
from tests.conformance import providers

LIES = {
    "a_private_address_moves_within_its_zone": "moto leaves a private address where it was",
    "a_private_address_stays_in_its_zone": "moto assigns any address to any interface",
}


@contextlib.contextmanager
def over_lines():
    """The same through the lines of JSON that an agent's child process reads and writes."""
    with in_memory() as roads:
        calls = CallsOfTraffic(roads.traffic)
        yield replace(roads, traffic=remote_traffic(lambda line: answered(calls, line)))


@contextlib.contextmanager
def in_memory():
    with providers.memory() as stage:
        traffic = stage.cloud.traffic
        yield Roads(
            stage,
            traffic,
            traffic.add_address(),
            traffic.add_private_ip("172.31.0.77", A.az),
            traffic.add_zone("web.example.internal"),
            traffic.add_target_group(),
        )


def owners(stage, url):
    """What the account's owner makes, on whatever answers at `url`."""

    def client(service):
        return boto3.client(service, region_name=A.region, endpoint_url=url)

    ec2, elb, dns = client("ec2"), client("elbv2"), client("route53")
    subnets = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": [A.az]}])["Subnets"]
    vpc = subnets[0]["VpcId"]
    group = elb.create_target_group(
        Name=stage.run, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="instance"
    )
    zone = dns.create_hosted_zone(Name="example.internal.", CallerReference=stage.run)
    return Roads(
        stage,
        AwsTraffic(Account(A.region, url)),
        ElasticIp(ec2.allocate_address(Domain="vpc")["AllocationId"]),
        PrivateIp(subnets[0]["CidrBlock"].split("/")[0][:-1] + "177"),
        DnsRecord(zone["HostedZone"]["Id"].removeprefix("/hostedzone/"), "web.example.internal"),
        TargetGroup(group["TargetGroups"][0]["TargetGroupArn"], 80),
    )


def checked(lies):
    def one(promise):
        reason = lies.get(promise.__name__)
        marks = [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]
        return pytest.param(promise, id=promise.__name__, marks=marks)

    return pytest.mark.parametrize("promise", [one(promise) for promise in ROUTE_PROMISES])


@checked({})
def test_in_memory(promise):
    with in_memory() as roads:
        promise(roads)


@checked({})
def test_over_the_lines_of_a_child_process(promise):
    with over_lines() as roads:
        promise(roads)


@checked({})
def test_on_the_wire(promise):
    with providers.wire() as stage:
        promise(owners(stage, stage.cloud.account.endpoint_url))


@checked(LIES)
def test_against_plain_moto(promise, foreign):
    stage = foreign.stage
    promise(owners(stage, foreign.cloud.account.endpoint_url))


def test_a_promise_can_be_broken():
    class Forgetful:
        """Takes every order and does nothing."""

        def __init__(self, traffic):
            self._traffic = traffic

        def __getattr__(self, name):
            return getattr(self._traffic, name)

        def switch(self, route, handing):
            return None

    with in_memory() as roads:
        stage = replace(roads.stage, patience_seconds=30)
        forgetful = replace(roads, stage=stage, traffic=Forgetful(roads.traffic))
        with pytest.raises(Broken, match="not within"):
            ROUTE_PROMISES[0](forgetful)


def test_an_address_is_gone_with_its_instance():
    with in_memory() as roads:
        to = roads.endpoint()
        roads.arrives(roads.elastic_ip, to)
        roads.traffic.announce(roads.group, to)
        roads.stage.end(to.instance_id)
        assert roads.arrival(roads.elastic_ip, to) is Arrival.ELSEWHERE
        assert roads.traffic.leads_to(roads.elastic_ip) == frozenset()
        assert roads.arrival(roads.group, to) is Arrival.ELSEWHERE
        assert roads.traffic.targets(roads.group) == {to.instance_id}
        roads.traffic.withdraw(roads.group, to.instance_id)
        assert roads.traffic.targets(roads.group) == frozenset()


def test_every_route_of_the_simulator_can_be_stored_and_read():
    with in_memory() as roads:
        for route in (roads.elastic_ip, roads.private_ip, roads.record, roads.group):
            assert route_of(told_of(route)) == route
