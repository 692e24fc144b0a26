"""What the AWS room sends, how often, and what it makes of answers that come late, twice, in pieces or not at all."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from spotguard.cloud.aws import fleets
from spotguard.cloud.aws.errors import by_code
from spotguard.cloud.aws.launching import parameters
from spotguard.domain.errors import Doubtful, NeedsPerson, PoolDry, QuotaReached, Throttled
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.ports.cloud import BlockDevice, FleetRequest, LaunchRequest
from spotguard.ports.shape import DiskShape, MetadataOptions, Shape
from tests.cloud.aws_scene import FOUND, INSTANCE, RUNNING, answer, refuse, scripted

A, B = Pool("m5.large", "us-east-1a"), Pool("c5.large", "us-east-1b")
VOLUME = "vol-0123456789abcdef0"
SHAPE = Shape(
    metadata=MetadataOptions(hop_limit=2, instance_tags=True),
    security_groups=("sg-1", "sg-2"),
    key_name="ops",
    instance_profile="arn:aws:iam::123456789012:instance-profile/web",
    credits="unlimited",
    ebs_optimized=True,
    detailed_monitoring=True,
    tenancy="dedicated",
    vpc_id="vpc-1",
    subnets={"us-east-1a": "subnet-a", "us-east-1b": "subnet-b"},
)
WISH = LaunchRequest(
    "token-1",
    A,
    Mode.SPOT,
    "ami-1",
    {"spotguard:managed": "test"},
    "note",
    (BlockDevice("/dev/sdf", 4), BlockDevice("/dev/sdg", no_device=True)),
    SHAPE,
)


def tagged(told, where="TagSpecification"):
    """The kinds that a call tags."""
    kinds = {key: value for key, value in told.items() if key.startswith(f"{where}.")}
    return [value for key, value in sorted(kinds.items()) if key.endswith(".ResourceType")]


class TestALaunch:
    def test_everything_is_said_in_one_call(self):
        """Invariant 6, E25, E30: token and tags in the call itself; one-time spot, no maximum price."""
        with scripted(RunInstances=[answer("RunInstances", RUNNING)]) as (cloud, endpoint):
            view = cloud.run_instance(WISH)
        (told,) = endpoint.asked("RunInstances")
        assert told["ClientToken"] == "token-1"
        assert told["InstanceMarketOptions.SpotOptions.SpotInstanceType"] == "one-time"
        assert not [key for key in told if "MaxPrice" in key]
        kinds = {told[f"TagSpecification.{n}.ResourceType"] for n in range(1, 5)}
        assert kinds == {"instance", "volume", "network-interface", "spot-instances-request"}
        assert (view.instance_id, view.mode, view.token) == (INSTANCE, Mode.SPOT, "token-1")

    def test_on_demand_names_no_market(self):
        told = parameters(replace(WISH, mode=Mode.ONDEMAND))
        assert "InstanceMarketOptions" not in told
        assert "spot-instances-request" not in {s["ResourceType"] for s in told["TagSpecifications"]}

    def test_the_clone_is_shaped_like_its_original(self):
        told = parameters(WISH)
        assert told["MetadataOptions"]["HttpTokens"] == "required"
        assert told["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
        assert (told["KeyName"], told["SubnetId"]) == ("ops", "subnet-a")
        assert told["SecurityGroupIds"] == ["sg-1", "sg-2"]
        assert told["Placement"] == {"Tenancy": "dedicated"}
        assert told["EbsOptimized"]
        assert told["Monitoring"] == {"Enabled": True}
        assert "CreditSpecification" not in told  # m5 takes none
        burstable = parameters(replace(WISH, pool=Pool("t3.large", "us-east-1a")))
        assert burstable["CreditSpecification"] == {"CpuCredits": "unlimited"}

    def test_a_public_address_is_asked_for_where_the_original_had_one(self):
        told = parameters(replace(WISH, shape=replace(SHAPE, public_ip=True)))
        (interface,) = told["NetworkInterfaces"]
        assert (interface["SubnetId"], interface["AssociatePublicIpAddress"]) == ("subnet-a", True)
        assert interface["Groups"] == ["sg-1", "sg-2"]
        assert not {"SubnetId", "SecurityGroupIds"} & set(told)

    def test_without_a_shape_it_goes_to_the_zone_and_speaks_imdsv2(self):
        told = parameters(replace(WISH, shape=None))
        assert told["Placement"] == {"AvailabilityZone": "us-east-1a"}
        assert told["MetadataOptions"]["HttpTokens"] == "required"

    def test_a_zone_without_a_subnet_is_a_dry_pool(self):
        with pytest.raises(PoolDry, match="NoSubnetInZone"):
            parameters(replace(WISH, pool=Pool("m5.large", "us-east-1c")))

    def test_disks_that_may_serve_outlive_the_instance(self):
        first, second = parameters(WISH)["BlockDeviceMappings"]
        assert first == {
            "DeviceName": "/dev/sdf",
            "Ebs": {"DeleteOnTermination": False, "VolumeSize": 4, "VolumeType": "gp3"},
        }
        assert second == {"DeviceName": "/dev/sdg", "NoDevice": ""}

    def of_its_original(self, disk, size_gib=4, snapshot_id=None):
        shape = replace(SHAPE, disks={"/dev/sdf": disk, "/dev/xvda": DiskShape(encrypted=True)})
        devices = (BlockDevice("/dev/sdf", size_gib, snapshot_id),)
        (told,) = parameters(replace(WISH, block_devices=devices, shape=shape))["BlockDeviceMappings"]
        return {key: told["Ebs"][key] for key in ("Encrypted", "Iops", "Throughput") if key in told["Ebs"]}

    def test_a_volume_in_place_of_an_encrypted_one_is_encrypted(self):
        assert self.of_its_original(DiskShape(encrypted=True)) == {"Encrypted": True}
        assert self.of_its_original(DiskShape(encrypted=False)) == {}
        assert (
            self.of_its_original(DiskShape(encrypted=True), snapshot_id="snap-1") == {}
        )  # as the snapshot is

    def test_a_volume_is_as_fast_as_its_original_within_what_gp3_allows_for_its_size(self):
        fast = DiskShape(iops=12000, mib_per_second=600)
        assert self.of_its_original(fast, 100) == {"Iops": 12000, "Throughput": 600}
        assert self.of_its_original(fast, 4) == {"Throughput": 600}
        assert self.of_its_original(DiskShape(iops=3000, mib_per_second=1000), 4) == {"Throughput": 750}
        assert self.of_its_original(DiskShape(iops=3000, mib_per_second=125), 4) == {}

    def test_the_same_request_gives_the_same_parameters(self):
        assert parameters(WISH) == parameters(replace(WISH))


class TestDoubt:
    def test_a_lost_answer_surfaces_and_is_never_sent_again(self):
        with scripted() as (cloud, endpoint):
            endpoint.answers["RunInstances"] = [endpoint.never]
            with pytest.raises(Doubtful):
                cloud.run_instance(WISH)
            assert len(endpoint.asked("RunInstances")) == 1

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_server_error_on_a_change_is_doubt_and_sent_once(self, status):
        with scripted(TerminateInstances=[refuse("InternalError", status)]) as (cloud, endpoint):
            with pytest.raises(Doubtful):
                cloud.terminate_instance(INSTANCE)
            assert len(endpoint.calls) == 1

    def test_throttling_of_a_change_is_the_callers_to_repeat(self):
        with scripted(CreateSnapshot=[refuse("RequestLimitExceeded", 503)]) as (cloud, endpoint):
            with pytest.raises(Throttled):
                cloud.create_snapshot(VOLUME, {"a": "b"})
            assert len(endpoint.calls) == 1

    @pytest.mark.parametrize(
        "nonsense",
        [
            b"<RunInstancesRes",
            b"<html>a proxy says hello</html>",
            RUNNING.replace("pending", "dreaming").encode(),
        ],
    )
    def test_an_answer_that_cannot_be_read_is_doubt(self, nonsense):
        torn = (200, nonsense) if nonsense[:2] != b"<i" else answer("RunInstances", nonsense.decode())
        with scripted(RunInstances=[torn]) as (cloud, _), pytest.raises(Doubtful):
            cloud.run_instance(WISH)

    def test_a_look_is_repeated_once(self):
        good = answer("DescribeInstances", FOUND)
        with scripted(DescribeInstances=[refuse("Unavailable", 503), good]) as (cloud, endpoint):
            assert [view.instance_id for view in cloud.describe_instances([INSTANCE])] == [INSTANCE]
            assert len(endpoint.calls) == 2


class TestPages:
    def page(self, instance_id, token):
        more = f"<nextToken>{token}</nextToken>" if token is not None else ""
        found = FOUND.replace(INSTANCE, instance_id) if instance_id else "<reservationSet/>"
        return answer("DescribeInstances", found + more)

    def test_an_empty_page_is_not_the_end_and_what_comes_twice_counts_once(self):
        """E31."""
        pages = [self.page("i-1", "p2"), self.page(None, "p3"), self.page("i-1", "p4"), self.page("i-2", "")]
        with scripted(DescribeInstances=pages) as (cloud, endpoint):
            assert [view.instance_id for view in cloud.describe_instances()] == ["i-1", "i-2"]
            assert [call.get("NextToken") for call in endpoint.calls] == [None, "p2", "p3", "p4"]

    def test_a_page_token_that_comes_again_does_not_go_on_for_ever(self):
        with (
            scripted(DescribeInstances=[self.page("i-1", "same")]) as (cloud, _),
            pytest.raises(Doubtful, match="RepeatedPage"),
        ):
            cloud.describe_instances()

    def test_many_ids_are_asked_in_filters_of_legal_size(self):
        with scripted(DescribeInstances=[self.page(None, None)]) as (cloud, endpoint):
            cloud.describe_instances([f"i-{number}" for number in range(450)])
        sizes = [sum(key.startswith("Filter.1.Value") for key in call) for call in endpoint.calls]
        assert sizes == [200, 200, 50]

    def test_filter_values_are_taken_literally(self):
        with scripted(DescribeInstances=[self.page(None, None)]) as (cloud, endpoint):
            cloud.describe_instances(tags={"Name": "a*b?c\\d"})
        assert endpoint.calls[0]["Filter.1.Value.1"] == r"a\*b\?c\\d"


class TestFleets:
    WISH = FleetRequest(
        "fleet-1",
        [(A, Mode.SPOT), (B, Mode.SPOT), (A, Mode.ONDEMAND)],
        "ami-1",
        {"spotguard:managed": "test"},
        "note",
        (),
        SHAPE,
    )
    MADE = answer(
        "CreateFleet",
        f"<fleetId>fleet-9</fleetId><fleetInstanceSet><item><lifecycle>on-demand</lifecycle>"
        f"<instanceIds><item>{INSTANCE}</item></instanceIds><instanceType>m5.large</instanceType>"
        "<launchTemplateAndOverrides><overrides><subnetId>subnet-a</subnetId></overrides></launchTemplateAndOverrides>"
        "</item></fleetInstanceSet>",
    )

    def refused(self, *codes):
        errors = "".join(f"<item><errorCode>{c}</errorCode><lifecycle>spot</lifecycle></item>" for c in codes)
        return answer("CreateFleet", f"<fleetId>fleet-8</fleetId><errorSet>{errors}</errorSet>")

    def around(self, *fleet_answers):
        return {
            "CreateLaunchTemplate": [answer("CreateLaunchTemplate")],
            "CreateFleet": list(fleet_answers),
            "DeleteLaunchTemplate": [answer("DeleteLaunchTemplate")],
            "DescribeLaunchTemplates": [answer("DescribeLaunchTemplates", "<launchTemplates/>")],
            "DescribeInstances": [answer("DescribeInstances", "<reservationSet/>")],
        }

    def test_spot_first_over_all_pools_at_once_then_on_demand(self):
        around = self.around(self.refused("InsufficientInstanceCapacity", "UnfulfillableCapacity"), self.MADE)
        with scripted(**around) as (cloud, endpoint):
            view = cloud.create_fleet(self.WISH)
        spot, ondemand = endpoint.asked("CreateFleet")
        assert spot["Type"] == "instant"
        assert spot["TargetCapacitySpecification.DefaultTargetCapacityType"] == "spot"
        subnets = [spot[f"LaunchTemplateConfigs.1.Overrides.{n}.SubnetId"] for n in (1, 2)]
        assert subnets == ["subnet-a", "subnet-b"]
        assert ondemand["TargetCapacitySpecification.DefaultTargetCapacityType"] == "on-demand"
        assert spot["ClientToken"] != ondemand["ClientToken"]
        assert (view.instance_id, view.pool, view.mode) == (INSTANCE, A, Mode.ONDEMAND)
        assert view.state is InstanceState.PENDING  # EC2 does not show it yet: the fleet's answer is enough

    def test_a_zone_in_which_its_vpc_has_no_subnet_keeps_nobody_from_the_others(self):
        far = Pool("m5.large", "us-east-1f")
        wish = replace(self.WISH, candidates=[(far, Mode.SPOT), *self.WISH.candidates, (far, Mode.ONDEMAND)])
        with scripted(**self.around(self.refused("InsufficientInstanceCapacity"), self.MADE)) as (
            cloud,
            endpoint,
        ):
            assert cloud.create_fleet(wish).pool == A
        spot, ondemand = endpoint.asked("CreateFleet")
        assert [value for key, value in spot.items() if key.endswith("SubnetId")] == ["subnet-a", "subnet-b"]
        assert [value for key, value in ondemand.items() if key.endswith("SubnetId")] == ["subnet-a"]

    def test_without_a_subnet_in_any_of_the_zones_nothing_is_asked(self):
        far = Pool("m5.large", "us-east-1f")
        wish = replace(self.WISH, candidates=[(far, Mode.SPOT)])
        with scripted() as (cloud, endpoint), pytest.raises(PoolDry, match="NoSubnetInZone"):
            cloud.create_fleet(wish)
        assert endpoint.calls == []

    @pytest.mark.parametrize(
        "code", ["MaxSpotInstanceCountExceeded", "AuthFailure.ServiceLinkedRoleCreationNotPermitted"]
    )
    def test_what_is_refused_on_spot_as_a_whole_is_still_tried_on_demand(self, code):
        with scripted(**self.around(refuse(code), self.MADE)) as (cloud, endpoint):
            assert cloud.create_fleet(self.WISH).mode is Mode.ONDEMAND
        assert len(endpoint.asked("CreateFleet")) == 2
        assert len(endpoint.asked("DeleteLaunchTemplate")) == 2

    def test_what_is_refused_on_both_is_told_as_it_was_refused(self):
        around = self.around(refuse("UnauthorizedOperation", 403))
        with scripted(**around) as (cloud, _), pytest.raises(NeedsPerson, match="UnauthorizedOperation"):
            cloud.create_fleet(self.WISH)

    def test_an_image_that_no_pool_sees_is_not_told_as_a_want_of_capacity(self):
        gone = self.refused("InvalidAMIID.NotFound", "InvalidAMIID.NotFound")
        with scripted(**self.around(gone)) as (cloud, _), pytest.raises(NeedsPerson, match="InvalidAMIID"):
            cloud.create_fleet(self.WISH)

    def test_everything_that_comes_of_it_is_tagged_and_a_spot_request_only_where_there_is_one(self):
        """Invariant 6; EC2 refuses tags of spot requests on demand (karpenter-provider-aws#5850)."""
        with scripted(**self.around(self.refused("InsufficientInstanceCapacity"), self.MADE)) as (
            cloud,
            endpoint,
        ):
            cloud.create_fleet(self.WISH)
        for told in endpoint.asked("CreateFleet"):
            assert tagged(told) == ["fleet", "instance", "volume"]
        spot, ondemand = endpoint.asked("CreateLaunchTemplate")
        of_parts = "LaunchTemplateData.TagSpecification"
        assert tagged(spot, of_parts) == ["network-interface", "spot-instances-request"]
        assert tagged(ondemand, of_parts) == ["network-interface"]
        assert tagged(spot) == tagged(ondemand) == ["launch-template"]
        assert spot["LaunchTemplateName"] != ondemand["LaunchTemplateName"]

    @pytest.mark.parametrize(
        ("types", "wanted"),
        [(("t3.large", "t4g.large"), "standard"), (("m5.large", "t3.large"), None), (("m5.large",), None)],
    )
    def test_the_credits_are_its_originals_where_all_types_take_some(self, types, wanted):
        """Left out, EC2 bursts without limit and bills it (E24); m5 refuses them."""
        candidates = [(Pool(kind, "us-east-1a"), Mode.SPOT) for kind in types]
        wish = replace(self.WISH, candidates=candidates, shape=replace(SHAPE, credits="standard"))
        told = fleets.template(wish, Mode.SPOT).get("CreditSpecification")
        assert told == (None if wanted is None else {"CpuCredits": wanted})

    def test_its_template_goes_when_the_fleet_has_answered(self):
        with scripted(**self.around(self.MADE)) as (cloud, endpoint):
            cloud.create_fleet(self.WISH)
        (made,), (gone,) = endpoint.asked("CreateLaunchTemplate"), endpoint.asked("DeleteLaunchTemplate")
        assert made["LaunchTemplateName"] == gone["LaunchTemplateName"] == "spotguard-fleet-1"

    def test_in_doubt_the_template_stays_for_the_repetition(self):
        with scripted(**self.around(refuse("InternalError", 500))) as (cloud, endpoint):
            with pytest.raises(Doubtful):
                cloud.create_fleet(self.WISH)
            assert endpoint.asked("DeleteLaunchTemplate") == []
            endpoint.answers["CreateLaunchTemplate"] = [
                refuse("InvalidLaunchTemplateName.AlreadyExistsException")
            ]
            endpoint.answers["CreateFleet"] = [self.MADE]
            assert cloud.create_fleet(self.WISH).instance_id == INSTANCE
        first, again = endpoint.asked("CreateFleet")
        assert first["ClientToken"] == again["ClientToken"] == "fleet-1"

    def test_a_template_that_cannot_be_deleted_spoils_nothing(self):
        around = {**self.around(self.MADE), "DeleteLaunchTemplate": [refuse("RequestLimitExceeded", 503)]}
        with scripted(**around) as (cloud, _):
            assert cloud.create_fleet(self.WISH).instance_id == INSTANCE

    def test_tokens_of_a_fleets_parts_are_legal_and_their_own(self):
        token = "x" * 64
        tokens = [fleets.fleet_token(token, number) for number in range(3)]
        assert len(set(tokens)) == 3
        assert all(len(one) <= 64 for one in tokens)

    @pytest.mark.parametrize(
        ("codes", "kind"),
        [
            (["InsufficientInstanceCapacity", "InsufficientInstanceCapacity"], PoolDry),
            (["MaxSpotInstanceCountExceeded", "VcpuLimitExceeded"], QuotaReached),
            (["UnauthorizedOperation"], NeedsPerson),
            (["MaxSpotInstanceCountExceeded", "InsufficientInstanceCapacity"], PoolDry),
            (["InternalError"], PoolDry),  # the fleet has answered: its token is spent
            (["RequestLimitExceeded"], PoolDry),
            ([], PoolDry),
        ],
    )
    def test_one_verdict_over_many_refusals(self, codes, kind):
        assert type(fleets.verdict([by_code(code) for code in codes])) is kind


def test_what_a_price_reader_sends():
    """Strings with six decimals; both spellings of a product; the last change before the start stays."""

    def row(at, price, product="Linux/UNIX (Amazon VPC)"):
        return (
            f"<item><instanceType>m5.large</instanceType><productDescription>{product}</productDescription>"
            f"<spotPrice>{price}</spotPrice><timestamp>{at}</timestamp>"
            "<availabilityZone>us-east-1a</availabilityZone><availabilityZoneId>use1-az6</availabilityZoneId></item>"
        )

    rows = [
        row("2026-01-05T11:00:00.000Z", "0.041234"),
        row("2026-01-05T11:00:00.000Z", "0.041234", "Linux/UNIX"),
        row("2026-01-05T09:00:00.000Z", "0.040000"),
        row("2026-01-05T08:00:00.000Z", "0.039000"),
        row("2026-01-05T11:30:00.000Z", "0.000000"),
        row("2026-01-05T11:30:00.000Z", "0.04", "Plan 9"),
    ]
    found = answer(
        "DescribeSpotPriceHistory", f"<spotPriceHistorySet>{''.join(rows)}</spotPriceHistorySet><nextToken/>"
    )
    since = datetime(2026, 1, 5, 10, tzinfo=UTC)
    with scripted(DescribeSpotPriceHistory=[found]) as (cloud, endpoint):
        changes = cloud.spot_price_history(since, ["m5.large"])
    assert [(change.at.hour, str(change.usd_per_hour)) for change in changes] == [
        (9, "0.040000"),
        (11, "0.041234"),
    ]
    assert {change.pool for change in changes} == {Pool("m5.large", "us-east-1a", az_id="use1-az6")}
    assert endpoint.calls[0]["InstanceType.1"] == "m5.large"
