"""Nothing of ours stays behind (invariant 6), whatever else is still open."""

from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.tags import AGENT_TAG, CLIENT_TAG, MANAGED_TAG
from spotguard.ports.cloud import LaunchRequest
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


def test_what_names_no_agent_of_ours_is_told_once_and_left_alone(scene):
    """A volume of an agent whose row is gone, and an instance that somebody tagged by hand (invariants 6 and 7)."""
    ec2, web = scene.world.ec2, scene.agent()
    ours = {MANAGED_TAG: "demo", CLIENT_TAG: web.client_id}
    gone = {**ours, AGENT_TAG: "6f1c2b1e-0000-4000-8000-000000000000"}
    volume = ec2.create_volume(ClientToken("of-a-gone-agent"), web.az, 10, gone)
    (own,) = ec2.describe_instances([InstanceId(web.instance_id)])
    wish = LaunchRequest(ClientToken("by-hand"), own.pool, own.mode, own.image_id, ours)
    machine = ec2.run_instance(wish).instance_id

    scene.wait(minutes=5)
    told = {one["resourceId"]: one for one in scene.get("/api/client/leftovers")["items"]}
    assert {name: told[name]["plan"] for name in (volume, machine)} == dict.fromkeys(
        (volume, machine), "unknown agent: told, never deleted by itself"
    )
    assert told[volume]["looseBecause"] == f"no row knows the agent that it names, {gone[AGENT_TAG]}"
    assert told[machine]["looseBecause"] == "it names no agent"

    scene.wait(hours=3)
    assert ec2.describe_instances([machine])[0].state == "running"
    assert ec2.describe_volumes([volume])
    assert sorted(scene.found_of_nobody()) == sorted(told), "once each"
