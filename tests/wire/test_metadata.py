"""IMDSv2 over real HTTP, read by the agent's own client and by hand."""

import json
import threading
import time
import urllib.error
import urllib.request

import pytest
from botocore.utils import InstanceMetadataRegionFetcher

from spotguard.domain.errors import MetadataUnavailable
from spotguard.domain.instances import Mode
from spotguard.host.imds import ImdsMetadata
from tests.cloud.scene import START, A, B
from tests.wire.scene import served

TOKEN = "X-aws-ec2-metadata-token"
TTL = f"{TOKEN}-ttl-seconds"
NOTICE = "/latest/meta-data/spot/instance-action"


def asked(base, path, method="GET", **headers):
    """Status and body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(base + path, method=method, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def token_of(base, seconds=60):
    return asked(base, "/latest/api/token", "PUT", **{TTL: str(seconds)})[1]


def test_the_agents_own_client_reads_who_it_is(scene):
    instance_id = scene.running(B.az, spot=False, UserData="hello")
    me = ImdsMetadata(scene.wire.imds_url(instance_id)).identity()
    seen = scene.see(instance_id)
    assert (me.instance_id, me.az, me.mode) == (instance_id, B.az, Mode.ONDEMAND)
    assert (me.private_ip, me.public_ip) == (seen["PrivateIpAddress"], seen["PublicIpAddress"])
    assert me.hostname == seen["PrivateDnsName"]
    assert me.boot_id == "2026-01-05T00:00:00Z"
    zones = scene.client.describe_availability_zones()["AvailabilityZones"]
    assert me.az_id == {zone["ZoneName"]: zone["ZoneId"] for zone in zones}[B.az]
    assert ImdsMetadata(scene.wire.imds_url(instance_id)).user_data() == "hello"


def test_signals_show_as_they_come(scene):
    instance_id = scene.running()
    metadata = ImdsMetadata(scene.wire.imds_url(instance_id))
    assert metadata.interruption_notice() is None
    assert metadata.rebalance_recommendation() is None
    scene.control("signal-rebalance", instance_id=instance_id)
    assert (metadata.rebalance_recommendation().notice_time - START).total_seconds() == 10
    scene.control("interrupt", instance_id=instance_id)
    assert (metadata.interruption_notice().action_time - START).total_seconds() == 130


def test_every_instance_has_its_own(scene):
    one, two = scene.running(), scene.running()
    assert ImdsMetadata(scene.wire.imds_url(one)).identity().instance_id == one
    assert ImdsMetadata(scene.wire.imds_url(two)).identity().instance_id == two
    assert asked(scene.wire.imds_url("i-0123"), NOTICE)[0] == 404


def test_botocore_finds_its_region_there(scene, monkeypatch):
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)  # botocore's own switch
    base = scene.wire.imds_url(scene.running())
    fetcher = InstanceMetadataRegionFetcher(
        timeout=20,  # seconds; its own is one
        config={"ec2_metadata_service_endpoint": base, "ec2_metadata_service_endpoint_mode": None},
    )
    assert fetcher.retrieve_region() == A.region


class TestTokens:
    """E20."""

    def test_none_or_an_expired_one_is_a_401(self, scene):
        base = scene.wire.imds_url(scene.running())
        assert asked(base, NOTICE)[0] == 401
        token = token_of(base)
        assert asked(base, NOTICE, **{TOKEN: token})[0] == 404
        scene.wait(60)
        assert asked(base, NOTICE, **{TOKEN: token})[0] == 401

    def test_another_instances_token_is_a_401(self, scene):
        one, two = (scene.wire.imds_url(scene.running()) for _ in range(2))
        token = token_of(one)
        assert asked(two, NOTICE, **{TOKEN: token})[0] == 401

    @pytest.mark.parametrize("ttl", ["0", "21601", "soon", ""])
    def test_a_ttl_of_one_second_to_six_hours(self, scene, ttl):
        base = scene.wire.imds_url(scene.running())
        assert asked(base, "/latest/api/token", "PUT", **{TTL: ttl})[0] == 400

    def test_a_put_that_came_through_a_proxy_is_refused(self, scene):
        base = scene.wire.imds_url(scene.running())
        proxied = {TTL: "60", "X-Forwarded-For": "10.0.0.1"}
        assert asked(base, "/latest/api/token", "PUT", **proxied)[0] == 403

    def test_the_client_renews_a_forgotten_one(self, scene):
        instance_id = scene.running()
        metadata = ImdsMetadata(scene.wire.imds_url(instance_id))
        metadata.identity()
        scene.control("forget-metadata-tokens", instance_id=instance_id)
        assert metadata.interruption_notice() is None


class TestTrouble:
    @pytest.mark.parametrize("fault", ["throttled", "unauthorized", "hang"])
    def test_until_it_is_mended(self, scene, fault):
        instance_id = scene.running()
        metadata = ImdsMetadata(scene.wire.imds_url(instance_id))
        metadata.identity()
        scene.control("disturb-metadata", instance_id=instance_id, fault=fault)
        with pytest.raises(MetadataUnavailable):
            metadata.interruption_notice()
        scene.control("disturb-metadata", instance_id=instance_id, fault=None)
        assert metadata.interruption_notice() is None

    def test_throttled_is_a_503(self, scene):
        instance_id = scene.running()
        base = scene.wire.imds_url(instance_id)
        scene.control("disturb-metadata", instance_id=instance_id, fault="throttled", seconds=30)
        assert asked(base, "/latest/api/token", "PUT", **{TTL: "60"})[0] == 503
        scene.wait(30)
        assert asked(base, "/latest/api/token", "PUT", **{TTL: "60"})[0] == 200

    def test_no_machine_no_answer(self, scene):
        pending = scene.launch()["InstanceId"]
        with pytest.raises(MetadataUnavailable):
            ImdsMetadata(scene.wire.imds_url(pending)).identity()

    def test_a_closing_server_does_not_wait_for_those_whom_it_does_not_answer(self):
        with served() as scene:
            base = scene.wire.imds_url(scene.launch()["InstanceId"])
            heard = []

            def ask():
                try:
                    asked(base, NOTICE)
                except OSError as error:
                    heard.append(error)

            asking = threading.Thread(target=ask)
            asking.start()
            begun = time.monotonic()
        asking.join(5)
        assert heard
        assert time.monotonic() - begun < 3


def test_the_document_is_json(scene):
    base = scene.wire.imds_url(scene.running())
    status, body = asked(base, "/latest/dynamic/instance-identity/document", **{TOKEN: token_of(base)})
    assert (status, json.loads(body)["region"]) == (200, "us-east-1")
