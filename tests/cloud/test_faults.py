"""Calls that fail: before they did anything, after they did it, by chance, and for asking too often."""

from dataclasses import replace

import pytest

from spotguard.cloud.simulated.faults import lost_answer
from spotguard.cloud.simulated.physics import Bucket, Physics
from spotguard.domain.errors import CloudError, Doubtful, NeedsPerson, PoolDry, QuotaReached, Throttled
from tests.cloud.scene import EXACT, QUIET, TAGS, A, B, Scene


def test_refused_before_any_effect():
    scene = Scene()
    scene.ec2.faults.next("run_instance", NeedsPerson("UnauthorizedOperation"))
    with pytest.raises(NeedsPerson, match="UnauthorizedOperation"):
        scene.launched()
    assert scene.ec2.inventory().instances == ()
    scene.launched()


def test_the_answer_is_lost_after_the_effect():
    """aws-facts: a 5xx or a time-out is doubtful: look up by token and tag before doing anything again."""
    scene = Scene()
    request = scene.request(token="t")
    scene.ec2.faults.next("run_instance", lost_answer(), after_effect=True)
    with pytest.raises(Doubtful):
        scene.ec2.run_instance(request)
    (made,) = scene.ec2.describe_instances(token="t")
    assert scene.ec2.run_instance(request).instance_id == made.instance_id


@pytest.mark.parametrize(
    "refusal", [QuotaReached("MaxSpotInstanceCountExceeded"), PoolDry("InsufficientInstanceCapacity")]
)
def test_a_used_token_is_answered_where_a_new_one_finds_no_room(refusal):
    """E1: the same token with the same parameters is told what it made; quota and capacity are not asked again."""
    scene = Scene()
    made = scene.ec2.run_instance(scene.request(token="t")).instance_id
    scene.ec2.faults.sometimes("run_instance", 1.0, lambda: refusal)
    assert scene.ec2.run_instance(scene.request(token="t")).instance_id == made
    with pytest.raises(type(refusal)):
        scene.ec2.run_instance(scene.request(token="another"))
    assert scene.ec2.faults.injected == {f"run_instance:{refusal.code}": 1}


def test_planned_faults_queue():
    scene = Scene()
    for code in ("InternalError", "Unavailable"):
        scene.ec2.faults.next("describe_instances", Doubtful(code))
    for code in ("InternalError", "Unavailable"):
        with pytest.raises(Doubtful, match=code):
            scene.ec2.describe_instances()
    scene.ec2.describe_instances()
    assert scene.ec2.faults.injected == {
        "describe_instances:InternalError": 1,
        "describe_instances:Unavailable": 1,
    }


def test_faults_by_chance_are_seeded_and_stop():
    def outcomes(seed: int) -> list[str]:
        scene, seen = Scene(seed=seed), []
        scene.ec2.faults.sometimes("run_instance", 0.3)
        scene.ec2.faults.sometimes("run_instance", 0.3, after_effect=True)
        for number in range(40):
            before = len(scene.ec2.inventory().instances)
            try:
                scene.launched(B)
                seen.append("fine")
            except Doubtful:
                seen.append("made" if len(scene.ec2.inventory().instances) > before else "not made")
            assert number < 40
        scene.ec2.faults.clear()
        scene.launched(B)
        return seen

    assert set(outcomes(1)) == {"fine", "made", "not made"}
    assert outcomes(1) == outcomes(1) != outcomes(2)


def test_no_fault_touches_what_an_auditor_or_a_harness_asks():
    scene = Scene()
    scene.ec2.faults.sometimes("describe_instances", 1.0)
    instance = scene.launched()
    assert [view.instance_id for view in scene.ec2.inventory().instances] == [instance]
    with pytest.raises(CloudError):
        scene.ec2.describe_instances()


class TestThrottling:
    """E5: token buckets per class of action."""

    def throttled(self, **buckets: Bucket) -> Scene:
        return Scene(replace(QUIET, physics=replace(EXACT, buckets=buckets)))

    def test_a_bucket_empties_and_flows_back(self):
        scene = self.throttled(launch=Bucket(2, 0.5))
        scene.launched()
        scene.launched()
        with pytest.raises(Throttled, match="RequestLimitExceeded"):
            scene.launched()
        scene.wait(2)
        scene.launched()

    def test_each_class_has_its_own(self):
        scene = self.throttled(describe=Bucket(1, 0.1), change=Bucket(1, 0.1))
        instance = scene.running()
        scene.ec2.describe_instances()
        with pytest.raises(Throttled):
            scene.ec2.describe_volumes()
        scene.ec2.terminate_instance(instance)
        with pytest.raises(Throttled):
            scene.ec2.keep_volumes(instance)
        scene.launched()

    def test_a_throttled_call_had_no_effect(self):
        scene = self.throttled(change=Bucket(1, 0.01))
        scene.ec2.create_volume("one", A.az, 1, TAGS)
        with pytest.raises(Throttled):
            scene.ec2.create_volume("two", A.az, 1, TAGS)
        assert len(scene.ec2.inventory().volumes) == 1

    def test_the_shipped_buckets_bear_a_coordinator_that_looks_every_ten_seconds(self):
        scene = Scene(replace(QUIET, physics=Physics()))
        for _ in range(500):
            scene.wait(10)
            scene.ec2.describe_instances()
            scene.ec2.describe_volumes()
