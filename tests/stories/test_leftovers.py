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


def test_a_standby_that_ec2_takes_is_let_go_of_at_once_and_no_orphan_while_it_is_cleared_away(scene):
    scene.force_to_spot()
    scene.configure(manualReplicaEnabled=True)
    standby = scene.until(scene.ready_replica, minutes=25)
    scene.world.ec2.controls.interrupt(InstanceId(standby.instance_id))
    scene.until(lambda: scene.replica(standby.id).status == "failed", seconds=30)
    assert standby.instance_id in scene.active_instances()
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


def test_the_owners_own_volume_that_a_move_has_left_is_told_and_stays(scene):
    """It is billed on, and no clean-up deletes what SpotGuard did not make."""
    ec2, first = scene.world.ec2, InstanceId(scene.agent().instance_id)
    (volume,) = scene.state_volumes(first)
    assert not scene.volume_row(volume).is_ours
    scene.order_move(in_its_zone=False)
    scene.until(lambda: scene.agent().instance_id != first, minutes=20)
    assert scene.get("/api/client/leftovers")["items"] == [], "as long as one may go back to it"
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=60)

    (event,) = scene.events("leftover_kept")
    assert event.detail["resource_id"] == volume
    (told,) = scene.get("/api/client/leftovers")["items"]
    assert (told["resourceId"], told["oursBecause"]) == (volume, "it is not: it is its owner's")
    assert told["looseBecause"].startswith(
        f"its owner brought it, and {first}, which a move has ended, left it"
    )
    assert f"aws ec2 delete-volume --region us-east-1 --volume-id {volume}" in told["plan"]
    assert told["mayGoAt"] is None
    assert told["looseBecause"] in event.message

    scene.wait(hours=3)
    assert ec2.describe_volumes([volume])
    assert len(scene.events("leftover_kept")) == 1
    ec2.delete_volume(volume)
    scene.until(lambda: scene.get("/api/client/leftovers")["items"] == [], minutes=30)
