"""A holder dies soon after another move or another recovery: what that one knew, or left, is still what it was."""

from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from tests.stories.test_fallback import back, in_sync, moved
from tests.stories.test_salvage import standing_by


def test_the_volume_of_one_that_was_moved_back_to_and_died_is_kept_for_its_day(scene):
    """The move away from it is finished meanwhile: what it left then is not that one's to delete any more."""
    scene.configure(terminateWaitSeconds=0)
    moved(scene)  # from now on its instance is one that SpotGuard has launched
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=20)
    scene.configure(terminateWaitSeconds=3600)
    old, new = moved(scene)
    scene.until(lambda: in_sync(scene), minutes=3)
    taken, region = {scene.instance(old).az[-1], scene.instance(new).az[-1]}, scene.instance(old).az[:-1]
    zones = [f"{region}{letter}" for letter in "abc"]
    free = [zone for zone in zones if zone[-1] not in taken] or zones
    scene.configure(manualReplicaEnabled=True, allowedAzs=free)
    scene.until(scene.ready_replica, minutes=20)
    scene.until(lambda: scene.has_recorded(Step.VERIFIED), minutes=20)
    scene.until(lambda: in_sync(scene), minutes=3)
    scene.configure(allowedAzs=zones)
    path, order = back(scene)
    scene.post(path, order, expect=202)
    scene.until(lambda: scene.agent().instance_id == old, minutes=3)
    scene.until(lambda: scene.switches()[-1].instance_ready_at, minutes=3)
    (state,) = scene.state_volumes(old)
    scene.world.ec2.controls.fail_instance(InstanceId(old))
    scene.wait(minutes=40)
    recovery = scene.switches()[-1]
    assert (recovery.is_recovery, recovery.kind) == (True, "synced")
    assert recovery.lost_seconds > 0
    assert scene.volume_row(state).ended_at is None


def test_a_second_recovery_knows_of_the_closed_gate_as_the_first_one_did(scene):
    """The move that closed it is not its newest any more."""
    standby = standing_by(scene, in_its_zone=False)
    row = scene.agent()
    scene.configure(allowedAzs=[row.az, standby.az])
    pools = scene.get(f"/api/client/instances/{row.instance_id}/pricing")["pools"]
    target = next(pool["id"] for pool in pools if pool["allowed"] and pool["az"] == row.az)
    wish = {"target": "pool", "pool_id": target, "kind": "image"}
    scene.post(f"/api/client/instances/{row.instance_id}/force-switch", wish, expect=202)
    scene.until(lambda: scene.has_recorded(Step.GATE_CLOSED), minutes=20)
    scene.world.ec2.controls.fail_instance(InstanceId(row.instance_id))
    scene.until(lambda: scene.switches()[-1].is_recovery and scene.switches()[-1].new_instance_id, minutes=5)
    assert scene.switches()[-1].kind == "volume", "it lacks no write"
    scene.world.ec2.controls.fail_instance(InstanceId(scene.switches()[-1].new_instance_id))
    scene.until(lambda: scene.agent().instance_id != row.instance_id, minutes=30)
    scene.until(scene.world.registers["web-1"].serving, minutes=5)
    assert scene.world.registers["web-1"].losses == []
