"""Nothing of ours stays behind (invariant 6), whatever else is still open."""

from spotguard.domain.ids import InstanceId
from spotguard.simulation.audit import orphans_of


def test_a_dead_standby_leaves_nothing_while_a_lost_holders_volume_is_kept(scene):
    scene.force_to_spot()
    scene.configure(manualReplicaEnabled=True)
    first = scene.until(scene.ready_replica, minutes=25)
    scene.wait(minutes=10)
    controls = scene.world.ec2.controls

    # the holder dies unheard: its standby takes over, and what only the dead volume has is kept for a day
    controls.fail_instance(InstanceId(scene.agent().instance_id))
    scene.until(lambda: scene.agent().instance_id == first.instance_id, minutes=5)
    recovery = scene.switches()[-1]
    assert recovery.lost_seconds > 0

    # the standby that is made in its place dies as soon as it is launched
    scene.until(lambda: scene.live_replica() and scene.live_replica().instance_id, minutes=5)
    controls.fail_instance(InstanceId(scene.live_replica().instance_id))
    scene.wait(minutes=30)
    assert scene.switches()[-1].status == "committed", "the move waits with the volume that it keeps"
    assert orphans_of(scene.world) == []
