"""What EC2's words become: instances and their ends, shapes, subnets, types, the price list."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from spotguard.cloud.aws import prices, quotas, sighting
from spotguard.cloud.aws.connection import Account
from spotguard.cloud.aws.copies import image_view, snapshot_view
from spotguard.cloud.aws.instance_views import end_reason, ended_at, instance_view, product_of
from spotguard.cloud.aws.shapes import choose_subnets, disk_of, metadata_of, needs_of, ways_out
from spotguard.cloud.aws.volumes import volume_view
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.instances import EndReason, InstanceState, Mode
from spotguard.domain.pools import LINUX
from spotguard.ports.cloud import Attachment, CopyState
from spotguard.ports.shape import DiskShape, MetadataOptions

T10 = datetime(2026, 1, 5, 10, tzinfo=UTC)
SHOWN = {
    "InstanceId": "i-1",
    "ImageId": "ami-1",
    "State": {"Name": "running"},
    "InstanceType": "m5.large",
    "LaunchTime": T10,
    "PrivateIpAddress": "10.0.0.4",
    "Placement": {"AvailabilityZone": "us-east-1a", "AvailabilityZoneId": "use1-az6"},
    "PlatformDetails": "Linux/UNIX",
    "Tags": [{"Key": "a", "Value": "b"}],
    "ClientToken": "",
}


class BigAccount:
    """An account whose owner runs one instance of a type that tells nothing of its size."""

    def look(self, operation, **_):
        assert operation == "get_service_quota"
        return {"Quota": {"QuotaName": "Standard", "Value": 32.0}}

    def pages(self, operation, key, **_):
        yield {"Instances": [{"InstanceType": "m5.immense"}]}


def test_a_type_that_nobody_knows_leaves_the_quota_unknown():
    """An answer of its own, which a report shows; not the end of whoever asks."""
    with pytest.raises(NeedsPerson, match=r"m5\.immense"):
        quotas.vcpu_quotas(BigAccount(), ["m5.large"])


class SpotAccount:
    """An account with one spot instance and the request that launched it."""

    def __init__(self, *requests):
        self.requests = requests

    def look(self, operation, **_):
        return {}

    def pages(self, operation, key, **_):
        shown = SHOWN | {"InstanceLifecycle": "spot", "SpotInstanceRequestId": "sir-1"}
        yield from {"Reservations": [{"Instances": [shown]}], "SpotInstanceRequests": self.requests}[key]


@pytest.mark.parametrize(
    ("kind", "state", "told"),
    [
        ("persistent", "active", "sir-1"),
        ("persistent", "open", "sir-1"),
        ("persistent", "disabled", "sir-1"),
        ("persistent", "cancelled", ""),
        ("one-time", "active", ""),
    ],
)
def test_a_spot_request_that_launches_again_is_named(kind, state, told):
    request = {"SpotInstanceRequestId": "sir-1", "Type": kind, "State": state}
    assert sighting.instance(SpotAccount(request), "i-1").persistent_request == told


def test_a_spot_request_that_is_not_shown_is_not_known():
    assert "sir-1" in sighting.instance(SpotAccount(), "i-1").persistent_request.because


class TestAnInstance:
    def test_as_it_runs(self):
        view = instance_view(SHOWN)
        assert (view.state, view.mode, view.token) == (InstanceState.RUNNING, Mode.ONDEMAND, None)
        assert (view.pool.id, view.pool.az_id, view.launched_at) == ("m5.large.us-east-1a", "use1-az6", T10)
        assert (view.ended_at, view.end_reason, view.end_code) == (None, None, None)

    def test_an_interruption(self):
        view = instance_view(
            SHOWN
            | {
                "State": {"Name": "terminated"},
                "InstanceLifecycle": "spot",
                "StateTransitionReason": "Service initiated (2026-01-05 11:22:33 GMT)",
                "StateReason": {"Code": "Server.SpotInstanceTermination", "Message": "…"},
            }
        )
        assert (view.mode, view.end_reason) == (Mode.SPOT, EndReason.INTERRUPTED)
        assert view.ended_at == datetime(2026, 1, 5, 11, 22, 33, tzinfo=UTC)

    def test_a_reason_of_an_earlier_stop_does_not_end_a_running_one(self):
        old = {"StateTransitionReason": "User initiated (2026-01-04 11:22:33 GMT)"}
        assert instance_view(SHOWN | old).ended_at is None

    @pytest.mark.parametrize(
        ("code", "transition", "reason"),
        [
            ("Client.UserInitiatedShutdown", "User initiated (…)", EndReason.REQUESTED),
            ("Client.InstanceInitiatedShutdown", "", EndReason.REQUESTED),
            (None, "User initiated (2026-01-05 11:22:33 GMT)", EndReason.REQUESTED),
            ("Server.SpotInstanceTermination", "", EndReason.INTERRUPTED),
            ("Server.SpotInstanceShutdown", "", EndReason.INTERRUPTED),
            ("Server.InsufficientInstanceCapacity", "", None),
            ("Client.InternalError", "", None),  # E28: the key's grant is missing
            (None, "", None),
        ],
    )
    def test_who_ended_it(self, code, transition, reason):
        assert end_reason(code, transition) is reason

    @pytest.mark.parametrize("text", ["", "User initiated", "Server.InternalError"])
    def test_an_end_without_a_time(self, text):
        assert ended_at(text) is None

    @pytest.mark.parametrize(
        ("told", "product"),
        [
            ({"PlatformDetails": "Linux/UNIX"}, LINUX),
            ({"PlatformDetails": "Ubuntu Pro"}, LINUX),
            ({"PlatformDetails": "Red Hat Enterprise Linux with HA"}, "Red Hat Enterprise Linux"),
            ({"PlatformDetails": "SUSE Linux"}, "SUSE Linux"),
            ({"PlatformDetails": "Windows with SQL Server Standard"}, "Windows"),
            ({"Platform": "windows"}, "Windows"),
            ({}, LINUX),
        ],
    )
    def test_the_product_that_it_pays(self, told, product):
        assert product_of(told) == product

    def test_its_disks_in_order_without_those_that_have_no_volume(self):
        disks = [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": "vol-1", "DeleteOnTermination": True}},
            {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeId": "vol-2"}},
        ]
        volumes = instance_view(SHOWN | {"BlockDeviceMappings": disks}).volumes
        assert [(v.device, v.delete_on_termination) for v in volumes] == [
            ("/dev/sdf", False),
            ("/dev/xvda", True),
        ]


@pytest.mark.parametrize(
    ("state", "known"),
    [
        ("pending", CopyState.PENDING),
        ("available", CopyState.DONE),
        ("failed", CopyState.FAILED),
        ("error", CopyState.FAILED),
        ("invalid", CopyState.FAILED),
    ],
)
def test_states_of_an_image(state, known):
    shown = {"ImageId": "ami-1", "Name": "n", "State": state, "CreationDate": "2026-01-05T10:00:00.000Z"}
    view = image_view(
        shown | {"BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}]}
    )
    assert (view.state, view.created_at, view.snapshots) == (known, T10, {})


def test_states_of_a_snapshot():
    shown = {"SnapshotId": "snap-1", "VolumeId": "vol-1", "VolumeSize": 8, "StartTime": T10}
    told = [snapshot_view(shown | {"State": state}).state for state in ("pending", "completed", "error")]
    assert told == [CopyState.PENDING, CopyState.DONE, CopyState.FAILED]


class TestSubnets:
    def subnet(self, name, az, *, free=100, public=False):
        return {
            "SubnetId": name,
            "AvailabilityZone": az,
            "AvailableIpAddressCount": free,
            "MapPublicIpOnLaunch": public,
        }

    def test_its_own_at_home_and_elsewhere_the_one_with_most_room_of_its_kind(self):
        subnets = [
            self.subnet("own", "a", free=20),
            self.subnet("roomy", "a", free=4000),
            self.subnet("public", "b", free=4000, public=True),
            self.subnet("small", "b", free=50),
            self.subnet("large", "b", free=90),
        ]
        assert choose_subnets(subnets, "own", {}) == {"a": "own", "b": "large"}

    def test_one_that_is_almost_full_only_where_there_is_no_other(self):
        subnets = [
            self.subnet("own", "a", free=3),
            self.subnet("roomy", "a"),
            self.subnet("last", "b", free=1),
        ]
        assert choose_subnets(subnets, "own", {}) == {"a": "roomy", "b": "last"}

    def table(self, route, *subnets, main=False):
        own = [{"Main": False, "SubnetId": name} for name in subnets]
        local = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"}
        return {
            "Routes": [local, {"DestinationCidrBlock": "0.0.0.0/0", **route}],
            "Associations": [{"Main": True}] if main else own,
        }

    def ways(self):
        return ways_out(
            [
                self.table({"GatewayId": "igw-1"}, "own", "public-b"),
                self.table({"NatGatewayId": "nat-1"}, "near", "private-b"),
                self.table({"NatGatewayId": "nat-2", "State": "blackhole"}, main=True),
            ]
        )

    def test_with_an_elastic_ip_one_whose_way_out_is_the_internet_gateway_though_none_gives_addresses(self):
        subnets = [
            self.subnet("own", "a", free=3),
            self.subnet("near", "a", free=4000),
            self.subnet("public-b", "b", free=50),
            self.subnet("private-b", "b", free=4000),
            self.subnet("cut-off", "b", free=4000),
        ]
        assert choose_subnets(subnets, "own", self.ways()) == {"a": "own", "b": "public-b"}

    def test_behind_a_nat_gateway_one_behind_a_nat_gateway(self):
        subnets = [
            self.subnet("near", "a"),
            self.subnet("public-b", "b", free=4000),
            self.subnet("private-b", "b", free=50),
            self.subnet("public-c", "c"),
        ]
        ways = {**self.ways(), "public-c": "igw"}
        chosen = {"a": "near", "b": "private-b", "c": "public-c"}  # where there is no other, any
        assert choose_subnets(subnets, "near", ways) == chosen


def test_of_a_volume_of_another_type_only_whether_it_is_encrypted_is_copied():
    told = {"VolumeType": "gp3", "Iops": 6000, "Throughput": 250, "Encrypted": True}
    assert disk_of(told) == DiskShape(encrypted=True, iops=6000, mib_per_second=250)
    assert disk_of(told | {"VolumeType": "io2", "Iops": 64000}) == DiskShape(encrypted=True)
    assert disk_of({"VolumeType": "gp2", "Iops": 100}) == DiskShape()


def test_metadata_options_are_read_as_they_are():
    told = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"}
    assert metadata_of(told) == MetadataOptions(hop_limit=2, instance_tags=True)
    assert not metadata_of({"HttpTokens": "optional"}).tokens_required


def test_what_a_machine_is_made_for():
    needs = needs_of(
        {"Architecture": "arm64", "BootMode": "uefi", "EnaSupport": True, "NetworkInterfaces": [{}, {}]}
    )
    assert (needs.architecture, needs.boot_mode, needs.ena, needs.network_interfaces) == (
        "arm64",
        "uefi",
        True,
        2,
    )


class PriceList:
    """As much of a connection as the price list needs."""

    def __init__(self, *products):
        self.account = Account("ap-south-1")
        self.products = products
        self.asked = []

    def pages(self, operation, key, **told):
        self.asked.append({f["Field"]: f["Value"] for f in told["Filters"]})
        return map(json.dumps, self.products)


def product(usd, unit, **attributes):
    dimension = {"unit": unit, "pricePerUnit": {"USD": usd}}
    return {
        "product": {"attributes": attributes},
        "terms": {"OnDemand": {"x": {"priceDimensions": {"y": dimension}}}},
    }


class TestThePriceList:
    def test_on_demand_of_linux_in_the_region(self):
        listed = PriceList(
            product("0.1010000000", "Hrs", instanceType="m5.large"),
            product("0.0000000000", "Hrs", instanceType="m5.metal"),
            product("1.0", "Quantity", instanceType="c5.large"),
        )
        assert prices.ondemand(listed) == {"m5.large": Decimal("0.101000")}
        assert (listed.asked[0]["regionCode"], listed.asked[0]["operatingSystem"]) == ("ap-south-1", "Linux")

    def test_nothing_listed_is_said_and_nothing_invented(self):
        for question in (prices.ondemand, prices.storage):
            with pytest.raises(NeedsPerson, match="NoPriceList"):
                question(PriceList())

    def test_storage_by_the_bills_own_name(self):
        listed = PriceList(
            product("0.0125", "GB-Mo", usagetype="APS3-EBS:SnapshotArchiveStorage"),
            product("0.05", "GB-Mo", usagetype="APS3-EBS:SnapshotUsage"),
            product("0.0", "GB-Mo", usagetype="APS3-EBS:SnapshotUsageUnderBilling"),
            product("0.0912", "GB-Mo", usagetype="APS3-EBS:VolumeUsage.gp3"),
        )
        rates = prices.storage(listed)
        assert (str(rates.volume_usd_per_gib_month), str(rates.snapshot_usd_per_gib_month)) == (
            "0.0912",
            "0.05",
        )


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_volume_that_several_may_have_all_are_told_in_whatever_order_ec2_lists_them(order):
    machines = ["i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"]
    shown = {
        "VolumeId": "vol-0123456789abcdef0",
        "State": "in-use",
        "AvailabilityZone": "ap-south-1a",
        "Size": 20,
        "CreateTime": datetime(2026, 1, 1, tzinfo=UTC),
        "MultiAttachEnabled": True,
        "Attachments": [
            {"InstanceId": one, "Device": f"/dev/sd{one[4]}", "State": "attached"}
            for one in machines[::order]
        ],
    }
    view = volume_view(shown)
    assert (view.attached_to, view.device) == (machines[0], "/dev/sda")
    assert view.shared_by == tuple(Attachment(one, f"/dev/sd{one[4]}") for one in machines)
    assert volume_view({**shown, "MultiAttachEnabled": False}).shared_by is None
