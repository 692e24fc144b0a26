"""Launching: ask twice, get once; four kinds of refusal; what a launch looks like while it starts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.cloud.simulated.physics import Quotas, fixed
from spotguard.cloud.simulated.state import HappeningKind
from spotguard.domain.errors import NeedsPerson, NotVisible, PoolDry, QuotaReached, TokenMismatch
from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import EndReason, InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.domain.quotas import QuotaClass
from spotguard.ports.cloud import BlockDevice, Cloud, FleetRequest
from spotguard.ports.shape import Shape
from tests.cloud.scene import BIG, EXACT, OTHER_TYPE, PRICES, QUIET, START, TAGS, A, B, C, Scene, prices

TWO_MACHINES = Quotas(spot={QuotaClass.STANDARD: 4}, ondemand={QuotaClass.STANDARD: 2})


def test_it_is_a_cloud():
    cloud: Cloud = Scene().ec2
    assert cloud.describe_instances() == ()


class TestStarting:
    def test_pending_then_running_then_booted(self):
        scene = Scene()
        instance = scene.launched()
        assert scene.see(instance).state is InstanceState.PENDING
        scene.wait(10)
        assert scene.see(instance).state is InstanceState.RUNNING
        assert scene.see(instance).launched_at == START + timedelta(seconds=10)
        scene.wait(60)
        assert scene.heard(instance) == [(70, HappeningKind.BOOTED)]

    def test_it_carries_its_tags_pool_and_token_from_the_first_moment(self):
        """E29, invariant 6: tags are set in the same call."""
        scene = Scene()
        view = scene.ec2.run_instance(scene.request(B, Mode.ONDEMAND, token="t-1"))
        assert (view.tags, view.pool, view.mode, view.token) == (TAGS, B, Mode.ONDEMAND, "t-1")

    def test_an_untagged_launch_is_possible_and_an_auditor_sees_it(self):
        scene = Scene()
        instance = scene.launched(tags={})
        assert scene.ec2.inventory().tags_by_id()[instance] == {}

    def test_tags_that_aws_keeps_for_itself_are_refused(self):
        """E37."""
        scene = Scene()
        with pytest.raises(NeedsPerson):
            scene.launched(tags={"aws:cloudformation:stack-name": "x"})
        assert scene.ec2.inventory().instances == ()

    def test_the_seed_decides_everything(self):
        ids = []
        for seed in (1, 1, 2):
            scene = Scene(seed=seed)
            ids.append(scene.launched())
        assert ids[0] == ids[1] != ids[2]


class TestTokens:
    """E1."""

    def test_the_same_call_again_gives_the_same_instance(self):
        scene = Scene()
        request = scene.request()
        first = scene.ec2.run_instance(request)
        scene.wait(10)
        again = scene.ec2.run_instance(request)
        assert again.instance_id == first.instance_id
        assert again.state is InstanceState.RUNNING
        assert len(scene.ec2.describe_instances()) == 1

    def test_in_another_zone_the_same_token_launches_a_second_instance(self):
        scene = Scene()
        assert scene.launched(A, token="t") != scene.launched(B, token="t")
        assert len(scene.ec2.describe_instances(token="t")) == 2

    @pytest.mark.parametrize(
        "change",
        [
            {"tags": {}},
            {"user_data": "#!/bin/sh"},
            {"mode": Mode.ONDEMAND},
            {"pool": OTHER_TYPE},
            {"devices": [BlockDevice("/dev/sdf", 10)]},
        ],
        ids=str,
    )
    def test_with_other_parameters_it_is_a_mismatch(self, change):
        scene = Scene()
        scene.launched(token="t")
        with pytest.raises(TokenMismatch, match="IdempotentParameterMismatch"):
            scene.launched(**{"token": "t", **change})

    def test_a_token_whose_instance_has_ended_gives_the_ended_instance(self):
        scene = Scene()
        request = scene.request()
        instance = scene.ec2.run_instance(request).instance_id
        scene.ec2.terminate_instance(instance)
        scene.wait(7200)
        again = scene.ec2.run_instance(request)
        assert (again.instance_id, again.state) == (instance, InstanceState.TERMINATED)

    def test_a_refused_call_may_be_repeated_with_its_token(self):
        scene = Scene()
        request = scene.request()
        scene.ec2.controls.make_dry(A)
        with pytest.raises(PoolDry):
            scene.ec2.run_instance(request)
        scene.ec2.controls.end_dryness(A)
        assert scene.ec2.run_instance(request).pool == A

    @pytest.mark.parametrize("token", ["", "x" * 65, "tökén"])
    def test_a_token_has_1_to_64_ascii_characters(self, token):
        scene = Scene()
        with pytest.raises(NeedsPerson, match="InvalidParameterValue"):
            scene.launched(token=token)

    @given(
        calls=st.lists(
            st.tuples(
                st.sampled_from(["t1", "t2"]),
                st.sampled_from([A, B, C, OTHER_TYPE]),
                st.sampled_from(["", "other"]),
            ),
            max_size=12,
        ),
        waits=st.lists(st.integers(0, 4000), min_size=12, max_size=12),
    )
    def test_one_instance_per_token_and_zone_whatever_is_asked(self, calls, waits):
        scene = Scene()
        made: dict = {}
        for (token, pool, data), seconds in zip(calls, waits, strict=False):
            first_parameters, instance = made.get((token, pool.az), ((pool, data), None))
            try:
                got = scene.launched(pool, token=token, user_data=data)
            except TokenMismatch:
                assert first_parameters != (pool, data)
            else:
                assert instance in (None, got)
                made[token, pool.az] = (first_parameters, got)
            scene.wait(seconds)
        assert len(scene.ec2.describe_instances()) == len(made)


class TestRefusals:
    """aws-facts: four kinds of refusal, four answers (E7)."""

    def test_a_dry_pool_refuses_spot_and_only_spot(self):
        scene = Scene()
        scene.ec2.controls.make_dry(A, START + timedelta(hours=1))
        with pytest.raises(PoolDry, match="InsufficientInstanceCapacity"):
            scene.launched(A)
        scene.launched(A, Mode.ONDEMAND)
        scene.wait(3600)
        scene.launched(A)

    def test_a_pool_without_a_price_is_not_offered(self):
        scene = Scene(history=prices((A, -60, "0.04"), (B, 60, "0.04"), (OTHER_TYPE, -60, "0.03")))
        for nowhere in (B, Pool("c5.large", "us-east-1b")):
            with pytest.raises(PoolDry, match="Unsupported"):
                scene.launched(nowhere)
        scene.wait(3600)
        scene.launched(B)

    def test_ondemand_without_an_ondemand_price_is_not_offered(self):
        with pytest.raises(PoolDry, match="Unsupported"):
            Scene().launched(BIG, Mode.ONDEMAND)

    @pytest.mark.parametrize("pool", [Pool("m5.large", "eu-west-1a"), Pool("z9.large", "us-east-1a")])
    def test_another_region_or_an_unknown_type_is_for_a_person(self, pool):
        with pytest.raises(NeedsPerson, match="InvalidParameterValue"):
            Scene().launched(pool)

    def test_quotas_count_vcpus_per_class_and_market(self):
        """E8: in vCPUs; spot and on-demand apart."""
        scene = Scene(replace(QUIET, quotas=TWO_MACHINES))
        scene.launched(A)
        scene.launched(OTHER_TYPE)
        with pytest.raises(QuotaReached, match="MaxSpotInstanceCountExceeded"):
            scene.launched(B)
        scene.launched(B, Mode.ONDEMAND)
        with pytest.raises(QuotaReached, match="VcpuLimitExceeded"):
            scene.launched(B, Mode.ONDEMAND)

    def test_an_instance_uses_its_quota_until_it_is_terminated(self):
        """E8: fast terminate and launch can hit the limit."""
        scene = Scene(replace(QUIET, quotas=TWO_MACHINES))
        instance = scene.running(A, Mode.ONDEMAND)
        scene.ec2.terminate_instance(instance)
        with pytest.raises(QuotaReached):
            scene.launched(B, Mode.ONDEMAND)
        scene.wait(30)
        scene.launched(B, Mode.ONDEMAND)

    def test_an_image_must_exist_and_be_available(self):
        scene = Scene()
        source = scene.running()
        image = scene.ec2.create_image(source, "copy", TAGS)
        with pytest.raises(NotVisible, match=r"InvalidAMIID\.Unavailable"):
            scene.launched(image=image)
        with pytest.raises(NotVisible, match=r"InvalidAMIID\.NotFound"):
            scene.launched(image="ami-0123")
        scene.wait(90)
        scene.launched(image=image)

    def test_a_security_group_must_exist(self):
        scene = Scene()
        shut_in = replace(scene.request(), shape=Shape(security_groups=("sg-0abcdef0",)))
        fleet = FleetRequest(ClientToken("f"), [(A, Mode.SPOT)], shut_in.image_id, TAGS, shape=shut_in.shape)
        for launch in (lambda: scene.ec2.run_instance(shut_in), lambda: scene.ec2.create_fleet(fleet)):
            with pytest.raises(NeedsPerson, match=r"InvalidGroup\.NotFound.*'sg-0abcdef0' does not exist"):
                launch()
        scene.ec2.controls.make_group("sg-0abcdef0")
        made = scene.ec2.run_instance(shut_in)
        assert scene.ec2.world.machines[made.instance_id].shape.security_groups == ("sg-0abcdef0",)

    def test_a_refused_launch_leaves_nothing_behind(self):
        scene = Scene()
        scene.ec2.controls.make_dry(A)
        with pytest.raises(PoolDry):
            scene.launched(devices=[BlockDevice("/dev/sdf", 10)])
        assert scene.ec2.inventory().tags_by_id() == {}


class TestFleets:
    """E6: an instant fleet tries many pools in one call."""

    def fleet(self, scene: Scene, *candidates, token="fleet-1"):
        return scene.ec2.create_fleet(FleetRequest(token, candidates, scene.image, TAGS))

    def test_the_first_candidate_with_capacity_gets_it(self):
        scene = Scene()
        scene.ec2.controls.make_dry(A)
        view = self.fleet(scene, (A, Mode.SPOT), (Pool("c5.large", "us-east-1c"), Mode.SPOT), (B, Mode.SPOT))
        assert (view.pool, view.mode, view.tags) == (B, Mode.SPOT, TAGS)

    def test_none_has_capacity(self):
        scene = Scene()
        scene.ec2.controls.make_dry(A)
        scene.ec2.controls.make_dry(B)
        with pytest.raises(PoolDry, match="UnfulfillableCapacity"):
            self.fleet(scene, (A, Mode.SPOT), (B, Mode.SPOT))

    def test_quota_alone_is_told_as_quota(self):
        scene = Scene(replace(QUIET, quotas=Quotas(usual=0)))
        with pytest.raises(QuotaReached):
            self.fleet(scene, (A, Mode.SPOT), (B, Mode.ONDEMAND))

    def test_its_token_is_regional(self):
        """aws-facts: idempotent per AZ only where an AZ is given."""
        scene = Scene()
        first = self.fleet(scene, (A, Mode.SPOT), (B, Mode.SPOT))
        scene.ec2.controls.make_dry(A)
        assert self.fleet(scene, (A, Mode.SPOT), (B, Mode.SPOT)).instance_id == first.instance_id
        with pytest.raises(TokenMismatch):
            self.fleet(scene, (B, Mode.SPOT))

    def test_its_instances_are_found_by_tag_not_by_the_fleets_token(self):
        scene = Scene()
        self.fleet(scene, (A, Mode.SPOT))
        assert scene.ec2.describe_instances(token="fleet-1") == ()
        assert len(scene.ec2.describe_instances(tags=TAGS)) == 1


class TestEventualConsistency:
    """E4."""

    def test_a_fresh_id_is_unknown_for_a_while(self):
        scene = Scene(replace(QUIET, physics=replace(EXACT, visible_after_seconds=fixed(3))))
        request = scene.request()
        instance = scene.ec2.run_instance(request).instance_id
        assert scene.ec2.describe_instances([instance]) == ()
        assert scene.ec2.describe_instances(tags=TAGS) == ()
        with pytest.raises(NotVisible, match=r"InvalidInstanceID\.NotFound"):
            scene.ec2.terminate_instance(instance)
        assert scene.ec2.run_instance(request).instance_id == instance
        assert scene.ec2.inventory().instances[0].instance_id == instance
        scene.wait(3)
        assert scene.see(instance).instance_id == instance

    def test_a_terminated_instance_vanishes_after_an_hour(self):
        scene = Scene()
        instance = scene.running()
        scene.ec2.terminate_instance(instance)
        scene.wait(30)
        assert scene.see(instance).state is InstanceState.TERMINATED
        scene.wait(3599)
        assert scene.see(instance).end_reason is EndReason.REQUESTED
        scene.wait(1)
        assert scene.ec2.describe_instances([instance]) == ()
        with pytest.raises(NotVisible):
            scene.ec2.terminate_instance(instance)

    def test_ids_token_and_tags_must_all_hold_and_unknown_ids_are_left_out(self):
        scene = Scene()
        one, two = scene.launched(A, token="one"), scene.launched(B, token="two", tags={"k": "v"})
        seen = scene.ec2.describe_instances
        assert {view.instance_id for view in seen([one, two, "i-0123"])} == {one, two}
        assert [view.instance_id for view in seen(tags={"k": "v"})] == [two]
        assert seen([one], token="two") == ()
        assert seen(tags={"k": "w"}) == ()


def test_prices_are_those_of_the_market_with_the_last_before():
    """E31."""
    scene = Scene()
    changes = scene.ec2.spot_price_history(START)
    assert {change.pool for change in changes} == set(PRICES.pools())
    assert max(change.at for change in changes) < START
    scene.wait(1800)
    (newest,) = [c for c in scene.ec2.spot_price_history(START) if c.at >= START]
    assert (newest.pool, str(newest.usd_per_hour)) == (A, "0.050000")
    assert scene.ec2.ondemand_prices()["m5.large"] > 0
