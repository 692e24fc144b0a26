"""The metadata service as an agent reads it, and when nobody need ask."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.cloud.simulated.imds import ImdsFault
from spotguard.cloud.simulated.physics import Climate
from spotguard.cloud.simulated.state import HappeningKind
from spotguard.domain.errors import MetadataUnavailable
from spotguard.domain.instances import Mode
from spotguard.ports.metadata import Metadata
from tests.cloud.scene import QUIET, START, A, B, Scene

REBALANCE = "meta-data/events/recommendations/rebalance"


def test_who_am_i():
    scene = Scene()
    instance = scene.running(B, Mode.ONDEMAND, user_data="hello")
    metadata: Metadata = scene.ec2.metadata(instance)
    me = metadata.identity()
    assert (me.instance_id, me.instance_type, me.az, me.mode) == (instance, "m5.large", B.az, Mode.ONDEMAND)
    assert me.az_id == scene.ec2.zone_ids()[B.az]
    assert me.private_ip == scene.see(instance).private_ip
    assert me.public_ip is None
    assert metadata.user_data() == "hello"


def test_zone_ids_are_shuffled_behind_the_letters():
    """E32: AZ letters differ between accounts, ids do not."""
    accounts = [Scene(seed=seed).ec2.zone_ids() for seed in range(12)]
    assert all(set(ids.values()) == {"use1-az1", "use1-az2", "use1-az3"} for ids in accounts)
    assert len({ids[A.az] for ids in accounts}) == 3


def test_a_clone_is_another_identity():
    """E22."""
    scene = Scene()
    one, two = scene.running(), scene.running()
    first, second = scene.ec2.metadata(one).identity(), scene.ec2.metadata(two).identity()
    assert first.instance_id != second.instance_id
    assert first.boot_id != second.boot_id


def test_nothing_pending_is_a_404_and_a_404_is_none():
    """E17."""
    scene = Scene()
    instance = scene.running()
    server = scene.ec2.imds(instance)
    token = server.put_token(60).body
    assert server.get("meta-data/spot/instance-action", token).status == 404
    assert scene.ec2.metadata(instance).interruption_notice() is None
    assert scene.ec2.metadata(instance).user_data() == ""


class TestTokens:
    """E20."""

    def test_without_a_token_or_after_its_time_401(self):
        scene = Scene()
        server = scene.ec2.imds(scene.running())
        assert server.get(REBALANCE, "").status == 401
        token = server.put_token(60).body
        assert server.get(REBALANCE, token).status == 404
        scene.wait(60)
        assert server.get(REBALANCE, token).status == 401

    def test_the_client_half_renews_an_expired_token_by_itself(self):
        scene = Scene()
        instance = scene.running()
        metadata = scene.ec2.metadata(instance)
        metadata.identity()
        scene.wait(21_600)
        metadata.identity()
        scene.ec2.controls.forget_metadata_tokens(instance)
        metadata.identity()


class TestFaults:
    @pytest.mark.parametrize("fault", list(ImdsFault))
    def test_unavailable_until_it_is_over(self, fault):
        """E20: 401 and 503 seen in the field; never crash."""
        scene = Scene()
        instance = scene.running()
        metadata = scene.ec2.metadata(instance)
        metadata.identity()
        scene.ec2.controls.disturb_metadata(instance, fault, START + timedelta(minutes=1))
        for ask in (metadata.identity, metadata.interruption_notice, metadata.rebalance_recommendation):
            with pytest.raises(MetadataUnavailable):
                ask()
        scene.wait(50)
        assert metadata.identity().instance_id == instance

    def test_mended_by_hand(self):
        scene = Scene()
        instance = scene.running()
        scene.ec2.controls.disturb_metadata(instance, ImdsFault.HANG)
        scene.wait(9999)
        scene.ec2.controls.disturb_metadata(instance, None)
        scene.ec2.metadata(instance).identity()

    def test_no_machine_no_answer(self):
        scene = Scene()
        instance = scene.launched()
        with pytest.raises(MetadataUnavailable):
            scene.ec2.metadata(instance).identity()
        scene.wait(10)
        scene.ec2.metadata(instance).identity()
        scene.ec2.terminate_instance(instance)
        scene.ec2.metadata(instance).identity()
        scene.wait(30)
        with pytest.raises(MetadataUnavailable):
            scene.ec2.metadata(instance).identity()


def answers(scene: Scene, instance) -> list[object]:
    """All that the metadata say now, silence included."""
    metadata = scene.ec2.metadata(instance)
    told: list[object] = []
    for ask in (metadata.identity, metadata.interruption_notice, metadata.rebalance_recommendation):
        try:
            told.append(ask())
        except MetadataUnavailable:
            told.append("unavailable")
    return told


@given(seed=st.integers(0, 10_000), step=st.integers(1, 900))
def test_same_version_same_answers_and_no_change_before_it_is_due(seed, step):
    """The promise that lets a harness skip polls."""
    stormy = Climate(per_hour={A.id: 1.0, B.id: 1.0}, rebalance_share=0.8)
    scene = Scene(replace(QUIET, climate=stormy), seed=seed)
    instance = scene.launched(A, Mode.SPOT)
    scene.ec2.controls.disturb_metadata(instance, ImdsFault.THROTTLED, START + timedelta(seconds=seed))
    for _ in range(40):
        version, due = scene.ec2.metadata_version(instance), scene.ec2.next_metadata_change(instance)
        before = answers(scene, instance)
        scene.wait(step)
        if due is None or scene.clock.now() < due:
            assert scene.ec2.metadata_version(instance) == version
        if scene.ec2.metadata_version(instance) == version:
            assert answers(scene, instance) == before


def test_a_signal_is_heard_of_when_it_shows():
    scene = Scene()
    instance = scene.running()
    scene.ec2.controls.signal_rebalance(instance)
    assert scene.heard(instance) == [(10, HappeningKind.SIGNALLED)]
